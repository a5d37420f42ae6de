import { describe, expect, it } from 'vitest';
import { experimentText, issuesOf, parse } from './helpers.js';

const lifted = ['taylor-admm', 'lau-bcd', 'askari-bcd', 'zhang-brand', 'mac', 'lpom'];
const listOf = (names: readonly string[]) =>
  `[${names.map((name) => `{ name: ${name} }`).join(', ')}]`;
const network = (...layers: string[]) => `{ layers: [${layers.join(', ')}, { dense: 10 }] }`;
const relu = '{ dense: 30, activation: relu }';

const text = (changes: Record<string, string>) =>
  experimentText({ loss: 'mse', batchSize: 'full', methods: listOf(lifted), ...changes });

describe('a lifted baseline', () => {
  it('trains with the squared error on all images, on one hidden layer of ReLUs', () => {
    const { experiment } = parse(text({}));
    expect(experiment.methods.map(({ definition }) => definition.fullBatch)).toEqual(
      lifted.map(() => true),
    );
  });

  it('refuses batches, which sgd beside it may have', () => {
    const issues = issuesOf(text({ batchSize: '500' }));
    expect(issues).toHaveLength(lifted.length);
    expect(issues[1]).toBe(
      'methods.1.name: lau-bcd takes all training images in every step, not 500; set batchSize: full for it, or at the top level',
    );
    const own = '[{ name: lau-bcd, batchSize: full }, { name: sgd }]';
    expect(parse(text({ batchSize: '500', methods: own })).experiment.methods).toHaveLength(2);
    expect(issuesOf(text({ methods: '[{ name: lau-bcd, batchSize: 100 }]' }))).toEqual([
      'methods.0.batchSize: must be full: lau-bcd takes all training images in every step',
    ]);
  });

  const cases: [string, Record<string, string>, string][] = [
    ['another loss', { loss: 'cross-entropy' }, 'needs loss: mse, and the loss is cross-entropy'],
    [
      'another activation',
      { network: network(relu.replace('relu', 'tanh')) },
      'is defined for relu, and hidden layer 1 has tanh',
    ],
    [
      'convolutions',
      { network: network('{ conv: 4, kernel: 5, activation: relu }') },
      'is defined for fully connected layers, and the network has convolutions or pooling',
    ],
    [
      'nothing to lift',
      { network: '{ layers: [{ dense: 10 }] }' },
      'needs a hidden layer, and the network has none',
    ],
  ];
  it.each(cases)('refuses %s, and says why', (_, changes, message) => {
    const issues = issuesOf(text(changes));
    expect(issues).toHaveLength(lifted.length);
    for (const issue of issues) expect(issue).toContain(message);
  });

  it('refuses a depth that its sub-problems are not defined for', () => {
    expect(issuesOf(text({ network: network(relu, relu) }))).toEqual(
      ['askari-bcd', 'mac'].map(
        (name) =>
          `methods.${lifted.indexOf(name)}.name: is defined for one hidden layer, and the network has 2; remove 1, or use taylor-admm, lau-bcd, zhang-brand or lpom`,
      ),
    );
  });

  it('checks the length of a list with one value a layer', () => {
    expect(issuesOf(text({ methods: '[{ name: lpom, mu: [1, 1, 1] }]' }))).toEqual([
      'methods.0.mu: has 3 values, but the network has 2 layers',
    ]);
    expect(issuesOf(text({ methods: '[{ name: zhang-brand, gamma: [1, 1] }]' }))).toEqual([
      'methods.0.gamma: has 2 values, but the network has 1 hidden layer',
    ]);
  });

  it("takes its number of iterations from its preset, and the user's own before that", () => {
    const presets = '[{ name: lau-bcd, preset: paper }, { name: askari-bcd, preset: paper }]';
    const epochs = (...overrides: string[]) =>
      parse(text({ methods: presets }), overrides).experiment.methods.map(
        (method) => method.epochs,
      );
    expect(epochs()).toEqual([100, 20]);
    expect(epochs('methods.lau-bcd.epochs=7')).toEqual([7, 20]);
  });
});

describe('a network with gelu', () => {
  it('is refused, with the reason, where a sub-problem is not convex, and only there', () => {
    const gelu = network('{ dense: 30, activation: relu }', '{ dense: 30, activation: gelu }');
    const exact = '[{ name: fenchel, solver: exact }]';
    expect(issuesOf(experimentText({ network: gelu, methods: exact }))).toEqual([
      'methods.0.name: needs monotone activations, for convex sub-problems, and hidden layer 2 has gelu, which is not monotone; use fenchel without solver: exact, or a method that back-propagates, such as foof or adam',
    ]);
    const rest = {
      evaluate: '{ predict: lifted }',
      methods: '[{ name: fenchel }, { name: adam }]',
    };
    const [{ config }] = parse(experimentText({ network: gelu, ...rest })).experiment.methods;
    expect(config).toMatchObject({ initializer: ['lecun', 'he', 'lecun'] });
    const softplus = network('{ dense: 30, activation: softplus }');
    const [plain] = parse(experimentText({ network: softplus, ...rest })).experiment.methods;
    expect(plain.config).toMatchObject({ initializer: ['lecun', 'lecun'] });
  });
});

describe('a network of signs', () => {
  const signs = network('{ dense: 30, activation: sign }');
  const of = (changes: Record<string, string>) => experimentText({ network: signs, ...changes });

  it('has smoothing by default where the signal is lifted, and initial weights to its scale', () => {
    const { experiment } = parse(of({ methods: '[{ name: fenchel }, { name: foof }]' }));
    const [fenchel, foof] = experiment.methods.map(({ config }) => config);
    expect(fenchel).toMatchObject({ smoothing: { from: 1, to: 0.3 } });
    expect(foof).toMatchObject({ smoothing: 'none' });
    const step = `{ layers: [${['sign', 'step'].map((name) => `{ dense: 30, activation: ${name} }`)}, { dense: 30, activation: sign }, { dense: 10 }] }`;
    const [{ config }] = parse(of({ network: step, methods: '[{ name: fenchel }]' })).experiment
      .methods;
    expect(config).toMatchObject({ initializer: ['lecun', 'lecun', 'he', 'lecun'] });
  });

  it('is refused, with the reason, where a slope is needed', () => {
    expect(issuesOf(of({ methods: '[{ name: fenchel, solver: exact, preset: paper }]' }))).toEqual([
      'methods.0.name: needs activations of bounded slope for the step sizes of its solvers, and hidden layer 1 has sign, which jumps; use fenchel without solver: exact, or a method that back-propagates, such as foof or adam',
    ]);
    expect(issuesOf(of({ evaluate: '{ predict: lifted }' }))).toEqual([
      'evaluate.predict: lifted needs an activation of bounded slope in the last hidden layer, which has sign, and that jumps; remove it',
    ]);
    const smooth = '[{ name: fenchel, smoothing: { from: 1, to: 0.1 } }]';
    expect(issuesOf(experimentText({ methods: smooth }))).toEqual([
      'methods.0.smoothing: is for the activations sign and step, of which the network has none; remove it, or set none',
    ]);
    expect(
      issuesOf(of({ methods: '[{ name: foof, smoothing: { from: 1, to: 0 } }]' })),
    ).toHaveLength(1);
  });
});
