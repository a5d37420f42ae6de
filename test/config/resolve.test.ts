import { describe, expect, it } from 'vitest';
import { printConfig, resolvedYaml } from '../../src/config/print.js';
import type { NetworkShape } from '../../src/core/methods/method.js';
import { methods } from '../../src/core/methods/registry.js';
import { activationNames } from '../../src/core/network/names.js';
import { denseLayers } from '../../src/core/network/shape.js';
import { experimentText, parse } from './helpers.js';

const everyMethod = experimentText({
  network: '{ layers: [{ dense: 30, activation: tanh }, { dense: 10 }] }',
  methods: `
  - { name: fenchel, rmsChange: 7 }
  - { name: fenchel, label: exact, solver: exact, preset: paper, gamma: 1 }
  - { name: sgd }
  - { name: adam, learningRate: 1.0e-7 }`,
  expect: '{ exact: { paper: 0.976 } }',
});

describe('the value of a method field', () => {
  const { experiment, origins } = parse(everyMethod);
  const fast = methods.find(({ solver }) => solver === 'preconditioned');

  it('is the explicit one before all others', () => {
    expect(experiment.methods[0].config.rmsChange).toBe(7);
    expect(origins['methods.0.rmsChange']).toBe('trial.yaml:8');
    expect(experiment.methods[1].config.gamma).toBe(1);
    expect(origins['methods.1.gamma']).toBe('trial.yaml:9');
  });

  it("is the preset's before the default", () => {
    expect(experiment.methods[1].config).toMatchObject({ lossWeight: 10, bias: 0.1 });
    expect(origins['methods.1.bias']).toBe('preset paper');
  });

  it("is the network's default before the schema's", () => {
    const forTanh = fast?.defaults?.(experiment.network) ?? {};
    expect(Object.keys(forTanh)).toContain('initializer');
    expect(experiment.methods[0].config).toMatchObject({ ...forTanh, rmsChange: 7 });
    expect(origins['methods.0.initializer']).toBe('default for this network');
    expect(origins['methods.0.damping']).toBe('default');
  });

  it('may depend on the other fields', () => {
    const operator = parse(
      experimentText({
        methods: '[{ name: foof, stepNorm: operator, momentum: 0.3 }, { name: fenchel }]',
      }),
    );
    const [foof, fenchel] = operator.experiment.methods;
    expect(foof.config).toMatchObject({ momentum: 0.3, weightDecay: 0 });
    expect(fenchel.config).toMatchObject({ momentum: 0.5, weightDecay: 0.02 });
    expect(operator.origins['methods.0.weightDecay']).toBe('default with the other fields');
    expect(operator.origins['methods.1.weightDecay']).toBe('default');
  });

  it('is never absent, but where the experiment has one too, on ideal hardware, and without a limit', () => {
    const optional = ['preset', 'epochs', 'batchSize', 'noise', 'quantize', 'maxChange'];
    for (const { definition, config } of experiment.methods) {
      const fields = Object.keys(definition.schema.shape).filter((key) => !optional.includes(key));
      expect(Object.keys(config)).toEqual(expect.arrayContaining(fields));
    }
  });
});

describe('every method of the registry', () => {
  const shapes = activationNames.map(
    (activation): NetworkShape => ({
      layers: denseLayers([784, 30, 10]),
      widths: [784, 30, 10],
      activations: [activation],
      loss: 'cross-entropy',
    }),
  );
  it.each(
    methods.map(
      (definition) => [`${definition.name} ${definition.solver ?? ''}`, definition] as const,
    ),
  )(
    '%s has presets and defaults that its own schema accepts',
    (_, { name, solver, schema, presets, defaults }) => {
      const base = { name, ...(solver && { solver }) };
      for (const [preset, values] of Object.entries(presets ?? {})) {
        expect(schema.safeParse({ ...base, preset, ...values }).error).toBeUndefined();
      }
      for (const shape of shapes) {
        expect(schema.safeParse({ ...base, ...defaults?.(shape) }).error).toBeUndefined();
      }
    },
  );
});

