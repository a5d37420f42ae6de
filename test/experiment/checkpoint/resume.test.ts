import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunError } from '../../../src/errors.js';
import { readCheckpoint } from '../../../src/experiment/checkpoint/checkpoint.js';
import { Checkpoints } from '../../../src/experiment/checkpoint/checkpoints.js';
import type { ExperimentEvent } from '../../../src/experiment/events.js';
import { planExperiment } from '../../../src/experiment/plan.js';
import { type ExperimentOptions, runExperiment } from '../../../src/experiment/run.js';
import { readRecord } from '../../../src/runs/run-json.js';
import { temporaryFolder, tinyExperiment, untimed } from '../tiny.js';

const experiment = tinyExperiment('epochs=4');
const metricsOf = (directory: string) => join(directory, 'adam-s1', 'metrics.csv');
const checkpointsOf = (directory: string) => new Checkpoints(join(directory, 'adam-s1'));

/** Trains Adam, to the end or to a batch of it, with a checkpoint after every batch. */
async function run(
  outDir: string,
  options: ExperimentOptions = {},
  until = Number.NaN,
  config = experiment,
) {
  const controller = new AbortController();
  const events: ExperimentEvent[] = [];
  const all = { outDir, only: ['adam'], checkpointEvery: 1e-9, signal: controller.signal };
  const result = await runExperiment(config, { ...all, ...options }, (event) => {
    events.push(event);
    if (event.type === 'batch' && event.batch === until) controller.abort();
  });
  const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  const started = events.flatMap((event) => (event.type === 'run-started' ? [event.done] : []));
  return { result, events, warnings, started };
}

const trained = mkdtempSync(join(tmpdir(), 'fln-resume-'));
let whole: string;

beforeAll(async () => {
  await run(join(trained, 'uninterrupted'));
  await run(join(trained, 'interrupted'), {}, 9);
  whole = untimed(metricsOf(join(trained, 'uninterrupted')));
});
afterAll(() => rmSync(trained, { recursive: true, force: true }));

/** A directory whose run was interrupted after batch 9 of 16; `whole` is what it would have become. */
function interrupted(): string {
  const directory = temporaryFolder();
  cpSync(join(trained, 'interrupted'), directory, { recursive: true });
  return directory;
}

