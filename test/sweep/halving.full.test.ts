import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatSweep, formatSweepDryRun } from '../../src/cli/render/sweep.js';
import { ConfigError } from '../../src/config/issues.js';
import { UsageError } from '../../src/errors.js';
import { openQueue } from '../../src/sweep/halving/queue.js';
import { halvingSummary } from '../../src/sweep/halving/record.js';
import type { Launcher } from '../../src/sweep/launcher.js';
import { loadSweep } from '../../src/sweep/load.js';
import { sweepPaths } from '../../src/sweep/paths.js';
import { planSweep } from '../../src/sweep/plan.js';
import { runSweep } from '../../src/sweep/run-sweep.js';
import { readState } from '../../src/sweep/state.js';
import { ranked } from '../../src/sweep/status.js';
import { runTrial } from '../../src/sweep/trial.js';
import { temporaryFolder, tinyConfig, untimed } from '../experiment/tiny.js';

/** Six trials, of which one diverges; rungs of 1, 2 and 4 epochs. */
const halving = `
name: early
config: tiny.yaml
search: { kind: halving, eta: 2, minEpochs: 1 }
set:
  epochs: 4
  dataset.validation: 40
  methods: [{ name: adam }]
parameters:
  methods.adam.learningRate: [0.0001, 0.001, 0.01, 1.0e+29, 0.02, 0.003]
`;

function folderWith(sweep: string): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'tiny.yaml'), tinyConfig);
  writeFileSync(join(folder, 'sweep.yaml'), sweep);
  return folder;
}

const load = (sweep: string, ...overrides: string[]) =>
  loadSweep(join(folderWith(sweep), 'sweep.yaml'), overrides);

describe('the sweep file of a halving search', () => {
  it('sets what keeps the test set out of the search, and says so', () => {
    const { trials, halving: search, warnings } = load(halving);
    expect(search).toEqual({ eta: 2, epochs: [1, 2, 4], seeds: 1 });
    expect(trials.map(({ experiment }) => experiment.evaluate.test)).toEqual(
      Array(6).fill('never'),
    );
    expect(warnings).toEqual([
      'search: halving never uses the test set: every trial has evaluate.test: never instead of every',
    ]);
  });

  it('takes a grid, or with trials as many draws', () => {
    const ranges = halving.replace(/\[0.0001.*\]/, '{ range: [0.001, 0.1], scale: log }');
    expect(load(ranges).trials).toHaveLength(5);
    expect(load(`${ranges}trials: 7\n`).trials).toHaveLength(7);
    expect(load(halving.replace('eta: 2, ', '')).halving?.eta).toBe(3);
  });

  it.each([
    [halving.replace('eta: 2', 'eta: 1'), /sweep\.yaml:4:\d+ search\.eta: must be at least 2/],
    [
      halving.replace('minEpochs: 1', 'minEpochs: 4'),
      /search\.minEpochs: the first rung has 4 and a whole training 4 epochs/,
    ],
    [halving.replace('minEpochs: 1', 'minEpochs: 0'), /search\.minEpochs: must be/],
    [
      halving.replace('  dataset.validation: 40\n', ''),
      /search: halving compares trials by their validation_accuracy, and .* no validation split: add dataset\.validation: 5000/,
    ],
    [
      halving.replace('set:', 'set:\n  evaluate.test: every'),
      /search: halving never uses the test set, and evaluate\.test is set to every/,
    ],
    [
      `${halving}metric: test_accuracy\n`,
      /metric: search: halving never uses the test set: expected validation_accuracy/,
    ],
    [`${halving}metric: { column: test_loss }\n`, /metric\.column: search: halving never uses/],
    [
      halving.replace('  methods: [{ name: adam }]\n', ''),
      /search: halving trains one method, and the experiment has 2 \(adam, sgd\)/,
    ],
    [
      halving.replace('  epochs: 4\n', '').replace('parameters:', 'parameters:\n  epochs: [2, 4]'),
      /trials of the same length, and these have 2, 4 epochs/,
    ],
    [
      halving.replace('kind: halving', 'kind: grid'),
      /search\.eta: is for kind: halving, and this is a grid search/,
    ],
    [halving.replace('eta: 2', 'count: 2'), /search\.count: unknown key/],
    [
      halving.replace('kind: halving', 'kind: halfing'),
      /search\.kind: must be one of grid, random, halving.*did you mean "halving"/,
    ],
  ])('%#: a mistake is named with its place', (sweep, message) => {
    expect(() => load(sweep)).toThrow(ConfigError);
    expect(() => load(sweep)).toThrow(message);
  });

  it('may rank by the training loss without a validation split', () => {
    const { trials } = load(
      `${halving.replace('  dataset.validation: 40\n', '')}metric: train_loss\n`,
    );
    expect(trials).toHaveLength(6);
  });
});

