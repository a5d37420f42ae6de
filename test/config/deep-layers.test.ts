import { describe, expect, it } from 'vitest';
import { readyNetworkNames } from '../../src/config/ready-networks.js';
import { storedShape } from '../../src/core/network/weight-layout.js';
import { experimentText, issuesOf, parse } from './helpers.js';

const layers = (...entries: string[]) => `{ layers: [${entries.join(', ')}] }`;
const conv = '{ conv: 6, kernel: 3, padding: same, norm: batch, activation: relu }';
const last = '{ dense: 10 }';
const cifar = { dataset: '{ name: cifar10 }' };
const methods = (...entries: string[]) => `\n${entries.map((entry) => `  - ${entry}`).join('\n')}`;

const weightsOf = (network: string) =>
  parse(experimentText({ ...cifar, network })).experiment.network.layers.reduce(
    (sum, layer) => sum + storedShape(layer).reduce((a, b) => a * b, 1),
    0,
  );

describe('ready networks', () => {
  it('have the numbers of weights of their sources', () => {
    const weights = Object.fromEntries(
      readyNetworkNames.map((name) => [name, weightsOf(`{ name: ${name} }`)]),
    );
    expect(weights).toEqual({
      lenet5: 3 * 25 * 6 + 25 * 6 * 16 + 400 * 120 + 120 * 84 + 840,
      'vgg-small': 9 * (3 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128) + 1280,
      // 0.27 million in Table 6 of He et al. 2016, biases and norms included.
      'resnet-small':
        9 * (3 * 16 + 6 * 16 ** 2 + 16 * 32 + 5 * 32 ** 2 + 32 * 64 + 5 * 64 ** 2) + 640,
      airbench94:
        12 * 24 + 9 * (24 * 64 + 64 * 64 + 64 * 256 + 256 * 256 + 256 * 256 + 256 * 256) + 2560,
    });
  });

  it('are written out in the resolved config, which is the same experiment', () => {
    const named = parse(experimentText({ ...cifar, network: '{ name: resnet-small }' })).experiment;
    const written = JSON.stringify(named.resolved.network);
    const again = parse(experimentText({ ...cifar, network: written })).experiment;
    expect(again.hash).toBe(named.hash);
  });
});

describe('convolutionPrecision', () => {
  const precision = { ...cifar, convolutionPrecision: 'bfloat16' };
  const network = layers(conv, last);

  it('is part of the experiment, which is another one with it', () => {
    const { experiment } = parse(experimentText({ ...precision, network }));
    expect(experiment.convolutionPrecision).toBe('bfloat16');
    expect(experiment.hash).not.toBe(parse(experimentText({ ...cifar, network })).experiment.hash);
  });

  it.each([
    [
      'a network without convolutions',
      {},
      'is for convolutions, and the network has none; remove it',
    ],
    [
      'another backend',
      { network, backend: 'wasm' },
      'bfloat16 is for the backend tensorflow, and backend is wasm; change one of them',
    ],
  ])('refuses %s', (_, changes, problem) => {
    const issues = issuesOf(experimentText({ ...precision, ...changes }));
    expect(issues).toEqual([`convolutionPrecision: ${problem}`]);
  });

  it.each([
    ['fenchel with solver: exact', { methods: methods('{ name: fenchel, solver: exact }') }],
    ['lau-bcd', { batchSize: 'full', methods: methods('{ name: lau-bcd }') }],
  ])('refuses %s, which solves sub-problems', (name, changes) => {
    const plain = layers('{ conv: 6, kernel: 3, activation: relu }', last);
    const issues = issuesOf(experimentText({ ...precision, network: plain, ...changes }));
    expect(issues).toContain(
      `methods.0.name: ${name} solves its sub-problems in float32, and convolutionPrecision is bfloat16; remove one of the two`,
    );
  });
});

it('refuses muon with weightNorm: fixed where no layer has a norm', () => {
  const own = methods('{ name: muon, weightNorm: fixed }');
  expect(issuesOf(experimentText({ methods: own }))).toEqual([
    'methods.0.weightNorm: fixed is for layers with a norm, and the network has none; remove it',
  ]);
  expect(
    parse(experimentText({ ...cifar, network: layers(conv, last), methods: own })).experiment
      .methods,
  ).toHaveLength(1);
});

