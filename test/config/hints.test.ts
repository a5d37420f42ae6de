import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { seedsOf } from '../../src/cli/options.js';
import { loadExperiment, parseExperiment } from '../../src/config/load.js';
import { methods } from '../../src/core/methods/registry.js';
import { experimentText } from './helpers.js';

const load = (changes: Record<string, string>, ...overrides: string[]) =>
  parseExperiment(experimentText(changes), 'x.yaml', overrides);

function refusal(changes: Record<string, string>, ...overrides: string[]): string {
  try {
    load(changes, ...overrides);
  } catch (error) {
    expect(error).toMatchObject({ exitCode: 2 });
    return (error as Error).message;
  }
  throw new Error('nothing was wrong');
}

describe('a field of a method, given to the experiment', () => {
  const two = '[{ name: fenchel }, { name: fenchel, label: slow, solver: exact }, { name: adam }]';

  it.each([
    [
      'lambda=2',
      'methods.fenchel.lambda with methods.fenchel.solver=exact or full-batch, methods.slow.lambda (solver exact)',
    ],
    [
      'stepSize=3',
      'methods.fenchel.stepSize with methods.fenchel.solver=full-batch, methods.slow.stepSize with methods.slow.solver=full-batch',
    ],
    ['beta1=0.8', 'methods.adam.beta1'],
    [
      'solver=exact',
      'methods.fenchel.solver (solver preconditioned), methods.slow.solver (solver exact)',
    ],
  ])('is sent to its place: %s', (override, places) => {
    const message = `command line: ${override}: is a field of a method: ${places}`;
    expect(refusal({ methods: two }, override)).toBe(message);
  });

  it('is sent there from the file too, and when it is misspelt', () => {
    expect(refusal({ methods: two, learningRate: '0.1' })).toContain(
      'learningRate: is a field of a method: methods.adam.learningRate\n',
    );
    expect(refusal({ methods: two }, 'learnignRate=0.1')).toBe(
      'command line: learnignRate=0.1: unknown key; did you mean "learningRate"? It is a field of a method: methods.adam.learningRate',
    );
  });

  it('is sent to the methods that have it, where the config has none of them', () => {
    expect(refusal({ methods: '[{ name: sgd }]' }, 'beta1=0.9')).toMatch(
      /: is a field of adam, soap, which are not among the methods of this config$/,
    );
  });

  it('is known by the label that it begins with', () => {
    expect(refusal({ methods: two }, 'slow.stepSize=3')).toBe(
      'command line: slow.stepSize=3 (slow): is a method: its fields are set as methods.slow.FIELD',
    );
  });

  const own = ['name', 'epochs', 'batchSize'];
  const fields = methods.flatMap(({ schema }) => Object.keys(schema.shape));
  it.each([...new Set(fields)].filter((field) => !own.includes(field)))('%s', (field) => {
    expect(refusal({ methods: '[{ name: fenchel }, { name: adam }]' }, `${field}=1`)).toMatch(
      new RegExp(`: is a field of (a method: methods\\.(fenchel|adam)\\.${field}|[a-z-]+)`),
    );
  });
});

describe('ranges of seeds', () => {
  it.each([
    ['1-5', [1, 2, 3, 4, 5]],
    ['1,3-5', [1, 3, 4, 5]],
    ['3-4, 1', [3, 4, 1]],
    ['[1, 3-5, 9]', [1, 3, 4, 5, 9]],
    ['"2-2"', [2]],
  ])('%s', (text, seeds) => {
    expect(load({ seeds: text }).experiment.seeds).toEqual(seeds);
    expect(load({}, `seeds=${text}`).experiment.seeds).toEqual(seeds);
    const list = load({}, `seeds=[${seeds}]`).experiment;
    expect(load({ seeds: text }).experiment.hash).toBe(list.hash);
  });

  it('are taken by --seeds', () => {
    expect(seedsOf('seeds')('1,3-5')).toEqual([1, 3, 4, 5]);
    expect(seedsOf('seeds')(['7', '1-2'])).toEqual([7, 1, 2]);
    expect(() => seedsOf('seeds')('0')).toThrow(
      '--seeds: expected positive integers and ranges, as in 1-5 or 1,3-5, got "0"',
    );
  });

  it.each([
    ['5-1', 'seeds=5-1: the range 5-1 ends before it begins'],
    ['1-', 'seeds=1-: expected positive integers and ranges, as in 1-5 or 1,3-5, got "1-"'],
    ['0-3', 'seeds=0-3: expected positive integers and ranges, as in 1-5 or 1,3-5, got "0-3"'],
    ['1-999999999', 'seeds=1-999999999: "1-999999999" has more than 10000 seeds'],
    ['[1, 5-2]', 'seeds=[1, 5-2] (seeds.1): the range 5-2 ends before it begins'],
    [
      '[1-3, 2]',
      'seeds=[1-3, 2] (seeds.3): seed 2 is given twice; the second run would repeat the first',
    ],
  ])('that are none are refused: %s', (text, message) => {
    expect(refusal({}, `seeds=${text}`)).toBe(`command line: ${message}`);
  });
});