describe('the resolved config', () => {
  const loaded = parse(everyMethod);

  it('loads again to the same experiment, and prints the same', () => {
    const text = resolvedYaml(loaded.experiment);
    const again = parse(text).experiment;
    expect(again.hash).toBe(loaded.experiment.hash);
    expect(again.resolved).toEqual(loaded.experiment.resolved);
    expect(resolvedYaml(again)).toBe(text);
  });

  it('is printed with the origin of every value', () => {
    const loaded = parse(experimentText(), ['seeds.0=7', 'network.layers.0.dense=20']);
    expect(printConfig(loaded)).toBe(`\
name: trial                            # trial.yaml:1
dataset:
  name: mnist                          # trial.yaml:2
  preprocessing: scale                 # default
network:
  layers:
    - { dense: 20, activation: relu }  # dense: command line; activation: trial.yaml:3
    - { dense: 10 }                    # trial.yaml:3
loss: cross-entropy                    # default
epochs: 2                              # trial.yaml:4
batchSize: 100                         # trial.yaml:5
seeds: [ 7, 2 ]                        # trial.yaml:6, command line
evaluate:
  every: 10                            # default
  test: every                          # default
backend: auto                          # default
methods:
  - name: adam                         # trial.yaml:7
    label: adam                        # default: the method's name
    learningRate: 0.001                # default
    beta1: 0.9                         # default
    beta2: 0.999                       # default
    epsilon: 1e-7                      # default
    schedule: constant                 # default
    warmup: 0                          # default
    labelSmoothing: 0                  # default
    weightDecay: 0                     # default
    weightAverage: 0                   # default
    initializer: xavier                # default
    bias: 0                            # default
expect: {}
`);
  });

  it('prints YAML that loads to the same experiment', () => {
    expect(parse(printConfig(loaded)).experiment.hash).toBe(loaded.experiment.hash);
  });

  it('has an origin for every line with a value', () => {
    const bare = printConfig(loaded)
      .split('\n')
      .filter((line) => !line.includes('#') && !/^( *[\w-]+:)?$/.test(line.trimEnd()));
    expect(bare).toEqual([]);
  });
});

describe('the hash', () => {
  const hash = (changes: Record<string, string>, overrides: string[] = []) =>
    parse(experimentText(changes), overrides).experiment.hash;
  const methods = '[{ name: adam }, { name: sgd }]';
  const base = hash({ methods });

  it('is 12 hex digits', () => {
    expect(base).toMatch(/^[0-9a-f]{12}$/);
  });

  it.each<[string, Record<string, string>]>([
    ['the name', { name: 'other' }],
    ['what is expected', { expect: '{ adam: { paper: 0.9 } }' }],
    ['a default written out', { loss: 'cross-entropy' }],
    ['feed-forward prediction written out', { evaluate: '{ predict: feed-forward }' }],
    ['the order of methods', { methods: '[{ name: sgd }, { name: adam }]' }],
    ['the order of seeds', { seeds: '[2, 1]' }],
    [
      'a linear last layer written out',
      {
        network:
          '{ layers: [{ dense: 30, activation: relu }, { dense: 10, activation: identity }] }',
      },
    ],
  ])('does not depend on %s', (_, changes) => {
    expect(hash({ methods, ...changes })).toBe(base);
  });

  it('depends on everything else', () => {
    const changes = [
      'dataset.name=synthetic-digits',
      'dataset.limit=5000',
      'dataset.testLimit=100',
      'dataset.validation=100',
      'dataset.preprocessing=standardize',
      'network.layers.0.dense=31',
      'network.layers.0.activation=tanh',
      'loss=mse',
      'epochs=3',
      'batchSize=full',
      'seeds=[1]',
      'evaluate.every=11',
      'evaluate.test=last',
      'evaluate.predict=lifted',
      'backend=cpu',
      'device=cpu',
      'methods.0.label=other',
      'methods.adam.learningRate=0.1',
      'methods.adam.noise.read=0.1',
      'methods.adam.quantize.signals=4',
      'methods.1.name=fenchel',
    ];
    const hashes = changes.map((change) => hash({ methods }, [change]));
    expect(new Set([base, ...hashes]).size).toBe(changes.length + 1);
  });
});
