import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { devices } from '../backend/backend.js';
import { backendNames } from '../backend/registry.js';
import { type Experiment, experimentHash, type ResolvedMethod } from '../config/experiment.js';
import { stepsOf } from '../core/batches.js';
import { UsageError } from '../errors.js';
import { checkOutputDirectory } from '../files/folder.js';
import { folderOf, metricsPath } from '../runs/run-directory.js';
import { isLeftBySetUp, refuseIfLocked } from '../runs/run-directory-writer.js';
import type { RunId } from '../runs/run-json.js';
import { type RunRecord, readRecord, sameRun } from '../runs/run-json.js';
import { Checkpoints } from './checkpoint/checkpoints.js';

/** Which runs of an experiment to train, and where their results go. */
export interface PlanOptions {
  /** Run directory; default `results/<name>/<hash>` in the current directory. */
  readonly outDir?: string;
  /** Labels of the methods to train; all when absent. */
  readonly only?: readonly string[];
  /** Seeds to train, of the config's own; all when absent. */
  readonly seeds?: readonly number[];
  /** Continue in a directory that has results: completed runs are kept, the others resume from their checkpoints. */
  readonly resume?: boolean;
  /** Train failed runs again; without `resume`, only these. */
  readonly rerun?: 'failed';
  /** Train the selected runs from scratch, and replace earlier results. */
  readonly overwrite?: boolean;
  /** Write nothing, not even temporarily. */
  readonly dryRun?: boolean;
}

export interface PlannedRun extends RunId {
  readonly method: ResolvedMethod;
  /** Completed earlier: will not be trained. */
  readonly done: boolean;
  /** Resumes after this batch, if the last checkpoint is intact. */
  readonly continues?: number;
}

export interface ExperimentPlan {
  /** Absolute path of the run directory. */
  readonly directory: string;
  /** Seed by seed, methods in the order of the config. */
  readonly runs: readonly PlannedRun[];
  /** run.json of an earlier session in this directory. */
  readonly previous?: RunRecord;
}

/**
 * Decides what to train; reads the run directory and writes nothing.
 * @throws UsageError for labels or seeds that the experiment does not have, for a directory that is not
 *   this experiment's, and for one that has results without `resume`, `rerun` or `overwrite`; RunError when
 *   another process writes into it or it cannot be written to
 */
export function planExperiment(experiment: Experiment, options: PlanOptions = {}): ExperimentPlan {
  if (options.overwrite && (options.resume || options.rerun)) {
    const other = options.resume ? '--resume' : '--rerun failed';
    throw new UsageError(
      `${other} keeps completed runs and --overwrite retrains them: use only one of the two`,
    );
  }
  const directory = resolve(options.outDir ?? defaultDirectory(experiment));
  const selected = select(experiment, options);
  const previous = inspect(directory, experiment, options.dryRun);

  const started = previous?.runs.filter(({ status }) => status !== 'QUEUED') ?? [];
  const recorded = started.filter((entry) => selected.some((run) => sameRun(run, entry)));
  if (recorded.length > 0 && !options.resume && !options.rerun && !options.overwrite) {
    const completed = recorded.filter(({ status }) => status === 'COMPLETED').length;
    throw new UsageError(
      `${directory} already holds results of this config (${completed} of ${selected.length} runs completed). ` +
        'Add --resume to train what is missing, --rerun failed to train failed runs again, ' +
        '--overwrite to retrain everything, or --out DIR to write elsewhere',
    );
  }
  const completed = options.overwrite
    ? []
    : recorded.filter(({ status }) => status === 'COMPLETED');
  const hasFailed = (run: RunId) =>
    recorded.some((entry) => sameRun(run, entry) && entry.status === 'FAILED');
  const due = options.rerun && !options.resume ? selected.filter(hasFailed) : selected;
  const runs = due.map((run) => {
    // A run whose metrics.csv was deleted is trained again.
    const hasNumbers = existsSync(metricsPath(directory, run));
    const done = hasNumbers && completed.some((entry) => sameRun(run, entry));
    const fromScratch = options.overwrite || !hasNumbers || (options.rerun && hasFailed(run));
    const continues =
      done || fromScratch ? undefined : new Checkpoints(folderOf(directory, run)).list()[0]?.batch;
    return { ...run, done, continues };
  });
  return { directory, runs, previous };
}

