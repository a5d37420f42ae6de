import { basename, dirname, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { livingLock } from '../files/lock.js';
import { statsOf } from '../files/read.js';
import { experimentName } from '../report/content.js';
import { measuredRows } from '../report/curves.js';
import {
  lastBatch,
  metricsPath,
  type Problem,
  type Run,
  type RunDirectory,
  shownStatus,
} from '../runs/run-directory.js';
import type { RunStatus } from '../runs/run-json.js';
import { isSweepDirectory, sweepPaths } from '../sweep/paths.js';
import { type SweepStatus, sweepStatus } from '../sweep/status.js';
import { LiveRuns } from './follow.js';

/** How far one run is. Accuracies are shares in [0, 1]. */
export interface RunProgress {
  readonly directory: string;
  readonly experiment: string;
  readonly method: string;
  readonly seed: number;
  readonly status: RunStatus | 'PAUSED';
  /** Last batch in metrics.csv; 0 before the first. */
  readonly batch: number;
  readonly totalBatches?: number;
  readonly epoch?: number;
  /** Of the last batch. */
  readonly trainLoss?: number;
  /** Of the last evaluation. */
  readonly testLoss?: number;
  readonly testAccuracy?: number;
  readonly validationLoss?: number;
  readonly validationAccuracy?: number;
  /** Training time, without evaluation. */
  readonly trainSeconds?: number;
  /** Of the last minute, or since the run started or resumed; with evaluation. Of a run in progress. */
  readonly batchesPerSecond?: number;
  readonly secondsLeft?: number;
  /** ISO 8601, UTC. */
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** When metrics.csv was last written to; of a run in progress. */
  readonly updatedAt?: string;
  readonly error?: string;
  /** Values over the batches so far, from 0 at the bottom to 1 at the top; absent where they were not read. */
  readonly curve?: RunCurve;
}

export interface RunCurve {
  readonly column: (typeof curveColumns)[number];
  readonly values: readonly number[];
}

export interface SweepProgress {
  readonly directory: string;
  readonly name: string;
  /** Trials by status, retired ones excluded. */
  readonly trials: Readonly<Record<RunStatus, number>>;
}

export interface Progress {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Nothing trains, and no process is about to. */
  readonly ended: boolean;
  readonly runs: readonly RunProgress[];
  readonly sweeps: readonly SweepProgress[];
  readonly problems: readonly Problem[];
}

/** Up to this many run directories are read as a whole, for their curves; of more, those in progress. */
const mostWhole = 20;

/** Reads the progress of runs again and again. */
export class ProgressReader {
  readonly #live = new LiveRuns();
  readonly #meter = new ProgressMeter();

  /** @param paths run directories, sweeps, or folders that contain some */
  constructor(readonly paths: readonly string[]) {}

  /** @throws UsageError when there is neither a run nor a sweep */
  async read(): Promise<Progress> {
    const found = this.paths.flatMap((path) => this.#live.find(path));
    const directories = [...new Map(found.map((path) => [resolve(path), path])).values()];
    this.#live.keepOnly(directories);
    const problems: Problem[] = [];
    const runs: RunProgress[] = [];
    let isActive = false;
    for (const path of directories) {
      let snapshot = await this.#live.read(path, 'last row');
      if (directories.length <= mostWhole || snapshot.directory.runs.some(isRunning)) {
        snapshot = await this.#live.read(path, 'all rows');
      }
      isActive ||= snapshot.isActive || snapshot.directory.runs.some(isRunning);
      problems.push(...snapshot.directory.problems);
      runs.push(...snapshot.directory.runs.map((run) => this.#meter.of(snapshot.directory, run)));
    }
    const sweeps = this.#sweeps(directories).flatMap((directory) => {
      const status = readSweep(directory, problems);
      if (status === undefined) return [];
      isActive ||= isSweepActive(directory, status);
      return [{ directory, name: status.manifest.name, trials: status.counts }];
    });
    const at = new Date().toISOString();
    return { at, ended: !isActive, runs, sweeps, problems };
  }

  #sweeps(directories: readonly string[]): string[] {
    // The run directories of a sweep are SWEEP/trials/ID.
    const parents = directories
      .map((path) => dirname(resolve(path)))
      .filter((folder) => basename(folder) === 'trials')
      .map((folder) => dirname(folder));
    const given = this.paths.map((path) => resolve(path));
    return [...new Set([...given, ...parents])].filter(isSweepDirectory);
  }
}

/** Measures the progress of runs, and their speed from one time to the next. */
export class ProgressMeter {
  /** States of the last minute of the runs in progress, by metrics.csv. */
  readonly #seen = new Map<string, Place[]>();

  of(directory: RunDirectory, run: Run): RunProgress {
    const file = metricsPath(directory.path, run);
    const written = isRunning(run) ? statsOf(file)?.mtimeMs : undefined;
    if (written === undefined) {
      this.#seen.delete(file);
      return progressOf(directory, run);
    }
    const place = { at: written, batch: lastBatch(run.metrics) };
    const isRecent = ({ at, batch }: Place) => at > written - 60_000 && batch < place.batch;
    const seen = (this.#seen.get(file) ?? []).filter(isRecent);
    this.#seen.set(file, [...seen, place]);
    return { ...progressOf(directory, run), ...rateOf(run, place, seen[0]) };
  }
}

const isRunning = ({ status }: Run) => status === 'RUNNING';

function readSweep(directory: string, problems: Problem[]): SweepStatus | undefined {
  try {
    return sweepStatus(directory, false);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    problems.push({ path: directory, message: error.message });
    return undefined;
  }
}

/** Slurm starts queued trials when it has a place for them, and no process waits for that. */
function isSweepActive(directory: string, { counts }: SweepStatus): boolean {
  const { lock, slurm } = sweepPaths(directory);
  if (counts.RUNNING > 0 || livingLock(lock, false) !== undefined) return true;
  return counts.QUEUED > 0 && statsOf(slurm) !== undefined;
}

function progressOf(directory: RunDirectory, run: Run): RunProgress {
  const { status, metrics, recorded } = run;
  const last = (column: string) => {
    const value = metrics.columns[column]?.findLast((value) => !Number.isNaN(value));
    return Number.isFinite(value) ? value : undefined;
  };
  const batch = lastBatch(metrics) || (recorded?.batches ?? 0);
  return {
    directory: directory.path,
    experiment: experimentName(directory),
    method: run.label,
    seed: run.seed,
    status: shownStatus(run),
    batch,
    totalBatches: run.totalBatches ?? (status === 'COMPLETED' ? batch : undefined),
    epoch: last('epoch'),
    trainLoss: last('train_loss') ?? recorded?.finalTrainLoss,
    testLoss: last('test_loss') ?? recorded?.finalTestLoss,
    testAccuracy: last('test_accuracy') ?? recorded?.finalTestAccuracy,
    validationLoss: last('validation_loss') ?? recorded?.finalValidationLoss,
    validationAccuracy: last('validation_accuracy') ?? recorded?.finalValidationAccuracy,
    trainSeconds: last('wall_s') ?? recorded?.wallSeconds,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    error: run.error,
    curve: curveOf(run),
  };
}

/** A batch, and when its row was written (ms since 1970). */
interface Place {
  readonly at: number;
  readonly batch: number;
}

/**
 * @param place last row
 * @param earlier another one, where known
 */
function rateOf(run: Run, place: Place, earlier?: Place): Partial<RunProgress> {
  const updatedAt = new Date(place.at).toISOString();
  const { startedAt = '', totalBatches, resumed = { at: startedAt, batch: 0 } } = run;
  const from = earlier ?? { at: Date.parse(resumed.at), batch: resumed.batch };
  const seconds = (place.at - from.at) / 1000;
  const batches = place.batch - from.batch;
  // The clock of a network disk may be behind.
  if (!(seconds > 0 && batches > 0)) return { updatedAt };
  const batchesPerSecond = batches / seconds;
  if (totalBatches === undefined) return { updatedAt, batchesPerSecond };
  const since = Math.max(0, Date.now() - place.at) / 1000;
  const secondsLeft = Math.max(0, (totalBatches - place.batch) / batchesPerSecond - since);
  return { updatedAt, batchesPerSecond, secondsLeft };
}

/** Values of a curve in a terminal. */
export const curveLength = 16;

/** What a curve shows: the first of these that a run has. Losses: of a regression. */
const curveColumns = [
  'test_accuracy',
  'validation_accuracy',
  'test_loss',
  'validation_loss',
  'train_loss',
] as const;

/** Accuracies on the logarithmic scale of the error, as in figures. */
function curveOf(run: Run): RunCurve | undefined {
  const column = curveColumns.find((name) => measuredRows(run, name).length > 1);
  if (column === undefined) return undefined;
  const rows = measuredRows(run, column);
  const of = run.metrics.columns[column];
  const count = Math.min(curveLength, rows.length);
  // The last value of each of as many stretches.
  const values = Array.from({ length: count }, (_, i) => {
    const value = of[rows[Math.ceil(((i + 1) * rows.length) / count) - 1]];
    return column.endsWith('loss') ? value : -Math.log(Math.max(1e-4, 1 - value));
  });
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const place = (value: number) => (high > low ? (value - low) / (high - low) : 0.5);
  return { column, values: values.map((value) => Number(place(value).toFixed(3))) };
}
