import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { formatTuning } from '../../src/cli/render/tune.js';
import { loadExperiment } from '../../src/config/load.js';
import { AdamConfig } from '../../src/core/methods/adam/config.js';
import { adviceOf, backPropagation } from '../../src/core/methods/fields.js';
import { methods } from '../../src/core/methods/registry.js';
import { openQueue } from '../../src/sweep/halving/queue.js';
import type { Launcher } from '../../src/sweep/launcher.js';
import { readState } from '../../src/sweep/state.js';
import { runTrial } from '../../src/sweep/trial.js';
import { planTuning, type TuneOptions } from '../../src/sweep/tune/plan.js';
import { writeTuning } from '../../src/sweep/tune/record.js';
import { runTuning } from '../../src/sweep/tune/run-tuning.js';
import { declaredSpace, edgesOf, type GivenSpaces, spaceOf } from '../../src/sweep/tune/space.js';
import { outcomeOf, temporaryFolder, tinyConfig } from '../experiment/tiny.js';

/** The tiny experiment with a third method, and files of search spaces beside it. */
function place(spaces = ''): { folder: string; config: string; space: string } {
  const folder = temporaryFolder();
  const [config, space] = ['tiny.yaml', 'space.yaml'].map((name) => join(folder, name));
  writeFileSync(config, `${tinyConfig}  - { name: fenchel, label: Fast, inputRank: 2 }\n`);
  writeFileSync(space, spaces);
  return { folder, config, space };
}

function plan(options: Partial<TuneOptions> = {}, overrides: string[] = [], spaces = '') {
  const { folder, config, space } = place(spaces);
  const all = { trials: 6, outDir: join(folder, 'out'), ...(spaces && { space }), ...options };
  return planTuning(config, overrides, all);
}

const drawn = (tuning: ReturnType<typeof plan>, label: string, field: string) =>
  tuning.methods
    .find((method) => method.label === label)!
    .sweep.trials.map(({ overrides }) => overrides[`methods.${label}.${field}`]);

