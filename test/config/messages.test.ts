import { describe, expect, it } from 'vitest';
import { methods } from '../../src/core/methods/registry.js';
import { experimentText, issuesOf, messageOf, parse } from './helpers.js';

const methodNames = [...new Set(methods.map(({ name }) => name))].join(', ');

describe('one mistake in a key', () => {
  const cases: [string, Record<string, string | null>, string][] = [
    [
      'text for a number',
      { epochs: '"300"' },
      'epochs: must be an integer, not "300"; write 300, without quotes',
    ],
    [
      'a number with separators',
      { batchSize: '1_000' },
      'batchSize: must be an integer or "full", not "1_000"; write 1000, without quotes',
    ],
    ['a fraction', { epochs: '1.5' }, 'epochs: must be an integer, not 1.5'],
    ['zero', { epochs: '0' }, 'epochs: must be greater than 0, not 0'],
    ['NaN', { epochs: '.nan' }, 'epochs: must be an integer, not NaN'],
    ['infinity', { epochs: '-.inf' }, 'epochs: must be an integer, not -Infinity'],
    ['no value', { epochs: '' }, 'epochs: has no value; it must be an integer'],
    [
      'no value of a block that may be empty',
      { expect: '' },
      'expect: has no value; it must be a block; write {} for an empty one',
    ],
    ['a missing key', { epochs: null }, 'epochs: is missing (passes over the training images)'],
    [
      'a misspelt key is one mistake',
      { epochs: null, epoch: '3' },
      'epoch: unknown key; did you mean "epochs"?',
    ],
    [
      'another spelling of a key',
      { batchSize: null, batch_size: '3' },
      'batch_size: unknown key; did you mean "batchSize"?',
    ],
    [
      'a key that resembles none',
      { zebra: '1' },
      'zebra: unknown key; known here: name, plugins, dataset, network, init, loss, epochs, batchSize, seeds, evaluate, backend, device, convolutionPrecision, methods, expect, tuning',
    ],
    [
      '__proto__',
      { dataset: '{ name: mnist, __proto__: 1 }' },
      'dataset.__proto__: unknown key; known here: name, train, test, channels, limit, testLimit, validation, preprocessing, augment, stream',
    ],
    [
      'constructor',
      { dataset: '{ name: mnist, constructor: 1 }' },
      'dataset.constructor: unknown key; known here: name, train, test, channels, limit, testLimit, validation, preprocessing, augment, stream',
    ],
    [
      'a misspelt choice',
      { loss: 'crossentropy' },
      'loss: must be one of cross-entropy, mse, not "crossentropy"; did you mean "cross-entropy"?',
    ],
    [
      'swapped letters',
      { dataset: '{ name: minst }' },
      'dataset.name: must be one of mnist, fashion-mnist, kmnist, emnist-balanced, emnist-letters, emnist-digits, emnist-mnist, emnist-byclass, emnist-bymerge, cifar10, cifar100, cifar100-coarse, svhn, synthetic-digits, arrays, not "minst"; did you mean "mnist"?',
    ],
    ['a choice without value', { loss: '' }, 'loss: has no value; it is one of cross-entropy, mse'],
    [
      'no guess for short words',
      { backend: 'gpu' },
      'backend: must be one of auto, tensorflow, tensorflow-gpu, wasm, webgpu, cpu, not "gpu"',
    ],
    [
      'a misspelt alternative',
      { batchSize: 'ful' },
      'batchSize: must be an integer or "full", not "ful"; did you mean "full"?',
    ],
    [
      'a name for a block',
      { dataset: 'mnist' },
      'dataset: must be a block, not "mnist"; write { name: mnist }',
    ],
    [
      'a number for a block',
      { evaluate: '10' },
      'evaluate: must be a block, not 10; write { every: 10 }',
    ],
    [
      'a penalty weight without lifted prediction',
      { evaluate: '{ lambda: 2 }' },
      'evaluate.lambda: is used only by lifted prediction; add predict: lifted, or remove it',
    ],
    [
      'a device that the backend does not compute on',
      { backend: 'wasm', device: 'cuda' },
      'device: the backend "wasm" does not compute on the device "cuda"; backends that do: tensorflow, tensorflow-gpu',
    ],
    ['a number for a list', { seeds: '1' }, 'seeds: must be a list, not 1; write [1]'],
    ['a number for text', { name: '7' }, 'name: must be a string, not 7; write "7", in quotes'],
    [
      'a name that is no folder name',
      { name: '../up' },
      'name: must be 1 to 64 lower-case letters, digits, ".", "_" or "-", and start with a letter or a digit: it names the results folder',
    ],
    ['no seeds', { seeds: '[]' }, 'seeds: is empty; it needs at least one entry'],
    [
      'seed 0',
      { seeds: '[0]' },
      'seeds.0: must not be 0: the tensor library takes seed 0 as "unseeded", so the run would not be reproducible; use 1 to 2147483647',
    ],
    ['a negative seed', { seeds: '[-1]' }, 'seeds.0: must be at least 1, not -1'],
    [
      'a seed beyond 31 bits',
      { seeds: '[2147483648]' },
      'seeds.0: must be at most 2147483647, not 2147483648',
    ],
    [
      'a seed twice',
      { seeds: '[3, 5, 3]' },
      'seeds.2: seed 3 is given twice; the second run would repeat the first',
    ],
    ['no methods', { methods: '[]' }, 'methods: is empty; it needs at least one entry'],
    [
      'a layer as a number',
      { network: '{ layers: [30, { dense: 10 }] }' },
      'network.layers.0: must be a block, not 30; write { dense: 30 }',
    ],
    [
      'no layers',
      { network: '{ layers: [] }' },
      'network.layers: is empty; it needs at least one entry',
    ],
    [
      'a huge layer',
      { network: '{ layers: [{ dense: 100001, activation: relu }, { dense: 10 }] }' },
      'network.layers.0.dense: must be at most 100000, not 100001',
    ],
  ];
  it.each(cases)('%s', (_, changes, expected) => {
    expect(issuesOf(experimentText(changes))).toEqual([expected]);
  });
});

