import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Experiment, ResolvedMethod } from '../config/experiment.js';
import { resolvedYaml } from '../config/print.js';
import { UsageError } from '../errors.js';
import { writeFileSynced, writeFolderAtomic } from '../files/atomic.js';
import { makeFolder } from '../files/folder.js';
import { folderOf, layersPath, metricsPath } from '../runs/run-directory.js';
import { refuseIfLocked } from '../runs/run-directory-writer.js';
import { type RunEntry, type RunRecord, readRecord, writeRecord } from '../runs/run-json.js';
import { runName } from '../shared/text.js';
import { type Checkpoint, copyCheckpoint } from './checkpoint/checkpoint.js';
import { Checkpoints, checkpointName, resumePoint } from './checkpoint/checkpoints.js';
import { defaultDirectory, select } from './plan.js';

/** Completed runs, and the same experiment with more epochs. */
export interface Extension {
  /** The experiment of the completed runs. */
  readonly base: Experiment;
  /** Their directory; its default when absent. */
  readonly from?: string;
  /** `base` with more epochs. */
  readonly extended: Experiment;
  /** Run directory of `extended`; its default when absent. */
  readonly outDir?: string;
  readonly only?: readonly string[];
  readonly seeds?: readonly number[];
}

/** A run to extend: what it resumes from. */
export interface ExtendedRun {
  readonly label: string;
  readonly seed: number;
  /** Its last batch. */
  readonly batch: number;
  readonly epochs: { readonly from: number; readonly to: number };
}

/**
 * Continues completed runs to more epochs. Their metrics and final checkpoints are copied into the run directory
 * of the longer experiment, where they are interrupted runs, to be resumed by `runExperiment`. The completed runs
 * stay as they are. A run that is extended has the rows of one that was as long from the start, except that the
 * row of the batch where it had ended has an evaluation, wherever `evaluate.every` puts the others.
 *
 * @param isDry checks everything and writes nothing
 * @returns the directory to resume in, and the runs
 * @throws UsageError naming every run that cannot be extended, with the reason; RunError, DiskError
 */
export async function extendRuns(
  extension: Extension,
  warn: (message: string) => void,
  isDry = false,
): Promise<{ directory: string; runs: readonly ExtendedRun[] }> {
  const { base, extended } = extension;
  const from = resolve(extension.from ?? defaultDirectory(base));
  const directory = resolve(extension.outDir ?? defaultDirectory(extended));
  const record = recordOf(from, base);
  if (directory === from) {
    throw new UsageError(
      `--extend writes into a directory of its own: choose another --out DIR than ${from}`,
    );
  }
  refuseIfLocked(from, false);
  const problems: string[] = [];
  const found = select(extended, extension).flatMap(({ method, label, seed }) => {
    const before = base.methods.find((other) => other.label === label) as ResolvedMethod;
    const entry = record.runs.find((run) => run.label === label && run.seed === seed);
    const folder = folderOf(from, { label, seed });
    const problem = whyNot(before, method) ?? whyIncomplete(entry);
    const point =
      problem === undefined ? finalCheckpoint(from, entry as RunEntry, warn) : undefined;
    if (point) {
      const epochs = { from: before.epochs, to: method.epochs };
      const run = { label, seed, batch: point.position.batch, epochs };
      return [{ run, folder, point, startedAt: entry?.startedAt }];
    }
    problems.push(`${runName({ label, seed })}: ${problem ?? noCheckpoint}`);
    return [];
  });
  if (problems.length > 0) {
    throw new UsageError(`cannot extend the runs in ${from}:\n  ${problems.join('\n  ')}`);
  }
  const runs = found.map(({ run }) => run);
  if (isDry) return { directory, runs };
  makeFolder(dirname(directory));
  await writeFolderAtomic(directory, async (target) => {
    for (const { run, folder, point } of found) {
      const own = folderOf(target, run);
      const checkpoints = join(own, 'checkpoints');
      mkdirSync(checkpoints, { recursive: true });
      copyFileSync(join(folder, 'metrics.csv'), metricsPath(target, run));
      if (point.position.layers) copyFileSync(join(folder, 'layers.csv'), layersPath(target, run));
      copyCheckpoint(point, join(checkpoints, checkpointName(run.batch)), extended.hash);
    }
    const { name, hash } = extended;
    const { endedAt: _, ...rest } = record;
    writeRecord(target, {
      ...rest,
      experiment: { ...record.experiment, name, hash },
      extends: { directory: from, hash: base.hash },
      runs: found.map(({ run: { label, seed }, startedAt }) => {
        return { label, seed, status: 'INTERRUPTED', startedAt };
      }),
    });
    writeFileSynced(join(target, 'config.yaml'), resolvedYaml(extended));
  });
  return { directory, runs };
}

/** @throws UsageError when the directory is not that of the experiment */
function recordOf(directory: string, base: Experiment): RunRecord {
  const record = existsSync(directory) ? readRecord(directory) : undefined;
  if (record?.experiment.hash === base.hash) return record;
  const what =
    record === undefined
      ? `there are no results of this config in ${directory}`
      : `${directory} has results of another config (${record.experiment.hash}; this one is ${base.hash})`;
  throw new UsageError(
    `nothing to extend: ${what}. Give the config of the completed runs, as in: fln run DIR/config.yaml --extend epochs=20`,
  );
}

/** Why a method's run of more epochs does not begin with its shorter run. */
function whyNot(before: ResolvedMethod, after: ResolvedMethod): string | undefined {
  const { label, config } = after;
  if (after.epochs <= before.epochs) {
    const own = before.epochs === after.epochs ? 'has so many epochs already' : 'has more already';
    return `it ${own} (${before.epochs}); extend it with methods.${label}.epochs=N, or select others with --only`;
  }
  const { schedule } = config;
  if (schedule === undefined || schedule === 'constant') return undefined;
  return (
    `its schedule, ${schedule}, depends on the number of epochs: a run of ${after.epochs} would have had other step sizes ` +
    `from the start. Only schedule: constant can be extended; init: { from: RUN } starts a new run from its weights`
  );
}

function whyIncomplete(entry: RunEntry | undefined): string | undefined {
  if (entry?.status === 'COMPLETED') return undefined;
  return entry === undefined || entry.status === 'QUEUED'
    ? 'it was not trained; train it first, with --keep-checkpoints'
    : `it is ${entry.status}; complete it first, with --resume --keep-checkpoints`;
}

const noCheckpoint =
  'it has no checkpoint of its end, which --keep-checkpoints writes. Train it again with --overwrite ' +
  '--keep-checkpoints, or start a new run from its weights with init: { from: RUN }';

function finalCheckpoint(
  from: string,
  entry: RunEntry,
  warn: (message: string) => void,
): Checkpoint | undefined {
  const checkpoints = new Checkpoints(folderOf(from, entry));
  if (checkpoints.list().length === 0) return undefined;
  const csvs = { metrics: metricsPath(from, entry), layers: layersPath(from, entry) };
  const point = resumePoint(checkpoints, csvs, warn);
  const end = entry.totalBatches ?? entry.summary?.batches;
  return point?.position.batch === end ? point : undefined;
}