describe('the trials of a tuning', () => {
  it('are as many and as long for each method, and keep the test set out', () => {
    const tuning = plan({ epochs: 3, seeds: [7, 8] });
    expect(tuning.split).toEqual({ train: 180, validation: 20, isDefault: true });
    for (const { sweep } of tuning.methods) {
      expect(sweep.trials).toHaveLength(6);
      for (const { experiment } of sweep.trials) {
        expect(experiment).toMatchObject({ seeds: [7, 8], expect: {} });
        expect(experiment.evaluate.test).toBe('never');
        expect(experiment.dataset.validation).toBe(20);
        expect(experiment.methods).toMatchObject([{ epochs: 3, batchSize: 50 }]);
      }
    }
    // The schedule and what else means the same is drawn alike; step sizes from ranges of their own.
    for (const field of ['schedule', 'labelSmoothing', 'weightAverage']) {
      const [adam, ...others] = ['adam', 'sgd', 'Fast'].map((label) =>
        drawn(tuning, label, field).slice(1),
      );
      // A list of two values has each at least twice in five draws.
      expect(new Set(adam).size, field).toBe(field === 'labelSmoothing' ? 3 : 2);
      expect(others, field).toEqual([adam, adam]);
    }
    expect(drawn(tuning, 'adam', 'learningRate')).not.toEqual(drawn(tuning, 'sgd', 'learningRate'));
  });

  it('cover each sixth of a range in turn', () => {
    const tuning = plan({ trials: 13 });
    const rates = drawn(tuning, 'adam', 'learningRate').slice(1).map(Number);
    const { range } = adviceOf(AdamConfig.shape.learningRate).tune as { range: [number, number] };
    const [low, high] = range.map(Math.log);
    const sixths = rates.map((rate) => Math.floor((6 * (Math.log(rate) - low)) / (high - low)));
    for (const round of [sixths.slice(0, 6), sixths.slice(6)]) {
      expect(round.toSorted()).toEqual([0, 1, 2, 3, 4, 5]);
    }
    expect(new Set(rates).size).toBe(12);
  });

  it('begin with the settings of the experiment; more of them leave the others as they were', () => {
    const { folder, config } = place();
    const tuning = plan();
    const { experiment } = loadExperiment(config, [
      'dataset.validation=20',
      'evaluate.test=never',
      'methods=[{ name: adam, learningRate: 0.01 }]',
    ]);
    expect(tuning.methods[0].sweep.trials[0].id).toBe(experiment.hash);
    const more = planTuning(config, [], { trials: 9, outDir: folder });
    for (const [i, { sweep }] of tuning.methods.entries()) {
      expect(more.methods[i].sweep.trials.slice(0, 6).map(({ id }) => id)).toEqual(
        sweep.trials.map(({ id }) => id),
      );
    }
  });

  it('are those of a file of search spaces where it has some, without repetitions', () => {
    const fixed = ['schedule', 'labelSmoothing', 'weightAverage', 'weightDecay', 'beta2'];
    const space = `adam: { learningRate: [0.1, 0.2], batchSize: [25, 100], ${fixed.map((field) => `${field}: fixed`)} }\n`;
    const tuning = plan({ trials: 5, only: ['adam'] }, [], space);
    expect(tuning.warnings).toEqual([
      'batch sizes differ (adam searched): the methods get the same epochs, but not the same number of batches',
    ]);
    const pairs = tuning.methods[0].sweep.trials.map(({ overrides }) => Object.values(overrides));
    expect(pairs[0]).toEqual([0.01, 50]);
    expect(pairs.slice(1).sort()).toEqual([
      [0.1, 100],
      [0.1, 25],
      [0.2, 100],
      [0.2, 25],
    ]);
    expect(() => plan({ trials: 6, only: ['adam'] }, [], space)).toThrow(
      'the search space of adam has no more than 5 different settings, fewer than 6 trials',
    );
  });

  it.each<[string, Partial<TuneOptions>, string[], string]>([
    ['no method is labelled "adma"; the labels are adam, sgd, Fast', { only: ['adma'] }, [], ''],
    ['their validation accuracy, which a regression does not have', {}, ['regression'], ''],
    ['nothing is searched of mac, lpom: these methods declare no search space.', {}, ['full'], ''],
    ['(adam 1, sgd 2, Fast 2), and each is to get the same', {}, ['methods.adam.epochs=1'], ''],
    ['--halving compares trials before they end', { eta: 3, epochs: 1 }, [], ''],
    ['batchSize: is more than the 10 training images', { validation: 190 }, [], ''],
    ['space.yaml:1:1 adm: no method has this label; did you mean "adam"?', {}, [], 'adm: {}'],
    [
      'sgd.momentun: sgd has no such field; did you mean "momentum"?',
      {},
      [],
      'sgd: {momentun: [0]}',
    ],
    ['sgd.epochs: is the same for all methods', {}, [], 'sgd: { epochs: [1, 2] }'],
    ['sgd.momentum: 1.5: must be less than 1', {}, [], 'sgd: { momentum: [0.5, 1.5] }'],
    ['sgd.warmup: needs integer: true', {}, [], 'sgd: { warmup: { range: [0, 9] } }'],
    ['sgd.bias: expected the smaller value first', {}, [], 'sgd: { bias: { range: [1, 0] } }'],
    [
      'adam.beta1: must be a list or a block or "fixed", not 3; write [3]',
      {},
      [],
      'adam: {beta1: 3}',
    ],
    ['adam.beta1.0: must be a finite number, not NaN', {}, [], 'adam: {beta1: [.nan]}'],
    ['range.1: must be a number, not Infinity', {}, [], 'adam: {beta1: {range: [0, .inf]}}'],
    ['beta1.rang: unknown key; did you mean "range"?', {}, [], 'adam: {beta1: {rang: [0, 1]}}'],
    ['range: must have 2 entries, not 1', {}, [], 'adam: {beta1: {range: [0]}}'],
    ['a file of search spaces is a block of keys: adam, sgd, Fast', {}, [], '[1]'],
    [
      'the search space of Fast has settings that the experiment does not accept:\n  initializer: ["he"]',
      {},
      [],
      'Fast: { initializer: [[he]] }',
    ],
  ])('%s', async (message, options, overrides, spaces) => {
    const attempt = async () => {
      if (overrides[0] === 'full') {
        const full = ['methods=[{ name: mac }, { name: lpom }]', 'batchSize=full', 'loss=mse'];
        return plan(options, full);
      }
      if (overrides[0] !== 'regression') return plan(options, overrides, spaces);
      const { folder, config } = place();
      const csv = Array.from({ length: 40 }, (_, i) => `${i},${2 * i}`).join('\n');
      writeFileSync(join(folder, 'line.csv'), `x,t\n${csv}\n`);
      const train = `dataset={ name: arrays, train: { csv: ${join(folder, 'line.csv')}, target: t }, test: 0.2 }`;
      const layers = 'network={ layers: [{ dense: 4, activation: relu }, { dense: 1 }] }';
      const fast = ['loss=mse', 'batchSize=8', 'methods.Fast.labelSmoothing=0'];
      return planTuning(config, [train, layers, ...fast], { trials: 2, outDir: folder });
    };
    const outcome = await outcomeOf(attempt());
    expect(outcome).toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
  });
});