describe('one mistake in a method', () => {
  const cases: [string, string, string][] = [
    ['a bare name', '[adam]', 'methods.0: must be a block; write { name: adam }'],
    ['no name', '[{ learningRate: 1 }]', `methods.0.name: is missing; it is one of ${methodNames}`],
    [
      'a misspelt name',
      '[{ name: fenchl }]',
      `methods.0.name: must be one of ${methodNames}, not "fenchl"; did you mean "fenchel"?`,
    ],
    [
      'a misspelt solver',
      '[{ name: fenchel, solver: exakt }]',
      'methods.0.solver: must be one of preconditioned, exact, full-batch, not "exakt"; did you mean "exact"?',
    ],
    [
      'a solver where there is none',
      '[{ name: adam, solver: exact }]',
      'methods.0.solver: unknown key; known here: name, label, learningRate, beta1, beta2, epsilon, schedule, warmup, labelSmoothing, weightDecay, weightAverage, initializer, bias, noise, quantize, epochs, batchSize',
    ],
    [
      'a misspelt preset',
      '[{ name: fenchel, solver: exact, preset: papr }]',
      'methods.0.preset: must be "paper", not "papr"; did you mean "paper"?',
    ],
    [
      'a misspelt setting',
      '[{ name: adam, learning_rate: 1 }]',
      'methods.0.learning_rate: unknown key; did you mean "learningRate"?',
    ],
    [
      'a setting of another solver',
      '[{ name: fenchel, lambda: 1 }]',
      'methods.0.lambda: belongs to solver exact, and this is solver preconditioned',
    ],
    [
      'a setting of the experiment',
      '[{ name: adam, seeds: [1] }]',
      'methods.0.seeds: belongs at the top level of the file: it holds for all methods',
    ],
    ['out of range', '[{ name: adam, beta1: 1 }]', 'methods.0.beta1: must be less than 1, not 1'],
    [
      'infinite',
      '[{ name: sgd, learningRate: .inf }]',
      'methods.0.learningRate: must be a number, not Infinity',
    ],
    [
      'inside a block',
      '[{ name: adam, noise: { read: -0.1 } }]',
      'methods.0.noise.read: must be at least 0, not -0.1',
    ],
    [
      'too many bits',
      '[{ name: adam, quantize: { signals: 17 } }]',
      'methods.0.quantize.signals: must be at most 16, not 17',
    ],
    [
      'a number for a block',
      '[{ name: adam, noise: 0.1 }]',
      'methods.0.noise: must be a block, not 0.1; write { signal: 0.1 }',
    ],
    [
      'inside a list',
      '[{ name: fenchel, solver: exact, gamma: [1, -1] }]',
      'methods.0.gamma.1: must be at least 0, not -1',
    ],
    [
      'neither number nor list',
      '[{ name: fenchel, solver: exact, gamma: fast }]',
      'methods.0.gamma: must be a number or a list, not "fast"',
    ],
    [
      'a list of the wrong length',
      '[{ name: fenchel, solver: exact, lambda: [1, 2] }]',
      'methods.0.lambda: has 2 values, but the network has 1 hidden layer',
    ],
    [
      'the same label twice',
      '[{ name: adam }, { name: adam }]',
      'methods.1.name: two methods have the label "adam"; give one of them another label, as in label: adam-2',
    ],
    [
      'labels that differ in case',
      '[{ name: adam }, { name: sgd, label: Adam }]',
      'methods.1.label: the labels "adam" and "Adam" differ only in case, which some file systems ignore; change one of them',
    ],
    [
      'a label that is no file name',
      '[{ name: adam, label: a/b }]',
      'methods.0.label: a label is 1 to 40 letters, digits, ".", "_" or "-", and starts with a letter or a digit',
    ],
  ];
  it.each(cases)('%s', (_, methods, expected) => {
    expect(issuesOf(experimentText({ methods }))).toEqual([expected]);
  });
});