describe('a run that goes on', () => {
  it('ends with the rows of an uninterrupted one, after one or many interruptions', async () => {
    const directory = interrupted();
    for (const until of [10, 13]) await run(directory, { resume: true }, until);
    expect(planExperiment(experiment, { outDir: directory, resume: true }).runs[0].continues).toBe(
      13,
    );
    const { started, warnings, result } = await run(directory, { resume: true });
    expect(started).toEqual([13]);
    expect(warnings).toEqual([]);
    expect(untimed(metricsOf(directory))).toBe(whole);
    expect(result.runs[0].resumed?.map(({ batch }) => batch)).toEqual([9, 10, 13]);
    expect(result.runs[0].summary?.batches).toBe(16);
    // A run that is done needs none.
    expect(existsSync(checkpointsOf(directory).folder)).toBe(false);
  });

  it('ends with the same rows with augmented images, interrupted in the middle of an epoch', async () => {
    const [directory, uninterrupted] = [temporaryFolder(), temporaryFolder()];
    const augment = '{ flip: alternating, translate: 2, cutout: 8 }';
    const augmented = tinyExperiment('epochs=4', `dataset.augment=${augment}`);
    await run(uninterrupted, {}, undefined, augmented);
    await run(directory, {}, 10, augmented);
    const { started } = await run(directory, { resume: true }, undefined, augmented);
    expect(started).toEqual([10]);
    expect(untimed(metricsOf(directory))).toBe(untimed(metricsOf(uninterrupted)));
  });

  it('drops the rows behind its checkpoint, with half a row a killed process left', async () => {
    const directory = interrupted();
    appendFileSync(metricsOf(directory), 'adam,1,10,3,0.1,0.5,0.9,,,,,1\nadam,1,11,3,0.');
    const { started } = await run(directory, { resume: true });
    expect(started).toEqual([9]);
    expect(untimed(metricsOf(directory))).toBe(whole);
  });

  it('keeps the last two checkpoints, and at the end those that are asked for', async () => {
    const directory = interrupted();
    expect(
      checkpointsOf(directory)
        .list()
        .map(({ batch }) => batch),
    ).toEqual([9, 8]);
    await run(directory, { resume: true, keepCheckpoints: true });
    expect(
      checkpointsOf(directory)
        .list()
        .map(({ batch }) => batch),
    ).toEqual([16, 15]);
    const { position } = readCheckpoint(checkpointsOf(directory).list()[0].folder);
    expect(position).toMatchObject({ label: 'adam', seed: 1, batch: 16 });
  });

  it('says why a run that completed without its checkpoints has none to keep', async () => {
    const directory = interrupted();
    await run(directory, { resume: true });
    const { warnings } = await run(directory, { resume: true, keepCheckpoints: true });
    expect(warnings).toEqual([
      'adam, seed 1: --keep-checkpoints has nothing to keep: the run completed without that option, and its ' +
        'checkpoints were removed then. To have them, train it again: --overwrite --keep-checkpoints',
    ]);
  });

  it('keeps the checkpoints of a completed run that has some, without a word', async () => {
    const directory = interrupted();
    await run(directory, { resume: true, keepCheckpoints: true });
    const { warnings } = await run(directory, { resume: true, keepCheckpoints: true });
    expect(warnings).toEqual([]);
    expect(checkpointsOf(directory).list()[0].batch).toBe(16);
  });

  it.each([
    ['with a flipped bit', 'state.safetensors', (bytes: Buffer) => flipped(bytes)],
    ['cut off', 'state.safetensors', (bytes: Buffer) => bytes.subarray(0, 100)],
    ['with a changed position', 'checkpoint.json', (bytes: Buffer) => flipped(bytes)],
    ['without its checksums', 'SHA256SUMS', () => Buffer.from('')],
  ])('falls back from a checkpoint %s to the one before', async (_, file, damage) => {
    const directory = interrupted();
    const [last] = checkpointsOf(directory).list();
    const path = join(last.folder, file);
    writeFileSync(path, damage(readFileSync(path)));
    const { started, warnings } = await run(directory, { resume: true });
    expect(started).toEqual([8]);
    expect(warnings.join()).toMatch(/batch-00000009 is damaged and is ignored: .+/);
    expect(untimed(metricsOf(directory))).toBe(whole);
  });

  it('starts anew, and says why, when no checkpoint is whole', async () => {
    const directory = interrupted();
    for (const { folder } of checkpointsOf(directory).list()) rmSync(join(folder, 'SHA256SUMS'));
    const { started, warnings } = await run(directory, { resume: true });
    expect(started).toEqual([0]);
    expect(warnings).toHaveLength(2);
    expect(untimed(metricsOf(directory))).toBe(whole);
  });

  it('starts anew when its rows were deleted', async () => {
    const directory = interrupted();
    rmSync(metricsOf(directory));
    const { started } = await run(directory, { resume: true });
    expect(started).toEqual([0]);
    expect(untimed(metricsOf(directory))).toBe(whole);
  });

  it('falls back where the last rows are lost, and the checkpoint before them is whole', async () => {
    const directory = interrupted();
    const [, before] = checkpointsOf(directory).list();
    truncateSync(metricsOf(directory), readCheckpoint(before.folder).position.metrics.bytes + 3);
    const { started, warnings } = await run(directory, { resume: true });
    expect(started).toEqual([8]);
    expect(warnings.join()).toContain('it ends after');
    expect(untimed(metricsOf(directory))).toBe(whole);
  });

  it('refuses rows that were changed in the middle, and touches nothing', async () => {
    const directory = interrupted();
    const text = readFileSync(metricsOf(directory), 'utf8');
    const torn = text.replace(/^adam,1,3,.*\n/m, '');
    writeFileSync(metricsOf(directory), torn);
    const copy = temporaryFolder();
    cpSync(directory, copy, { recursive: true });
    const attempt = run(directory, { resume: true });
    await expect(attempt).rejects.toThrow(RunError);
    await expect(attempt).rejects.toThrow(
      /metrics\.csv was changed or damaged since the run was interrupted: .*Put back a copy.*--overwrite/,
    );
    expect(contents(directory)).toEqual(contents(copy));
    expect((await run(directory, { overwrite: true })).result.status).toBe('completed');
  });

  it('refuses rows with other columns than it would write', async () => {
    const directory = interrupted();
    const renamed = readFileSync(metricsOf(directory), 'utf8').replace('step_ms', 'step_us');
    writeFileSync(metricsOf(directory), renamed);
    await expect(run(directory, { resume: true })).rejects.toThrow('metrics.csv was changed');
  });

  it('warns when another program goes on', async () => {
    const directory = interrupted();
    for (const { folder } of checkpointsOf(directory).list()) {
      const path = join(folder, 'checkpoint.json');
      const text = readFileSync(path, 'utf8').replace(process.version, 'v18.0.0');
      writeFileSync(path, text);
      resign(folder);
    }
    const { warnings } = await run(directory, { resume: true });
    expect(warnings.join()).toMatch(/started with v18.0.0 \(now v.*last digits may differ/);
  });

  it('refuses checkpoints of an earlier version, and keeps them', async () => {
    const directory = interrupted();
    const checkpoints = checkpointsOf(directory);
    for (const { folder } of checkpoints.list()) {
      const path = join(folder, 'checkpoint.json');
      const content = JSON.parse(readFileSync(path, 'utf8'));
      writeFileSync(path, JSON.stringify({ ...content, format: 1 }));
      resign(folder);
    }
    const before = checkpoints.list();
    await expect(run(directory, { resume: true })).rejects.toThrow(
      /cannot resume from checkpoint .*batch-\d+: an earlier version of fln wrote it.*--overwrite/,
    );
    expect(checkpoints.list()).toEqual(before);
  });

  it('takes a checkpoint without a format number for a damaged one', async () => {
    const directory = interrupted();
    const [{ folder }] = checkpointsOf(directory).list();
    writeFileSync(join(folder, 'checkpoint.json'), '[0,99999999]');
    resign(folder);
    const { started, warnings } = await run(directory, { resume: true });
    expect(started).toEqual([8]);
    expect(warnings.join()).toContain('is damaged and is ignored');
    expect(untimed(metricsOf(directory))).toBe(whole);
  });

  it.each([
    ['no state', () => null, /it has no state/],
    ['a state without a part', ({ averages: _, ...state }) => state, /state is \{ t, parameters/],
  ] satisfies [string, (state: Record<string, unknown>) => unknown, RegExp][])(
    'refuses %s in plain words, and frees its tensors',
    async (_, change, reason) => {
      const directory = interrupted();
      const before = tf.memory().numTensors;
      for (const { folder } of checkpointsOf(directory).list()) {
        const path = join(folder, 'checkpoint.json');
        const content = JSON.parse(readFileSync(path, 'utf8'));
        writeFileSync(path, JSON.stringify({ ...content, state: change(content.state) }));
        resign(folder);
      }
      const { result } = await run(directory, { resume: true });
      expect(result.runs[0]).toMatchObject({ status: 'FAILED' });
      expect(result.runs[0].error).toMatch(/cannot resume from checkpoint .*--overwrite/);
      expect(result.runs[0].error).toMatch(reason);
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  it('clears what killed processes left', async () => {
    const directory = interrupted();
    writeFileSync(join(directory, 'run.json.1-abc.tmp'), '{');
    mkdirSync(join(checkpointsOf(directory).folder, 'batch-00000010.1-abc.tmp'));
    await run(directory, { resume: true }, 12);
    expect(contents(directory).filter((line) => line.includes('.tmp'))).toEqual([]);
  });
});

describe('--rerun failed', () => {
  const diverging = tinyExperiment('methods.sgd.learningRate=1e20', 'epochs=1');

  it('trains anew what failed, and nothing else', async () => {
    const outDir = temporaryFolder();
    const first = await runExperiment(diverging, { outDir });
    expect(first.runs.map(({ status }) => status)).toEqual(['COMPLETED', 'FAILED']);
    const trained: string[] = [];
    const again = await runExperiment(diverging, { outDir, rerun: 'failed' }, (event) => {
      if (event.type === 'run-started') trained.push(event.run.label);
    });
    expect(trained).toEqual(['sgd']);
    expect(again.status).toBe('failed');
    expect(readRecord(outDir)?.runs.map(({ label, status }) => [label, status])).toEqual([
      ['sgd', 'FAILED'],
      ['adam', 'COMPLETED'],
    ]);
  });

  it('leaves a directory as it is in which nothing failed', async () => {
    const directory = interrupted();
    const before = contents(directory);
    const { result, started } = await run(directory, { rerun: 'failed' });
    expect(started).toEqual([]);
    expect(result.status).toBe('completed');
    expect(contents(directory)).toEqual(expect.arrayContaining(before));
  });
});

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length - 9] ^= 1;
  return copy;
}

const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

function resign(folder: string): void {
  const sums = ['checkpoint.json', 'state.safetensors'].map((name) => {
    return `${hashOf(join(folder, name))}  ${name}\n`;
  });
  writeFileSync(join(folder, 'SHA256SUMS'), sums.join(''));
}

/** Every file below a folder, with a hash of what it holds. */
function contents(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => `${path.slice(folder.length)} ${hashOf(path)}`)
    .sort();
}