it('a tuning writes over no files but those of a tuning', () => {
  const { folder, config } = place();
  for (const name of ['experiment.yaml', 'tuning.csv', 'tuned.yaml', 'sgd']) {
    const file = join(folder, name);
    writeFileSync(file, 'mine');
    expect(() => planTuning(config, [], { trials: 1, outDir: folder })).toThrow(
      `${file} would be overwritten, and is not of a tuning: ${folder} has no tune.json`,
    );
    rmSync(file);
  }
});

describe('declared search spaces', () => {
  it('have a field only where the values of the others give it an effect', () => {
    const { config } = place();
    const searched = (overrides: string[], fields: GivenSpaces[string] = {}) => {
      const { methods } = loadExperiment(config, overrides).experiment;
      return Object.keys(spaceOf(methods[2], { Fast: fields }));
    };
    expect(searched([])).not.toContain('relativeChange');
    const operator = searched(['methods.Fast.stepNorm=operator']);
    expect(operator).toContain('relativeChange');
    expect(operator).not.toContain('rmsChange');
    const varied = searched([], { stepNorm: ['covariance', 'operator'] });
    expect(varied).toEqual(expect.arrayContaining(['relativeChange', 'rmsChange', 'stepNorm']));
  });

  it('are valid, and the same choices for what several methods share', () => {
    const shared = ['schedule', 'labelSmoothing', 'weightAverage'] as const;
    for (const method of methods) {
      const space = declaredSpace(method);
      for (const field of shared) {
        const { tune } = (backPropagation[field].unwrap() as z.ZodType).meta() as { tune: unknown };
        if (field in method.schema.shape) expect(space[field], method.name).toEqual(tune);
      }
    }
    const wrong = z.strictObject({ step: z.number().meta({ tune: { range: [2, 1] } }) });
    expect(() => declaredSpace({ ...methods[0], name: 'mine', schema: wrong })).toThrow(
      'method mine: the search space of its field step (tune in its metadata) is not valid: expected the smaller value first',
    );
  });

  it('have ends: a tenth of the range in its scale, and what is beyond', () => {
    const rate = {
      range: [0.001, 1] as [number, number],
      scale: 'log' as const,
      count: 5,
      integer: false,
    };
    const ends = (value: unknown) =>
      edgesOf({ rate, list: [0, 1] }, { rate: value, list: 1 }).map((edge) => [
        edge.end,
        edge.isOutside,
      ]);
    expect(ends(0.0019)).toEqual([['lower', false]]);
    expect(ends(0.0021)).toEqual([]);
    expect(ends(0.6)).toEqual([['upper', false]]);
    expect(ends(2)).toEqual([['upper', true]]);
    expect(edgesOf({ rate: { ...rate, scale: 'linear' } }, { rate: 0.6 })).toEqual([]);
  });
});

/** Trains the trials in this process; the second `limit` ends it as a kill would. */
const here =
  (limit = Number.POSITIVE_INFINITY): Launcher =>
  async (plan, { flags }) => {
    const queue = openQueue(plan);
    for (let count = 0; !queue.isEmpty; count++) {
      if (count === limit) throw new Error('killed');
      const id = queue.take() as string;
      await runTrial(plan.directory, id, { ...flags, interruptedCode: () => 130 }, () => {}).catch(
        () => 'failed',
      );
      queue.ended(readState(plan.directory, id));
    }
    return {};
  };