describe('keys that do not fit together', () => {
  const layers = (...list: string[]) => `{ layers: [${list.join(', ')}] }`;
  const cases: [string, Record<string, string>, string][] = [
    [
      'limit',
      { dataset: '{ name: mnist, limit: 60001 }' },
      'dataset.limit: is more than the 60000 training images of mnist',
    ],
    [
      'testLimit',
      { dataset: '{ name: mnist, testLimit: 10001 }' },
      'dataset.testLimit: is more than the 10000 test images of mnist',
    ],
    [
      'validation',
      { dataset: '{ name: mnist, limit: 500, validation: 500 }' },
      'dataset.validation: leaves nothing to train on: there are 500 training images',
    ],
    [
      'batchSize',
      { dataset: '{ name: mnist, limit: 500, validation: 450 }' },
      'batchSize: is more than the 50 training images; use at most 50, or full',
    ],
    [
      'last activation',
      { network: layers('{ dense: 5, activation: relu }', '{ dense: 10, activation: relu }') },
      'network.layers.1.activation: the last layer is linear: remove its activation',
    ],
    [
      'hidden without activation',
      { network: layers('{ dense: 5 }', '{ dense: 10 }') },
      'network.layers.0.activation: is missing: a hidden layer needs one of relu, leaky-relu, softplus, sigmoid, tanh, hard-tanh, gelu, silu, sign, step',
    ],
    [
      'linear hidden',
      { network: layers('{ dense: 5, activation: identity }', '{ dense: 10 }') },
      'network.layers.0.activation: must not be identity in a hidden layer; use one of relu, leaky-relu, softplus, sigmoid, tanh, hard-tanh, gelu, silu, sign, step',
    ],
    [
      'classes',
      { network: layers('{ dense: 12 }') },
      'network.layers.0.dense: is 12, but the last layer has one unit for each of the 10 classes of mnist; write 10, or add a layer of 10',
    ],
    [
      'nothing to lift',
      { network: layers('{ dense: 10 }'), methods: '[{ name: fenchel }]' },
      'methods.0.name: needs at least one hidden layer, and the network has none; add one, or train it with sgd or adam',
    ],
    [
      'no hidden weights',
      { network: layers('{ dense: 10 }'), methods: '[{ name: foof, stepNorm: operator }]' },
      'methods.0.stepNorm: is for the weights of hidden layers, and the network has none; remove it, or set covariance',
    ],
    [
      'a preset for another depth',
      {
        network: layers(
          '{ dense: 5, activation: relu }',
          '{ dense: 5, activation: relu }',
          '{ dense: 10 }',
        ),
        methods: '[{ name: fenchel, solver: exact, preset: paper }]',
      },
      'methods.0.preset: sets gamma, which has 2 values, but the network has 3 layers; give gamma a value of your own',
    ],
    [
      'percent',
      { expect: '{ adam: { paper: 97.6 } }' },
      'expect.adam.paper: must be at most 1, not 97.6; it is a fraction, so 97.6 % is 0.976',
    ],
    [
      'nothing expected',
      { expect: '{ adam: {} }' },
      'expect.adam: is empty: set paper, atLeast or atMost',
    ],
    [
      'impossible band',
      { expect: '{ adam: { atLeast: 0.9, atMost: 0.8 } }' },
      'expect.adam.atLeast: is more than atMost, 0.8: no accuracy can meet both',
    ],
  ];
  it.each(cases)('%s', (_, changes, expected) => {
    expect(issuesOf(experimentText(changes))).toEqual([expected]);
  });

  it('accepts the extremes', () => {
    const dataset = '{ name: mnist, limit: 60000, testLimit: 10000, validation: 59900 }';
    expect(parse(experimentText({ dataset })).experiment.batchSize).toBe(100);
    const network = '{ layers: [{ dense: 10, activation: identity }] }';
    expect(parse(experimentText({ network })).experiment.layers).toEqual([{ dense: 10 }]);
  });
});