/** Trials one after another in this process; after `limit` of them, as if it had been killed. */
const serial =
  (limit = Number.POSITIVE_INFINITY): Launcher =>
  async (plan) => {
    const queue = openQueue(plan);
    for (let count = 0; !queue.isEmpty; count++) {
      const id = queue.take()!;
      if (count >= limit) return { stopped: 'interrupted' };
      await runTrial(plan.directory, id, { interruptedCode: () => 130 }, () => {});
      queue.ended(readState(plan.directory, id));
    }
    return {};
  };

describe('a halving search', () => {
  it('gives the same promotions and rows after any interruption', async () => {
    const sweep = load(halving.replace(/\[0.0001.*\]/, '[0.0001, 0.01, 1.0e+29]'));
    const run = (outDir: string, limit?: number, resume = false) =>
      runSweep(sweep, { outDir, resume, flags: {}, elsewhere: true }, serial(limit), () => {});
    const [whole, pieces] = [temporaryFolder(), temporaryFolder()];
    const { status } = await run(whole);
    expect(status.counts).toMatchObject({ COMPLETED: 1, PAUSED: 1, FAILED: 1, QUEUED: 0 });
    const summary = halvingSummary(status)!;
    expect(summary).toMatchObject({ spent: 3 + 1 + 2, most: 6, full: 12, isFinished: true });
    expect(
      summary.rungs.map(({ results, promoted, failed }) => [results, promoted, failed]),
    ).toEqual([
      [3, 1, 1],
      [1, 1, 0],
      [1, 0, 0],
    ]);
    // Longer training first, then the metric.
    expect(ranked(status).map(({ epoch }) => epoch)).toEqual([4, 1]);

    await run(pieces, 3);
    const resumed = await run(pieces, undefined, true);
    const rungs = ({ trials }: typeof status) =>
      trials.map(({ state }) => [
        state.status,
        state.target,
        state.rungs?.map(({ epoch, results }) => [epoch, results[0].validation_accuracy]),
      ]);
    expect(rungs(resumed.status)).toEqual(rungs(status));
    const csv = (directory: string, id: string) =>
      untimed(join(sweepPaths(directory).trial(id), 'adam-s1', 'metrics.csv'));
    for (const { id } of sweep.trials) expect(csv(pieces, id)).toBe(csv(whole, id));

    const best = ranked(status)[0].trial.id;
    // Finished: nothing is due. Failed trials can be trained again; other rungs need a new start.
    expect(planSweep(sweep, { outDir: whole, resume: true }).due).toEqual([]);
    const failed = planSweep(sweep, { outDir: whole, rerun: 'failed' }).due;
    expect(failed.map(({ overrides }) => Object.values(overrides)[0])).toEqual([1e29]);
    const other = { ...sweep, halving: { eta: 3, epochs: [1, 4], seeds: 1 } };
    expect(() => planSweep(other, { outDir: whole, resume: true })).toThrow(
      /started with another search \(halving with eta 2 and rungs at 1, 2, 4 epochs; now: halving with eta 3 and rungs at 1, 4 epochs\)/,
    );
    expect(() => planSweep(other, { outDir: whole, resume: true })).toThrow(UsageError);

    const stdout = formatSweep(whole, status);
    expect(stdout).toContain('early: 3 trials: 1 completed, 1 failed, 1 paused\n');
    expect(stdout).toContain('Rungs (finished):');
    expect(stdout).toMatch(/\n {3}1 {7}1 {2}3 of 3 {8}0 {7}1 {9}1 /);
    expect(stdout).toContain(
      'Epochs over all trials and seeds: 6 trained, at most 6; all trials in full: 12 (50.00 % trained, at most 50.00 %)',
    );
    expect(stdout).toContain(`configs/${best}.yaml evaluate.test=last`);
  });

  it('lists its rungs and its budget before it starts', () => {
    const sweep = load(halving);
    const stdout = formatSweepDryRun(sweep, planSweep(sweep, { outDir: temporaryFolder() }));
    expect(stdout).toContain(
      'Halving, eta 2: at most 6 trials to epoch 1, 3 trials to epoch 2, 1 trial to epoch 4\n' +
        'Epochs over all trials and seeds: at most 11; all trials in full: 24 (at most 45.83 %)\n',
    );
  });
});
