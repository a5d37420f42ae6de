import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import type { Experiment } from '../../src/config/experiment.js';
import { loadExperiment } from '../../src/config/load.js';
import { UsageError } from '../../src/errors.js';
import type { ExperimentEvent } from '../../src/experiment/events.js';
import { type ExperimentOptions, runExperiment } from '../../src/experiment/run.js';
import { evaluateModels } from '../../src/model/evaluate.js';
import { loadModels } from '../../src/model/find.js';
import { compareRuns } from '../../src/report/comparison.js';
import { commonColumns } from '../../src/runs/metrics.js';
import { loadRunDirectory } from '../../src/runs/run-directory.js';
import { lockDirectory } from '../../src/runs/run-directory-writer.js';
import { type RunRecord, readRecord } from '../../src/runs/run-json.js';
import { temporaryFolder, tinyExperiment, untimed } from './tiny.js';

async function run(experiment: Experiment, options: ExperimentOptions) {
  const events: ExperimentEvent[] = [];
  const result = await runExperiment(experiment, options, (event) => events.push(event));
  return { result, events, types: events.map(({ type }) => type) };
}

const record = (folder: string): RunRecord => readRecord(folder)!;
const statuses = (folder: string) =>
  record(folder).runs.map(({ label, seed, status }) => `${label}-${seed} ${status}`);
const csv = (folder: string, name: string): Record<string, string>[] =>
  parse(readFileSync(join(folder, name, 'metrics.csv')), { columns: true });
const withoutTimes = (rows: Record<string, string>[]) =>
  rows.map(({ wall_s, step_ms, ...rest }) => rest);