describe('the whole message', () => {
  it('quotes each line with a caret, in file order, and counts', () => {
    const text = [
      'name: figure-2 # comment',
      'dataset: { name: mnist, limt: 500 }',
      'network:',
      '  layers:',
      '    - { dense: 300, activation: rleu }',
      '    - { dense: 10 }',
      'batchSize: 500',
      'seeds: [1, 1]',
      'methods:',
      '  - name: adam',
      '    learningRate: "0.01"',
    ].join('\n');
    expect(messageOf(text)).toBe(`\
trial.yaml:1:1 epochs: is missing (passes over the training images)
  1 | name: figure-2 # comment
    | ^^^^
trial.yaml:2:25 dataset.limt: unknown key; did you mean "limit"?
  2 | dataset: { name: mnist, limt: 500 }
    |                         ^^^^
trial.yaml:5:33 network.layers.0.activation: must be one of relu, leaky-relu, softplus, sigmoid, tanh, hard-tanh, gelu, silu, sign, step, identity, not "rleu"; did you mean "relu"?
  5 |     - { dense: 300, activation: rleu }
    |                                 ^^^^
trial.yaml:8:12 seeds.1: seed 1 is given twice; the second run would repeat the first
  8 | seeds: [1, 1]
    |            ^
trial.yaml:11:19 methods.0.learningRate: must be a number, not "0.01"; write 0.01, without quotes
  11 |     learningRate: "0.01"
     |                   ^^^^^^
5 problems.`);
  });

  it('points into a window of a very long line', () => {
    const dataset = `{ name: mnist,${' '.repeat(300)}limt: 5,${' '.repeat(300)} }`;
    const [, line, caret] = messageOf(experimentText({ dataset })).split('\n');
    expect(line.length).toBeLessThan(120);
    expect(line.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1)).toBe('limt');
  });

  it('lets no control character through to the terminal', () => {
    const message = messageOf(experimentText({ loss: '"\\e[31m\\a"' }));
    expect(message).toContain('not " [31m "');
    expect(message.replace(/\n/g, '')).not.toMatch(/\p{Cc}/u);
  });

  it('stays short when everything is wrong', () => {
    const message = messageOf(experimentText({ seeds: `[${'0, '.repeat(5000)}]` }));
    expect(message.split('\n').length).toBeLessThan(310);
    expect(message).toContain('5000 problems.');
  });
});

it('weights that nothing holds are refused: they have no unique minimiser', () => {
  const exact = (terms: string) =>
    experimentText({ methods: `[{ name: fenchel, solver: exact, ${terms} }]` });
  expect(issuesOf(exact('rho: 0, gamma: 0'))).toEqual([
    'methods.0.gamma: layer 1 has rho = 0 and gamma = 0, so its weights have no unique minimiser; give one of them a positive value',
  ]);
  expect(() => parse(exact('rho: 0, gamma: 1'))).not.toThrow();
  expect(() => parse(exact('rho: 1, gamma: 0'))).not.toThrow();
});