describe('a tuning', () => {
  const flags = { model: false };

  it('resumes, records every trial and its cost, and writes the tuned experiment', async () => {
    const { folder, config, space } = place('sgd: { learningRate: [1.0e+29] }');
    const options = { trials: 2, outDir: join(folder, 'out'), only: ['adam', 'sgd'], space, flags };
    const tuning = planTuning(config, ['backend=wasm'], options);
    await expect(runTuning(tuning, options, () => {}, here(1))).rejects.toThrow('killed');
    expect(writeTuning(tuning).methods).toMatchObject([{ label: 'adam', open: 1 }]);
    await expect(runTuning(tuning, options, () => {}, here())).rejects.toThrow(
      /already contains trials of this tuning. Add --resume/,
    );
    await runTuning(tuning, { ...options, resume: true }, () => {}, here());
    const { methods: record, files } = writeTuning(tuning);
    const rows: Record<string, string>[] = parse(readFileSync(files[0]), { columns: true });
    expect(rows.map(({ method, trial, batches }) => [method, trial, batches]).slice(0, 3)).toEqual([
      ['adam', '1', '8'],
      ['adam', '2', '8'],
      ['sgd', '1', '8'],
    ]);
    expect(rows[0]).toMatchObject({ learningRate: '0.01', momentum: '', status: 'COMPLETED' });
    expect(rows[3]).toMatchObject({ learningRate: '1e+29', status: 'FAILED' });
    expect(rows[3].validation_accuracy).toBe('');

    // No trial has seen the test set.
    for (const { directory, label } of tuning.methods) {
      for (const id of readdirSync(join(directory, 'trials'))) {
        const file = join(directory, 'trials', id, `${label}-s1`, 'metrics.csv');
        const steps: Record<string, string>[] = parse(readFileSync(file), { columns: true });
        expect(steps.every((step) => !step.test_accuracy && !step.test_loss)).toBe(true);
      }
    }

    const [adam, sgd] = record;
    const measured = adam.trials.map(({ accuracy }) => accuracy?.mean ?? 0);
    expect(adam.best?.accuracy?.mean).toBe(Math.max(...measured));
    expect(sgd.best?.trial).toBe(1);
    const tuned = loadExperiment(files[1]);
    expect(tuned.warnings).toEqual([]);
    expect(tuned.experiment.methods.map(({ label }) => label)).toEqual(['adam', 'sgd', 'Fast']);
    expect(tuned.experiment.methods[0].config).toMatchObject(adam.best?.settings ?? {});
    expect(tuned.experiment).toMatchObject({ epochs: 2, evaluate: { test: 'every' } });
    expect(tuned.experiment.dataset.validation).toBeUndefined();
    expect(tuned.experiment.tuning?.adam).toMatchObject({
      trials: 2,
      batches: 16,
      validationAccuracy: Number(adam.best?.accuracy?.mean.toPrecision(6)),
    });
    expect(readFileSync(files[1], 'utf8')).toMatch(/# Trial \d of 2.*: validation accuracy .* %\n/);
    expect(formatTuning(tuning, record, files)).toMatch(/^sgd +2 \(1 failed\) +\d+ /m);

    // Another budget, or another search, is another tuning.
    const other = (changes: Partial<TuneOptions>, ...overrides: string[]) => {
      const changed = { ...options, ...changes };
      const next = planTuning(config, ['backend=wasm', ...overrides], changed);
      return outcomeOf(runTuning(next, { ...changed, resume: true }, () => {}, here()));
    };
    const refusal = (message: string) => ({
      exitCode: 2,
      message: expect.stringContaining(`contains a tuning with other settings (${message}`),
    });
    expect(await other({ trials: 3, only: ['adam'] })).toMatchObject(refusal('2 trials, now 3)'));
    expect(await other({ epochs: 3, eta: 2 })).toMatchObject(
      refusal('epochs: 2, now 3; halving off, now 2)'),
    );
    expect(await other({}, 'seeds=[2]')).toMatchObject(refusal('another data set, network'));
    // Also of a method that this command does not tune: its entry would be combined with the earlier settings.
    expect(await other({ only: ['sgd'] }, 'methods.adam.beta1=0.8')).toMatchObject(
      refusal('other settings of adam, or it is missing)'),
    );
    expect(await other({ only: ['sgd'] }, 'methods.adam.label=renamed')).toMatchObject(
      refusal('other settings of adam, or it is missing)'),
    );
    expect(await other({ space: undefined })).toMatchObject(
      refusal('other settings or another search space of sgd)'),
    );
  });
});