describe('expectations of a method that the file does not have', () => {
  const expectation = '{ adam: { paper: 0.9 }, lpom: { atLeast: 0.9 }, amad: { atLeast: 0.8 } }';

  it('are left out, with a warning for each', () => {
    const { experiment, warnings } = load({ methods: '[{ name: adam }]', expect: expectation });
    expect(experiment.expect).toEqual({ adam: { paper: 0.9 } });
    expect(experiment.resolved.expect).toEqual({ adam: { paper: 0.9 } });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(
      /^x\.yaml:\d+:\d+ expect\.lpom: no method has this label; the labels are adam\n/,
    );
    expect(warnings[1]).toContain('expect.amad: no method has this label; did you mean "adam"?');
  });

  it('are left out whatever they are called', () => {
    const { experiment, warnings } = load({ expect: '{ __proto__: { paper: 0.9 } }' });
    expect(experiment.expect).toEqual({});
    expect(warnings[0]).toContain(
      'expect.__proto__: no method has this label; the labels are adam',
    );
  });

  it('are an error on the command line, where they are a slip', () => {
    expect(refusal({ methods: '[{ name: adam }]' }, 'expect.amad.atLeast=0.9')).toBe(
      'command line: expect.amad.atLeast=0.9 (expect.amad): no method has this label; did you mean "adam"?',
    );
  });
});

describe('tuning of a method', () => {
  const cost = '{ trials: 12, batches: 14400, seconds: 90.5, validationAccuracy: 0.98 }';

  it('is not part of the hash, and of an absent method left out with a warning', () => {
    const plain = load({ methods: '[{ name: adam }]' });
    const tuned = load({ methods: '[{ name: adam }]', tuning: `{ adam: ${cost}, sgd: ${cost} }` });
    expect(tuned.experiment.hash).toBe(plain.experiment.hash);
    expect(plain.experiment.resolved).not.toHaveProperty('tuning');
    expect(Object.keys(tuned.experiment.tuning ?? {})).toEqual(['adam']);
    expect(tuned.warnings).toEqual([
      expect.stringContaining('tuning.sgd: no method has this label; the labels are adam'),
    ]);
    expect(refusal({ tuning: '{ adam: { trials: 0, batches: 1, seconds: 1 } }' })).toContain(
      'tuning.adam.trials: must be greater than 0, not 0',
    );
  });
});

describe('a config that is not there', () => {
  const folder = () => {
    const path = mkdtempSync(join(tmpdir(), 'fln-hints-'));
    onTestFinished(() => rmSync(path, { recursive: true }));
    mkdirSync(join(path, 'configs', 'sweeps'), { recursive: true });
    mkdirSync(join(path, 'node_modules', 'configs'), { recursive: true });
    for (const name of [
      'configs/quickstart.yaml',
      'configs/sweeps/quickstart.yaml',
      'configs/mnist-mlp.yaml',
      'node_modules/configs/other.yaml',
    ]) {
      writeFileSync(join(path, name), experimentText());
    }
    return path;
  };

  it.each([
    ['configs/quikstart.yaml', 'configs/quickstart.yaml'],
    ['configs/quickstart.yml', 'configs/quickstart.yaml'],
    ['confg/quickstart.yaml', 'configs/quickstart.yaml'],
    ['confg/quikstart.yaml', 'configs/quickstart.yaml'],
    ['quickstart', 'configs/quickstart.yaml'],
    ['configs/sweep/quickstart.yaml', 'configs/sweeps/quickstart.yaml'],
    ['mnist_mlp.yaml', 'configs/mnist-mlp.yaml'],
    ['sweeps/quickstart.yaml', 'configs/sweeps/quickstart.yaml'],
    ['configs/quickstart.yaml/', 'configs/quickstart.yaml'],
  ])('%s is answered with %s', (wrong, right) => {
    const path = folder();
    expect(() => loadExperiment(join(path, wrong))).toThrow(
      `${join(path, wrong)}: no such file; did you mean "${join(path, right)}"?`,
    );
  });

  it('is not answered with one of another name, or of a package', () => {
    for (const wrong of ['zebra.yaml', 'other.yaml']) {
      expect(() => loadExperiment(join(folder(), wrong))).not.toThrow('did you mean');
    }
  });
});