/** The default run directory, relative to the current directory. */
export function defaultDirectory({ name, hash }: Pick<Experiment, 'name' | 'hash'>): string {
  return join('results', name, hash);
}

/** The batch after which a run pauses; undefined where it completes before. */
export function pauseOf(
  method: ResolvedMethod,
  trainRows: number,
  stopAtEpoch: number,
): number | undefined {
  if (stopAtEpoch >= method.epochs) return undefined;
  return stepsOf({ ...method, epochs: stopAtEpoch }, trainRows);
}

/**
 * The runs of an experiment, or those of the given methods and seeds.
 * @throws UsageError for labels and seeds that it does not have
 */
export function select(
  experiment: Experiment,
  { only, seeds }: Pick<PlanOptions, 'only' | 'seeds'>,
): Omit<PlannedRun, 'done' | 'continues'>[] {
  const labels = experiment.methods.map(({ label }) => label);
  for (const label of only ?? []) {
    if (labels.includes(label)) continue;
    throw new UsageError(
      `--only: no method is labelled "${label}"; the labels are ${labels.join(', ')}`,
    );
  }
  for (const seed of seeds ?? []) {
    if (experiment.seeds.includes(seed)) continue;
    throw new UsageError(
      `--seeds: ${seed} is not one of the config's seeds (${experiment.seeds.join(', ')}); ` +
        `to train other seeds, override them: seeds=[${[...new Set(seeds)].join(',')}]`,
    );
  }
  return experiment.seeds
    .filter((seed) => seeds?.includes(seed) ?? true)
    .flatMap((seed) =>
      experiment.methods
        .filter(({ label }) => only?.includes(label) ?? true)
        .map((method) => ({ label: method.label, seed, method })),
    );
}

/** The earlier session's record, where the directory is this experiment's own. */
function inspect(directory: string, experiment: Experiment, dryRun = false): RunRecord | undefined {
  // Now, before the data is loaded.
  checkOutputDirectory(directory, 'run directory');
  if (!existsSync(directory)) return undefined;
  refuseIfLocked(directory, !dryRun);
  const record = readRecord(directory);
  if (record === undefined) {
    if (readdirSync(directory).every(isLeftBySetUp)) return undefined;
    throw new UsageError(
      `${directory} is not empty and not a run directory; choose a new or empty one with --out DIR`,
    );
  }
  if (record.experiment.hash !== experiment.hash) {
    throw new UsageError(`${directory} ${otherConfig(record, experiment)}`);
  }
  return record;
}

function otherConfig(record: RunRecord, here: Experiment): string {
  const {
    experiment: { name, hash },
    backend,
  } = record;
  const changed = changedPlugins(record, here);
  if (changed !== undefined) {
    return (
      `holds results of this config with another version of ${changed}. A changed plugin is another experiment: ` +
      'restore that version to resume them, or choose another directory with --out DIR'
    );
  }
  const settings = settingsOf(hash, here);
  if (settings === undefined) {
    return (
      `holds results of another config (${name}, ${hash}; this one is ${here.hash}). ` +
      'A run directory is never reused: choose another with --out DIR'
    );
  }
  return (
    `holds results of this config with ${settings}, computed on the backend "${backend?.name}". ` +
    'With these settings, --resume continues them on that backend; other settings need another directory: --out DIR'
  );
}

/** The plugins whose checksums differ, where the experiment of a record differs in nothing else. */
export function changedPlugins(
  { experiment: { hash }, plugins = [] }: Pick<RunRecord, 'experiment' | 'plugins'>,
  here: Experiment,
): string | undefined {
  if (plugins.length === 0 || here.hash === hash) return undefined;
  if (experimentHash({ ...here.resolved, plugins }) !== hash) return undefined;
  const known = plugins.map(({ sha256 }) => sha256);
  const changed = here.plugins.filter(({ sha256 }) => !known.includes(sha256));
  return changed
    .map(({ file, sha256 }) => `${file} (sha256 now ${sha256.slice(0, 12)}...)`)
    .join(', ');
}

/** The backend and device of the config with this hash, where it differs from ours in nothing else. */
function settingsOf(hash: string, { resolved }: Experiment): string | undefined {
  for (const backend of ['auto', ...backendNames]) {
    for (const device of [undefined, ...devices]) {
      if (experimentHash({ ...resolved, backend, device }) !== hash) continue;
      return `backend: ${backend} and ${device ? `device: ${device}` : 'no device'}`;
    }
  }
  return undefined;
}
