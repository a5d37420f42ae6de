import { describe, expect, it } from 'vitest';
import { experimentText, issuesOf, messageOf, parse } from './helpers.js';

const methods =
  '[{ name: adam }, { name: adam, label: v1.5 }, { name: fenchel }, { name: sgd, label: plain }]';
const text = experimentText({ methods, expect: '{ v1.5: { paper: 0.9 } }' });

describe('overrides', () => {
  const cases: [
    string,
    string,
    (experiment: ReturnType<typeof parse>['experiment']) => unknown,
    unknown,
  ][] = [
    ['a number', 'epochs=7', (e) => e.epochs, 7],
    [
      'in scientific notation',
      'methods.adam.learningRate=1e-2',
      (e) => e.methods[0].config.learningRate,
      0.01,
    ],
    ['a list', 'seeds=[4, 5]', (e) => e.seeds, [4, 5]],
    ['one entry of a list', 'seeds.1=9', (e) => e.seeds, [1, 9]],
    ['a key that was absent', 'dataset.limit=1000', (e) => e.dataset.limit, 1000],
    ['a block that was absent', 'evaluate.every=3', (e) => e.evaluate, { every: 3, test: 'every' }],
    [
      'a whole block',
      'dataset={ name: mnist, testLimit: 50 }',
      (e) => e.dataset,
      { name: 'mnist', testLimit: 50, preprocessing: 'scale' },
    ],
    ['by position', 'methods.1.beta1=0.5', (e) => e.methods[1].config.beta1, 0.5],
    ['by a label with a dot', 'methods.v1.5.beta1=0.5', (e) => e.methods[1].config.beta1, 0.5],
    [
      'by a name that one method has',
      'methods.sgd.momentum=0.5',
      (e) => e.methods[3].config.momentum,
      0.5,
    ],
    [
      'a key with a dot',
      'expect.v1.5.atLeast=0.8',
      (e) => e.expect['v1.5'],
      { paper: 0.9, atLeast: 0.8 },
    ],
    ['inside a layer', 'network.layers.0.dense=64', (e) => e.network.widths, [784, 64, 10]],
    ['spaces around', ' epochs = 4', (e) => e.epochs, 4],
    ['text with an equals sign is text', 'name=trial-2', (e) => e.name, 'trial-2'],
  ];
  it.each(cases)('%s', (_, override, value, expected) => {
    expect(value(parse(text, [override]).experiment)).toEqual(expected);
  });

  it('the last one wins, and repairs the file', () => {
    expect(parse(text, ['epochs=a', 'epochs=3']).experiment.epochs).toBe(3);
    expect(parse(experimentText({ epochs: null }), ['epochs=3']).experiment.epochs).toBe(3);
  });

  it('beat the preset', () => {
    const exact = '[{ name: fenchel, solver: exact, preset: paper }]';
    const { experiment, origins } = parse(experimentText({ methods: exact }), [
      'methods.fenchel.lambda=3',
    ]);
    expect(experiment.methods[0].config).toMatchObject({ lambda: 3, lossWeight: 10 });
    expect(origins['methods.0.lambda']).toBe('command line');
    expect(origins['methods.0.lossWeight']).toBe('preset paper');
  });

  it('change only the expansion of an alias that they name', () => {
    const shared = '\n  - &a { name: adam, bias: 1 }\n  - { <<: *a, label: b }';
    const { experiment } = parse(experimentText({ methods: shared }), ['methods.b.bias=2']);
    expect(experiment.methods.map(({ config }) => config.bias)).toEqual([1, 2]);
  });
});

describe('mistakes on the command line', () => {
  const cases: [string, string][] = [
    ['epochs=abc', ': must be an integer, not "abc"'],
    ['epochs="3"', ': must be an integer, not "3"; write 3, without quotes'],
    ['epochs=', ': has no value; it must be an integer'],
    ['epochs=null', ': has no value; it must be an integer'],
    ['seeds= ~ # none', ': has no value; it must be a list'],
    ['epochs', ': expected path=value, as in epochs=2'],
    ['epochz=3', ': unknown key; did you mean "epochs"?'],
    ['.limit=3', ': expected a path before "=", as in dataset.limit=1000'],
    ['dataset.limt=3', ': unknown key; did you mean "limit"?'],
    ['epochs.max=3', ': epochs is 2, and has no key "max"'],
    ['seeds.5=3', ': there is no seeds.5: the list has the positions 0 to 1'],
    ['seeds.first=3', ': seeds is a list: "first" is not a position in it'],
    ['seeds=[1', ': in the value, the list opened with "[" is not closed with "]"'],
    ['seeds=[1, 1]', ' (seeds.1): seed 1 is given twice; the second run would repeat the first'],
    ['methods.adm.bias=1', ': no method has the label "adm"; did you mean "adam"?'],
    [
      'methods.zebra.bias=1',
      ': no method has the label "zebra"; the labels are adam, v1.5, fenchel, plain',
    ],
    [
      'methods.plain.learningrate=1',
      ' (methods.3.learningrate): unknown key; did you mean "learningRate"?',
    ],
    ['__proto__.polluted=1', ': unknown key "__proto__"'],
    [
      'dataset.constructor.prototype=1',
      ' (dataset.constructor): unknown key; known here: name, train, test, channels, limit, testLimit, validation, preprocessing, augment, stream',
    ],
    ['batchSize=60001', ': is more than the 60000 training images; use at most 60000, or full'],
  ];
  it.each(cases)('%s', (override, expected) => {
    expect(messageOf(text, [override])).toBe(`command line: ${override}${expected}`);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it('a name that several methods have', () => {
    const twins = '[{ name: sgd, label: a }, { name: sgd, label: b }]';
    expect(issuesOf(experimentText({ methods: twins }), ['methods.sgd.bias=1'])).toEqual([
      'command line: methods.sgd.bias=1: several methods have the name "sgd"; use a position, as in methods.0, or one of the labels a, b',
    ]);
  });

  it('come after those of the file, all at once', () => {
    expect(issuesOf(experimentText({ loss: 'mes' }), ['epochs=x', 'sedes=[1]'])).toEqual([
      'loss: must be one of cross-entropy, mse, not "mes"; did you mean "mse"?',
      'command line: epochs=x: must be an integer, not "x"',
      'command line: sedes=[1]: unknown key; did you mean "seeds"?',
    ]);
  });
});