describe('blocks of layers', () => {
  it('repeat entries, each with weights of its own, and add the input of a residual block', () => {
    const block = `{ residual: [${conv}, { conv: 6, kernel: 3, padding: same }], activation: relu }`;
    const network = layers(
      conv,
      `{ repeat: 3, layers: [${block}] }`,
      '{ globalPool: average }',
      last,
    );
    const { experiment } = parse(experimentText({ ...cifar, network }));
    expect(experiment.network.layers.map(({ skipFrom }) => skipFrom)).toEqual([
      undefined,
      undefined,
      1,
      undefined,
      3,
      undefined,
      5,
      undefined,
    ]);
    expect(experiment.network.layers[7].pool).toBe(32);
  });

  const residual = (...inside: string[]) =>
    layers(conv, `{ residual: [${inside.join(', ')}], activation: relu }`, last);
  const refused: [string, string, string[]][] = [
    [
      'an activation inside',
      residual(conv),
      [
        'network.layers.1.residual.0.activation: is that of the last layer of a residual block; write it beside residual, after whose sum it is',
      ],
    ],
    [
      'another size',
      residual('{ conv: 6, kernel: 4 }'),
      [
        'network.layers.1: turns 32 x 32 into 29 x 29: the skip connection needs sides that are divided by a whole number, or padding: same',
      ],
    ],
    [
      'fewer channels',
      residual('{ conv: 5, kernel: 1 }'),
      [
        'network.layers.1: has 5 channels at its end and 6 at its start: the skip connection needs at least as many',
      ],
    ],
    [
      'pooling at its end',
      residual('{ conv: 6, kernel: 1, activation: relu }', '{ maxPool: 2 }'),
      [
        'network.layers.1.residual.1: must not be the last entry of a residual block, to whose pre-activations the input is added',
        'network.layers.1.activation: pooling has no activation: the layer before it has one',
      ],
    ],
    [
      'the largest values of the input that they add',
      residual('{ maxPool: 2 }', '{ conv: 6, kernel: 1 }'),
      [
        'network.layers.1.residual.0: must not be the first entry of a residual block: it pools the input that the block adds too; write it before the block',
      ],
    ],
    [
      'the end of the network',
      layers(conv, '{ residual: [{ conv: 6, kernel: 1 }], activation: relu }'),
      [
        'network.layers.1: cannot be the last layer: add a dense layer with one unit per class',
        'network.layers.1.activation: the last layer is linear: remove its activation',
      ],
    ],
    [
      'a norm at the end',
      layers('{ dense: 10, norm: batch }'),
      ['network.layers.0.norm: is for hidden layers: the last layer is linear'],
    ],
    [
      'an even window',
      layers('{ conv: 6, kernel: 4, padding: same, activation: relu }', last),
      ['network.layers.0.padding: same needs an odd kernel, and it is 4'],
    ],
    [
      'whitening of activations',
      layers(conv, '{ whiten: 2, activation: relu }', last),
      ['network.layers.1.whiten: must be the first layer'],
    ],
    [
      'more filters than there are',
      layers('{ whiten: 1, filters: 8, activation: relu }', last),
      ['network.layers.0.filters: is more than the 6 eigenvectors with both signs'],
    ],
    [
      'an odd number of filters',
      layers('{ whiten: 2, filters: 3, activation: relu }', last),
      ['network.layers.0.filters: must be a multiple of 2, not 3'],
    ],
    [
      'whitening of whole images',
      layers('{ whiten: 32, activation: relu }', last),
      [
        'network.layers.0.whiten: has windows of 3072 values, and the eigenvectors of more than 1024 take minutes; use a smaller window',
      ],
    ],
    [
      'pooling of the images',
      layers('{ maxPool: 2 }', last),
      ['network.layers.0: pools the activations of the layer before it, and there is none'],
    ],
    [
      'no layers',
      '{}',
      ['network: has no layers: write layers, or name, the name of a ready network'],
    ],
    [
      'layers twice',
      `{ name: lenet5, layers: [${last}] }`,
      ['network.name: is a network of its own, and there are layers too; remove one of the two'],
    ],
    [
      'nothing to repeat',
      layers('{ repeat: 2 }', last),
      ['network.layers.0: needs layers (what is repeated)'],
    ],
  ];

  it.each(refused)('refuse %s', (_, network, expected) => {
    expect(issuesOf(experimentText({ ...cifar, network }))).toEqual(expected);
  });
});

it('a batch of one image is refused where a batch norm would see one value, and only there', () => {
  const text = (layer: string) =>
    experimentText({ ...cifar, network: layers(layer, last), batchSize: '1' });
  expect(issuesOf(text('{ dense: 6, norm: batch, activation: relu }'))).toEqual([
    'batchSize: must be at least 2: layer 1 has a batch norm, and one image gives it one value of each unit, whose variance is 0',
  ]);
  expect(parse(text(conv)).experiment.batchSize).toBe(1);
});

describe('methods that need a chain of maps and activations', () => {
  const network = layers(conv, last);
  const issues = (...entries: string[]) =>
    issuesOf(experimentText({ ...cifar, network, methods: methods(...entries) }));

  it('refuse other stages, with the reason and the way out', () => {
    const way =
      'and layer 1 has a norm; use fenchel without solver: exact, or a method that back-propagates, such as sgd, adam or muon';
    expect(issues('{ name: fenchel, solver: exact }', '{ name: kfac }')).toEqual([
      `methods.0.name: its blocks are a map and an activation each, ${way}`,
      `methods.1.name: its factors are of layers whose bias is a part of the map, ${way}`,
    ]);
    expect(issues('{ name: adam, learningRate: 0.1, noise: { read: 0.1 } }')).toEqual([
      'methods.0.noise: is for networks of maps and activations alone, without norms, max-pooling, residual blocks, dropout and whitening; remove it',
    ]);
    expect(issues('{ name: foof, stepNorm: covariance }')).toEqual([
      'methods.0.stepNorm: covariance is for layers whose bias is a part of the map, and that of layer 1 is added after a norm; remove it, or set operator',
    ]);
  });

  it('leave the others, whose steps are in the operator norm', () => {
    const text = experimentText({
      ...cifar,
      network,
      methods: methods('{ name: fenchel }', '{ name: muon, label: m }', '{ name: soap }'),
    });
    expect(parse(text).experiment.methods[0].config.stepNorm).toBe('operator');
  });
});
