import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ExperimentEvent } from '../../src/experiment/events.js';
import { type ExperimentOptions, runExperiment } from '../../src/experiment/run.js';
import { loadRunDirectory } from '../../src/runs/run-directory.js';
import { readRecord, writeRecord } from '../../src/runs/run-json.js';
import { finalResult } from '../../src/runs/summary.js';
import { fln, workplace } from '../cli/fln.js';
import { temporaryFolder, tinyConfig, tinyExperiment, untimed } from './tiny.js';

/** Four epochs of 4 batches; the end of an epoch is no multiple of `evaluate.every`. */
const experiment = tinyExperiment(
  'epochs=4',
  'dataset.validation=40',
  'dataset.limit=220',
  'batchSize=50',
  'evaluate.test=never',
  'methods=[{name: adam, schedule: cosine}, {name: sgd, epochs: 1}]',
);

async function run(outDir: string, options: ExperimentOptions) {
  const events: ExperimentEvent[] = [];
  const result = await runExperiment(experiment, { outDir, ...options }, (event) =>
    events.push(event),
  );
  return { result, events };
}

const rows = (outDir: string, run: string) => untimed(join(outDir, run, 'metrics.csv'));

describe('a run that pauses after an epoch', () => {
  it('has the rows of a run without pauses, and its validation metrics in run.json', async () => {
    const [whole, paused] = [temporaryFolder(), temporaryFolder()];
    await run(whole, {});
    const first = await run(paused, { stopAtEpoch: 1 });
    expect(first.result).toMatchObject({ status: 'paused', files: [] });
    const [entry] = first.result.runs;
    expect(entry).toMatchObject({ status: 'INTERRUPTED', paused: { batch: 4, epoch: 1 } });
    expect(entry.paused?.validationAccuracy).toBeGreaterThan(0);
    // A method with no more epochs has completed.
    expect(first.result.runs[1]).toMatchObject({ label: 'sgd', status: 'COMPLETED' });
    // Readers that do not know of pauses see an interrupted run.
    const [shown] = loadRunDirectory(paused).runs;
    expect(shown.status).toBe('INTERRUPTED');
    expect(finalResult(shown, 'any')).toEqual({ missing: 'paused after epoch 1' });
    expect(rows(whole, 'adam-s1').startsWith(rows(paused, 'adam-s1'))).toBe(true);

    const second = await run(paused, { stopAtEpoch: 3, resume: true });
    expect(second.result.status).toBe('paused');
    // The evaluation of its last batch, 12, is a row of metrics.csv as well.
    const evaluated = second.events.find(
      (event) => event.type === 'evaluation' && event.batch === 12,
    );
    expect(second.result.runs[0].paused).toEqual({
      batch: 12,
      epoch: 3,
      validationAccuracy: evaluated?.type === 'evaluation' && evaluated.validation?.accuracy,
      validationLoss: evaluated?.type === 'evaluation' && evaluated.validation?.loss,
    });
    const last = await run(paused, { resume: true });
    expect(last.result.status).toBe('completed');
    expect(last.result.runs[0].paused).toBeUndefined();
    for (const name of ['adam-s1', 'sgd-s1']) {
      expect(rows(paused, name), name).toBe(rows(whole, name));
    }
  });

  it('was killed before its pause was recorded: evaluates again, trains nothing', async () => {
    const outDir = temporaryFolder();
    const { result } = await run(outDir, { stopAtEpoch: 1 });
    const before = rows(outDir, 'adam-s1');
    const record = readRecord(outDir)!;
    const runs = record.runs.map(({ paused: _, summary: __, ...entry }) =>
      entry.label === 'adam' ? { ...entry, status: 'RUNNING' as const } : entry,
    );
    writeRecord(outDir, { ...record, runs });
    const again = await run(outDir, { stopAtEpoch: 1, resume: true });
    expect(again.result.runs.map(({ paused }) => paused)).toEqual(
      result.runs.map(({ paused }) => paused),
    );
    expect(again.events.filter(({ type }) => type === 'batch')).toEqual([]);
    expect(rows(outDir, 'adam-s1')).toBe(before);

    // And a recorded pause is kept as it is.
    const kept = await run(outDir, { stopAtEpoch: 1, resume: true });
    expect(kept.events.filter(({ type }) => type === 'run-started')).toEqual([]);
    expect(kept.result.status).toBe('paused');
  });

  it('without its checkpoint starts again', async () => {
    const outDir = temporaryFolder();
    const { result } = await run(outDir, { stopAtEpoch: 1, only: ['adam'], seeds: [1] });
    rmSync(join(outDir, 'adam-s1', 'checkpoints'), { recursive: true });
    const again = await run(outDir, { stopAtEpoch: 1, only: ['adam'], seeds: [1], resume: true });
    expect(again.result.runs[0].paused).toEqual(result.runs[0].paused);
    expect(again.events.filter(({ type }) => type === 'batch')).toHaveLength(4);
  });
});

describe('fln run --stop-at-epoch', () => {
  it('exits 76, is listed as PAUSED, and --resume completes it', async () => {
    const cwd = workplace(tinyConfig);
    const args = ['run', 'tiny.yaml', '--only', 'adam', '--out'];
    const dry = await fln([...args, 'a', '--stop-at-epoch', '1', '--dry-run'], { cwd });
    expect(dry.stdout).toContain('adam, seed 1, paused after batch 4');
    const paused = await fln([...args, 'a', '--stop-at-epoch', '1', '--progress', 'text'], { cwd });
    expect(paused.code).toBe(76);
    expect(paused.stderr).toContain('[1/1] adam, seed 1: paused after epoch 1 (batch 4)\n');
    expect(paused.stderr).toContain(
      'Paused after epoch 1. To train on, use --resume with a later --stop-at-epoch, or without',
    );
    const listed = await fln(['ls', 'a', '--where', 'status=PAUSED', '--json'], { cwd });
    expect(listed.stdout).toContain('PAUSED');
    const resumed = await fln([...args, 'a', '--resume'], { cwd });
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain('adam, seed 1: resumes after batch 4');

    const bad = await fln([...args, 'd', '--stop-at-epoch', '0'], { cwd });
    expect(bad).toMatchObject({ code: 2 });
    expect(bad.stderr).toContain('--stop-at-epoch: expected a positive integer, got "0"');
  });
});
