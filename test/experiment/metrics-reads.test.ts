import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { ExperimentEvent } from '../../src/experiment/events.js';
import { type ExperimentOptions, runExperiment } from '../../src/experiment/run.js';
import { writeReport } from '../../src/report/write-report.js';
import * as reader from '../../src/runs/metrics.js';
import { temporaryFolder, tinyExperiment } from './tiny.js';

const opened = vi.hoisted((): string[] => []);
vi.mock('../../src/files/read.js', async (original) => {
  const read = await original<typeof import('../../src/files/read.js')>();
  const withRegularFile: typeof read.withRegularFile = (path, ...rest) => {
    opened.push(path);
    return read.withRegularFile(path, ...rest);
  };
  const readBytes: typeof read.readBytes = (path, ...rest) => {
    opened.push(path);
    return read.readBytes(path, ...rest);
  };
  return { ...read, withRegularFile, readBytes };
});

const reports = ['figure.svg', 'report.html', 'summary.csv', 'summary.json'];

const tiny = tinyExperiment();

/** How often a session opened a metrics.csv to read it, and how often it parsed one. */
async function reads(
  options: ExperimentOptions,
  listen: (event: ExperimentEvent) => void = () => {},
): Promise<{ opened: string[]; parsed: number }> {
  opened.length = 0;
  const addFile = vi.spyOn(reader.MetricsTable.prototype, 'addFile');
  onTestFinished(() => addFile.mockRestore());
  await runExperiment(tiny, options, listen);
  const parsed = addFile.mock.calls.length;
  addFile.mockRestore();
  return { opened: opened.filter((path) => path.endsWith('metrics.csv')), parsed };
}

it('reads no metrics.csv that it writes', async () => {
  const outDir = join(temporaryFolder(), 'run');
  expect(await reads({ outDir })).toEqual({ opened: [], parsed: 0 });
});

it('parses the earlier part of a metrics.csv once, and has the numbers of the file in memory', async () => {
  const outDir = join(temporaryFolder(), 'run');
  const controller = new AbortController();
  await reads({ outDir, signal: controller.signal }, (event) => {
    if (event.type === 'batch' && event.batch === 3) controller.abort();
  });
  const draw = vi.fn();
  const { opened, parsed } = await reads({ outDir, resume: true }, ({ type }) => draw(type));
  expect(draw).toHaveBeenCalledWith('figure');
  // Twice to compare the rows with the checkpoint: before anything is written, and when the run resumes.
  expect(opened).toHaveLength(2);
  expect(parsed).toBe(1);

  const content = () => reports.map((name) => readFileSync(join(outDir, name), 'utf8'));
  const fromMemory = content();
  await writeReport(outDir);
  expect(content()).toEqual(fromMemory);
});
