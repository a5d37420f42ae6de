import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { extendRuns } from '../../src/experiment/extend.js';
import { runExperiment } from '../../src/experiment/run.js';
import { readRecord } from '../../src/runs/run-json.js';
import { fln } from '../cli/fln.js';
import { put, temporaryFolder, tinyConfig, tinyExperiment, tree, untimed } from './tiny.js';

const methods =
  'methods=[{ name: adam, learningRate: 0.01 }, { name: sgd, momentum: 0.9, weightAverage: 0.9, warmup: 6 }, { name: fenchel, schedule: constant }]';
/** Four batches an epoch; an evaluation at its end. */
const experiment = (epochs: number, ...overrides: string[]) =>
  tinyExperiment('evaluate.every=2', methods, `epochs=${epochs}`, ...overrides);

describe('extending completed runs', () => {
  it('gives the bytes of runs that were as long from the start, and leaves the completed ones', async () => {
    const root = temporaryFolder();
    const [from, outDir, whole] = ['short', 'long', 'whole'].map((name) => join(root, name));
    await runExperiment(experiment(1), { outDir: from, keepCheckpoints: true });
    const before = tree(from);
    const extension = { base: experiment(1), from, extended: experiment(3), outDir };
    const { runs } = await extendRuns(extension, (message) => expect(message).toBe(''));
    expect(runs.map(({ label, batch }) => [label, batch])).toEqual([
      ['adam', 4],
      ['sgd', 4],
      ['fenchel', 4],
    ]);
    const { status } = await runExperiment(experiment(3), { outDir, resume: true });
    expect(status).toBe('completed');
    expect(tree(from)).toEqual(before);
    await runExperiment(experiment(3), { outDir: whole });
    for (const label of ['adam', 'sgd', 'fenchel']) {
      const csv = (folder: string) => join(folder, `${label}-s1`, 'metrics.csv');
      expect(untimed(csv(outDir)), label).toEqual(untimed(csv(whole)));
      const model = (folder: string) =>
        readFileSync(join(folder, `${label}-s1`, 'model.safetensors'));
      expect(model(outDir).equals(model(whole)), label).toBe(true);
    }
    const layers = (folder: string) =>
      readFileSync(join(folder, 'fenchel-s1', 'layers.csv'), 'utf8');
    expect(layers(outDir)).toBe(layers(whole));
    const record = readRecord(outDir);
    expect(record?.extends).toEqual({ directory: from, hash: experiment(1).hash });
    expect(record?.runs[0].resumed?.map(({ batch }) => batch)).toEqual([4]);
  });

  it('says of each run why it cannot be extended', async () => {
    const root = temporaryFolder();
    const from = join(root, 'short');
    const base = experiment(1, 'methods.fenchel.schedule=linear', 'methods.adam.epochs=1');
    await runExperiment(base, { outDir: from, only: ['adam', 'fenchel'] });
    const extended = experiment(3, 'methods.fenchel.schedule=linear', 'methods.adam.epochs=1');
    const attempt = (extra: object) =>
      extendRuns({ base, from, extended, outDir: join(root, 'long'), ...extra }, () => {});
    const all = attempt({});
    await expect(all).rejects.toThrow(
      'adam, seed 1: it has so many epochs already (1); extend it with methods.adam.epochs=N',
    );
    await expect(all).rejects.toThrow('sgd, seed 1: it was not trained');
    await expect(all).rejects.toThrow(
      'fenchel, seed 1: its schedule, linear, depends on the number',
    );
    const kept = { base: experiment(1), extended: experiment(3) };
    await expect(attempt(kept)).rejects.toThrow('has results of another config');
    await expect(attempt({ from: join(root, 'none') })).rejects.toThrow('there are no results');
    await expect(attempt({ only: ['adan'] })).rejects.toThrow(
      'no method is labelled "adan"; the labels are adam, sgd, fenchel',
    );
    await expect(attempt({ outDir: from })).rejects.toThrow('a directory of its own');
    const plain = join(root, 'plain');
    await runExperiment(experiment(1), { outDir: plain, only: ['adam'] });
    const lost = attempt({ ...kept, from: plain, only: ['adam'] });
    await expect(lost).rejects.toThrow('no checkpoint of its end, which --keep-checkpoints writes');
    expect(tree(root).some((line) => line.startsWith('long'))).toBe(false);
  });
});

it('fln run --extend continues runs of the default directory, or of a config in a run directory', async () => {
  const cwd = temporaryFolder();
  put(join(cwd, 'tiny.yaml'), tinyConfig.replace('every: 3', 'every: 4'));
  const run = (...args: string[]) =>
    fln(['run', 'tiny.yaml', '--only', 'adam', '--progress', 'none', ...args], { cwd });
  const early = await run('--extend', 'epochs=3');
  expect({ code: early.code, text: early.stderr }).toMatchObject({ code: 2 });
  expect(early.stderr).toContain('nothing to extend: there are no results of this config');
  expect((await run('--keep-checkpoints')).code).toBe(0);
  const dry = await run('--extend', 'epochs=3', '--dry-run');
  expect(dry.stdout).toMatch(
    /^Would extend 1 run in results.tiny.\w+:\n {2}adam, seed 1: from batch 8, epoch 2, to epoch 3\n$/,
  );
  const extended = await run('--extend', 'epochs=3');
  expect(extended).toMatchObject({ code: 0 });
  const directory = /Written to (\S+):/.exec(extended.stdout)?.[1] as string;
  expect(readRecord(join(cwd, directory))?.runs[0]).toMatchObject({
    status: 'COMPLETED',
    totalBatches: 12,
  });
  expect((await run('--extend', 'epochs=3')).stderr).toContain(
    'already holds results of this config',
  );
  expect((await run('--extend', 'three')).stderr).toContain(
    'expected epochs=N or methods.LABEL.epochs=N',
  );
  expect((await run('--extend', 'epochs=3', '--overwrite')).stderr).toContain(
    'use only one of the two',
  );
  rmSync(join(cwd, 'tiny.yaml'));
});
