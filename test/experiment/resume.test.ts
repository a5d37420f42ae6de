import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RunError, UsageError } from '../../src/errors.js';
import type { ExperimentEvent } from '../../src/experiment/events.js';
import { planExperiment } from '../../src/experiment/plan.js';
import { type ExperimentOptions, runExperiment } from '../../src/experiment/run.js';
import { lockName } from '../../src/runs/run-directory-writer.js';
import { readRecord, writeRecord } from '../../src/runs/run-json.js';
import { temporaryFolder, tinyExperiment } from './tiny.js';

const experiment = tinyExperiment('epochs=1');

async function run(options: ExperimentOptions): Promise<ExperimentEvent[]> {
  const events: ExperimentEvent[] = [];
  await runExperiment(experiment, options, (event) => events.push(event));
  return events;
}

describe('a run directory that was touched by others', () => {
  it('trains again what lost its numbers, and names numbers that cannot be read', async () => {
    const outDir = temporaryFolder();
    await run({ outDir });
    const csv = join(outDir, 'adam-s1', 'metrics.csv');
    rmSync(csv);
    const again = await run({ outDir, resume: true });
    const started = again.flatMap((event) =>
      event.type === 'run-started' ? [event.run.label] : [],
    );
    expect(started).toEqual(['adam']);

    writeFileSync(csv, 'batch,"');
    const warned = await run({ outDir, resume: true });
    const warnings = warned.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
    expect(warnings.join()).toContain(csv);
  });

  it('leaves no run RUNNING whose process died', async () => {
    const outDir = temporaryFolder();
    await run({ outDir });
    const record = readRecord(outDir)!;
    const dead = { label: 'sgd', seed: 1, status: 'RUNNING' as const };
    writeRecord(outDir, { ...record, runs: [record.runs[0], dead] });
    await run({ outDir, only: ['adam'], overwrite: true });
    expect(readRecord(outDir)!.runs.map(({ status }) => status)).toEqual([
      'COMPLETED',
      'INTERRUPTED',
    ]);
  });

  it('is refused before anything is loaded while another process writes into it', () => {
    const outDir = temporaryFolder();
    const holder = { pid: 1, host: 'elsewhere', startedAt: 'now', token: 'x' };
    writeFileSync(join(outDir, lockName), JSON.stringify(holder));
    expect(() => planExperiment(experiment, { outDir })).toThrow(RunError);
    expect(() => planExperiment(experiment, { outDir })).toThrow('process 1 on elsewhere');
  });

  it('cannot lie below a file', () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    expect(() => planExperiment(experiment, { outDir: join(file, 'a', 'b') })).toThrow(UsageError);
  });
});