describe('runExperiment', () => {
  it('tests with the prediction of the lifted model where asked to', async () => {
    const lifted = ['evaluate.predict=lifted', 'evaluate.lambda=0.02'];
    const accuracies = async (...overrides: string[]) => {
      const outDir = join(temporaryFolder(), 'run');
      await run(tinyExperiment('methods=[{ name: adam }]', ...overrides), { outDir });
      const rows = csv(outDir, 'adam-s1');
      return {
        accuracy: rows.map(({ test_accuracy }) => test_accuracy),
        loss: rows.map(({ test_loss }) => Number(test_loss).toFixed(4)),
      };
    };
    const [plain, other] = [await accuracies(), await accuracies(...lifted)];
    expect(other.accuracy).not.toEqual(plain.accuracy);
    expect(other.loss).toEqual(plain.loss);

    const outDir = join(temporaryFolder(), 'mse');
    const { events } = await run(tinyExperiment('loss=mse', ...lifted), { outDir });
    expect(events).toContainEqual({
      type: 'warning',
      message: expect.stringContaining('is the same as feed-forward prediction here'),
    });
  });

  it('with evaluate.flips, reports the accuracy with mirror images beside the plain one', async () => {
    const of = async (...overrides: string[]) => {
      const outDir = join(temporaryFolder(), 'run');
      const config = ['methods=[{ name: adam }]', 'dataset.validation=50', ...overrides];
      const { result, events } = await run(tinyExperiment(...config), { outDir });
      const [models] = [loadModels(outDir, {})];
      return { outDir, result, events, models, rows: csv(outDir, 'adam-s1') };
    };
    const [plain, flipped] = [await of(), await of('evaluate.flips=true')];
    const columns = ['test_accuracy_flips', 'validation_accuracy_flips'];
    const names = ['validation_accuracy', ...columns];
    expect(Object.keys(flipped.rows[0]).slice(-3)).toEqual(names);
    expect(Object.keys(plain.rows[0]).at(-1)).toBe('validation_accuracy');
    const without = flipped.rows.map(
      ({ test_accuracy_flips, validation_accuracy_flips, ...row }) => row,
    );
    expect(withoutTimes(without)).toEqual(withoutTimes(plain.rows));
    const final = flipped.rows.at(-1)!;
    const [test, validation] = columns.map((name) => Number(final[name]));
    const column = (name: string) => flipped.rows.map((row) => row[name]);
    expect(column('test_accuracy_flips')).not.toEqual(column('test_accuracy'));
    expect(flipped.result.runs[0].summary).toMatchObject({
      finalTestAccuracyFlips: test,
      finalValidationAccuracyFlips: validation,
    });
    const summary = (folder: string) => readFileSync(join(folder, 'summary.csv'), 'utf8');
    expect(summary(flipped.outDir)).toContain('final_test_accuracy_flips');
    expect(summary(plain.outDir)).not.toContain('flips');
    expect(flipped.events).toContainEqual({
      type: 'warning',
      message: expect.stringMatching(/^evaluate\.flips uses mirror images, .* synthetic-digits/),
    });
    const [row] = compareRuns([loadRunDirectory(flipped.outDir)]).rows;
    expect(row.accuracyFlips?.mean).toBe(test);

    const [repeated] = await evaluateModels(flipped.models);
    expect(repeated).toMatchObject({
      agrees: true,
      accuracyFlips: test,
      reported: { accuracyFlips: test },
    });
    const [asked] = await evaluateModels(plain.models, { flips: true });
    expect(asked).toMatchObject({ agrees: true, accuracyFlips: test });
    const [unasked] = await evaluateModels(plain.models);
    expect(unasked).not.toHaveProperty('accuracyFlips');
  });

  it('writes the run directory of the contract', async () => {
    const outDir = join(temporaryFolder(), 'deep', 'run');
    const experiment = tinyExperiment();
    const { result, events, types } = await run(experiment, { outDir });

    expect(result.status).toBe('completed');
    expect(types).not.toContain('warning');
    expect(types.filter((type) => type === 'batch')).toHaveLength(16);
    expect(readdirSync(outDir).sort()).toEqual(
      ['adam-s1', 'config.yaml', 'figure.png', 'figure.svg', 'report.html', 'run.json']
        .concat(['sgd-s1', 'summary.csv', 'summary.json'])
        .sort(),
    );
    expect(loadExperiment(join(outDir, 'config.yaml')).experiment.hash).toBe(experiment.hash);

    const rows = csv(outDir, 'adam-s1');
    expect(Object.keys(rows[0])).toEqual([...commonColumns]);
    expect(rows.map(({ batch, epoch }) => `${epoch}:${batch}`)).toEqual([
      '1:1',
      '1:2',
      '1:3',
      '1:4',
      '2:5',
      '2:6',
      '2:7',
      '2:8',
    ]);
    const tested = rows.filter(({ test_accuracy }) => test_accuracy !== '');
    expect(tested.map(({ batch }) => batch)).toEqual(['1', '3', '6', '8']);
    const wall = rows.map(({ wall_s }) => Number(wall_s));
    expect(wall).toEqual(wall.toSorted((a, b) => a - b));
    const steps = rows.reduce((sum, { step_ms }) => sum + Number(step_ms), 0) / 1000;
    expect(wall[7]).toBeGreaterThanOrEqual(steps - 1e-4);

    const { runs, backend, dataset, program, endedAt, git } = record(outDir);
    expect(statuses(outDir)).toEqual(['adam-1 COMPLETED', 'sgd-1 COMPLETED']);
    expect(backend.name).toBe('wasm');
    expect(Object.values(dataset.sha256).join()).toMatch(/^[0-9a-f]{64}$/);
    expect(program.version).toMatch(/^\d/);
    expect(git === null || /^[0-9a-f]{40}$/.test(git.commit)).toBe(true);
    expect(Date.parse(endedAt!)).toBeGreaterThan(0);
    expect(runs[0].summary?.finalTestAccuracy).toBe(Number(rows[7].test_accuracy));
    const finished = events.find((event) => event.type === 'run-finished');
    expect(finished?.type === 'run-finished' && finished.summary.batches).toBe(8);
  });

  it('repeats itself to the last digit, gives methods the same batches and leaks nothing', async () => {
    const experiment = tinyExperiment('methods.sgd.learningRate=1e-30', 'methods.sgd.momentum=0');
    const folders = [temporaryFolder(), temporaryFolder()];
    const tensors: number[] = [];
    for (const outDir of folders) {
      await run(experiment, { outDir });
      tensors.push(tf.memory().numTensors);
    }
    for (const name of ['adam-s1', 'sgd-s1']) {
      expect(withoutTimes(csv(folders[0], name))).toEqual(withoutTimes(csv(folders[1], name)));
    }
    // Same initializer, same stream: both methods see the same network and the same first batch.
    const [first, second] = ['adam-s1', 'sgd-s1'].map((name) => csv(folders[0], name)[0]);
    expect(first.train_loss).toBe(second.train_loss);
    expect(tensors[1]).toBe(tensors[0]);
  });

  it('measures the validation split and leaves the test set alone when told to', async () => {
    const outDir = temporaryFolder();
    const experiment = tinyExperiment('dataset.validation=50', 'evaluate.test=last');
    await run(experiment, { outDir, only: ['adam'] });
    const rows = csv(outDir, 'adam-s1');
    expect(Object.keys(rows[0]).slice(-2)).toEqual(['validation_loss', 'validation_accuracy']);
    expect(rows.map((row) => row.validation_accuracy !== '')).toEqual([
      true,
      false,
      true,
      false,
      false,
      true,
    ]);
    expect(rows.map((row) => row.test_accuracy !== '')).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
    ]);
  });

  it('trains one experiment at a time: calls made at once get the numbers of calls made in turn', async () => {
    const experiment = tinyExperiment('methods.adam.weightAverage=0.9');
    const [a, b, c] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
    const metrics = (outDir: string) => untimed(join(outDir, 'adam-s1', 'metrics.csv'));
    await Promise.all([run(experiment, { outDir: a }), run(experiment, { outDir: b })]);
    await run(experiment, { outDir: c });
    expect([metrics(a), metrics(b)]).toEqual([metrics(c), metrics(c)]);
  });

  it('stops a diverging run with its reason, and trains the others', async () => {
    const outDir = temporaryFolder();
    const experiment = tinyExperiment('methods.adam.learningRate=1e30');
    const { result, events } = await run(experiment, { outDir });
    expect(result.status).toBe('failed');
    expect(statuses(outDir)).toEqual(['adam-1 FAILED', 'sgd-1 COMPLETED']);
    const [failed] = record(outDir).runs;
    expect(failed.error).toMatch(
      /^adam, seed 1: training diverged at batch \d.*: the (training|test) loss/,
    );
    expect(failed.error).toContain('a smaller learningRate (now 1e+30)');
    expect(events).toContainEqual({
      type: 'run-failed',
      run: { label: 'adam', seed: 1 },
      message: failed.error,
    });
    expect(readFileSync(join(outDir, 'report.html'), 'utf8')).toContain('seed 1');
  });

  it('stops at the first failure with failFast', async () => {
    const outDir = temporaryFolder();
    const experiment = tinyExperiment('methods.adam.learningRate=1e30');
    await run(experiment, { outDir, failFast: true });
    expect(statuses(outDir)).toEqual(['adam-1 FAILED', 'sgd-1 QUEUED']);
  });

  it('finishes the batch at work when interrupted, and resumes', async () => {
    const outDir = temporaryFolder();
    const experiment = tinyExperiment();
    const controller = new AbortController();
    const interrupted = await runExperiment(
      experiment,
      { outDir, signal: controller.signal },
      (event) => {
        if (event.type === 'batch' && event.run.label === 'sgd' && event.batch === 5) {
          controller.abort();
        }
      },
    );
    expect(interrupted).toMatchObject({ status: 'interrupted', files: [] });
    expect(statuses(outDir)).toEqual(['adam-1 COMPLETED', 'sgd-1 INTERRUPTED']);
    expect(csv(outDir, 'sgd-s1')).toHaveLength(5);
    expect(existsSync(join(outDir, 'lock'))).toBe(false);
    const kept = readFileSync(join(outDir, 'adam-s1', 'metrics.csv'), 'utf8');

    await expect(run(experiment, { outDir })).rejects.toThrow(
      /holds results of this config \(1 of 2 runs completed\).*--resume.*--overwrite.*--out DIR/,
    );
    const resumed = await run(experiment, { outDir, resume: true });
    expect(resumed.result.status).toBe('completed');
    expect(resumed.types).toContain('run-skipped');
    expect(readFileSync(join(outDir, 'adam-s1', 'metrics.csv'), 'utf8')).toBe(kept);
    expect(csv(outDir, 'sgd-s1')).toHaveLength(8);

    const again = await run(experiment, { outDir, resume: true });
    expect(again.result.status).toBe('completed');
    expect(again.types).toEqual(['directory', 'figure']);
  });

  it('adds methods to a directory run by run, and overwrites only what is selected', async () => {
    const outDir = temporaryFolder();
    const experiment = tinyExperiment();
    await run(experiment, { outDir, only: ['sgd'] });
    await run(experiment, { outDir, only: ['adam'] });
    expect(statuses(outDir).sort()).toEqual(['adam-1 COMPLETED', 'sgd-1 COMPLETED']);
    const kept = readFileSync(join(outDir, 'sgd-s1', 'metrics.csv'), 'utf8');
    const { types } = await run(experiment, { outDir, only: ['adam'], overwrite: true });
    expect(types.filter((type) => type === 'run-started')).toHaveLength(1);
    expect(readFileSync(join(outDir, 'sgd-s1', 'metrics.csv'), 'utf8')).toBe(kept);
  });

  it('refuses to mix backends or devices in one directory', async () => {
    const outDir = temporaryFolder();
    const experiment = tinyExperiment();
    await run(experiment, { outDir, only: ['adam'] });
    const file = join(outDir, 'run.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"name": "wasm"', '"name": "other"'));
    const outDated = run(experiment, { outDir, only: ['sgd'] });
    await expect(outDated).rejects.toThrow(
      'computed on the backend "other" (device cpu), and the others have to be computed on the same',
    );
    await expect(outDated).rejects.toMatchObject({ exitCode: 4 });
    await expect(run(experiment, { outDir, only: ['sgd'], backend: 'cpu' })).rejects.toThrow(
      'not on the backend "cpu" (device cpu)',
    );
    expect(existsSync(join(outDir, 'lock'))).toBe(false);

    const onGpu = JSON.parse(readFileSync(file, 'utf8').replace('"other"', '"wasm"'));
    onGpu.backend.device = 'cuda';
    writeFileSync(file, JSON.stringify(onGpu));
    await expect(run(experiment, { outDir, only: ['sgd'] })).rejects.toThrow(
      'computed on the backend "wasm" (device cuda), and the others have to be computed on the same',
    );
    await expect(run(experiment, { outDir, only: ['sgd'], device: 'cpu' })).rejects.toThrow(
      'not on the backend "wasm" (device cpu)',
    );
  });

  it('refuses a directory that another process holds', async () => {
    const outDir = temporaryFolder();
    const lock = lockDirectory(outDir);
    await expect(run(tinyExperiment(), { outDir })).rejects.toThrow('is writing into');
    lock.release();
  });

  it('writes nothing when a selection, the data or the directory is wrong', async () => {
    const outDir = join(temporaryFolder(), 'run');
    const refused = (options: ExperimentOptions, message: string) =>
      expect(
        run(tinyExperiment('dataset.name=mnist'), { outDir, offline: true, ...options }),
      ).rejects.toThrow(message);
    await refused({ only: ['adan'] }, 'no method is labelled "adan"; the labels are adam, sgd');
    await refused({ seeds: [7] }, "7 is not one of the config's seeds (1)");
    await refused({ resume: true, overwrite: true }, 'use only one of the two');
    await refused({ backend: 'abacus' }, 'there is no backend "abacus"');
    await refused({ dataDir: join(outDir, 'none') }, 'does not exist');
    expect(existsSync(outDir)).toBe(false);
  });

  it('never reuses the directory of another config, or a folder of something else', async () => {
    const outDir = temporaryFolder();
    await run(tinyExperiment('epochs=1'), { outDir, only: ['sgd'] });
    const other = run(tinyExperiment(), { outDir, overwrite: true });
    await expect(other).rejects.toThrow(/another config .* choose another with --out DIR/);

    const home = temporaryFolder();
    mkdirSync(join(home, 'Documents'));
    await expect(run(tinyExperiment(), { outDir: home })).rejects.toThrow(UsageError);
    const file = join(home, 'file');
    writeFileSync(file, '');
    await expect(run(tinyExperiment(), { outDir: file })).rejects.toThrow('is a file');
    writeFileSync(join(outDir, 'run.json'), '{"experiment":');
    await expect(run(tinyExperiment(), { outDir })).rejects.toThrow('run.json is damaged');
  });
});
