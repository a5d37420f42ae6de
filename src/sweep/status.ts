import { livingLock } from '../files/lock.js';
import { type RunStatus, runStatuses } from '../runs/run-json.js';
import { largest, smallest } from '../shared/statistics.js';
import { type Manifest, type ManifestTrial, type Metric, readManifest } from './manifest.js';
import { sweepPaths } from './paths.js';
import { isPaused, type MethodResult, readState, type TrialState } from './state.js';

/** A trial and its state. */
export interface TrialReport {
  readonly trial: ManifestTrial;
  readonly state: TrialState;
  /** Value of the metric, once it has completed; with search: halving, at the last rung that it reached. */
  readonly value?: number;
  /** The epoch of that rung. */
  readonly epoch?: number;
}

/** PAUSED, of a search that stops early: trained up to a rung. Its state file has INTERRUPTED and the rung. */
export type TrialStatus = RunStatus | 'PAUSED';

export const trialStatus = (state: TrialState): TrialStatus =>
  isPaused(state) ? 'PAUSED' : state.status;

export interface SweepStatus {
  readonly manifest: Manifest;
  /** In the order of the manifest. */
  readonly trials: readonly TrialReport[];
  /** Of the trials that are not retired. */
  readonly counts: Readonly<Record<TrialStatus, number>>;
}

/**
 * The state of a sweep, from the files in its directory.
 * @param mayWrite as for `livingLock`
 * @returns undefined when the directory does not contain a sweep
 * @throws UsageError when the manifest is damaged
 */
export function sweepStatus(directory: string, mayWrite = true): SweepStatus | undefined {
  const manifest = readManifest(directory);
  return manifest && statusOf(directory, manifest, mayWrite);
}

/** @param mayWrite as for `livingLock` */
export function statusOf(directory: string, manifest: Manifest, mayWrite = true): SweepStatus {
  const trials = manifest.trials.map((trial) => {
    const state = liveState(directory, trial.id, mayWrite);
    const { halving, metric } = manifest;
    return { trial, state, ...(halving ? lastRung : final)(metric, state) };
  });
  const counts = Object.fromEntries(runStatuses.map((status) => [status, 0]));
  counts.PAUSED = 0;
  for (const { trial, state } of trials) if (!trial.retired) counts[trialStatus(state)]++;
  return { manifest, trials, counts: counts as Record<TrialStatus, number> };
}

/** The state of a trial. INTERRUPTED where its file says RUNNING but the process is dead. */
function liveState(directory: string, id: string, mayWrite: boolean): TrialState {
  const state = readState(directory, id);
  if (state.status !== 'RUNNING' || state.job) return state;
  if (livingLock(sweepPaths(directory).trialLock(id), mayWrite)) return state;
  // It may have ended, or been started again, in between.
  const now = readState(directory, id);
  const isSame = now.status === 'RUNNING' && now.startedAt === state.startedAt;
  return isSame ? { ...state, status: 'INTERRUPTED' } : now;
}

const final = (metric: Metric, { status, results = [] }: TrialState) => ({
  value: status === 'COMPLETED' ? metricValue(metric, results) : undefined,
});

/** A failed trial has no value, wherever it failed. */
function lastRung(metric: Metric, { status, rungs }: TrialState) {
  const last = rungs?.at(-1);
  if (status === 'FAILED' || last === undefined) return {};
  return { value: metricValue(metric, last.results), epoch: last.epoch };
}

/** The metric of one method, or the best of any where none is named. */
export function metricValue(
  { method, column, goal }: Metric,
  results: readonly MethodResult[],
): number | undefined {
  const values = results
    .filter((result) => method === undefined || result.method === method)
    .flatMap((result) => result[column] ?? []);
  if (values.length === 0) return undefined;
  return goal === 'maximize' ? largest(values) : smallest(values);
}

export type RankedTrial = TrialReport & { readonly value: number };

/**
 * The trials that have a value, best first, retired ones after all others: the ranking in tables,
 * figures and `fln ls --best`. With search: halving, those that were trained longer come first.
 */
export function ranked({ manifest, trials }: SweepStatus): RankedTrial[] {
  const sign = manifest.metric.goal === 'maximize' ? -1 : 1;
  return trials
    .flatMap((report) => (report.value === undefined ? [] : [{ ...report, value: report.value }]))
    .sort(
      (a, b) =>
        Number(a.trial.retired) - Number(b.trial.retired) ||
        (b.epoch ?? 0) - (a.epoch ?? 0) ||
        sign * (a.value - b.value),
    );
}

/** The best trial that is not retired. */
export const bestTrial = (status: SweepStatus): RankedTrial | undefined =>
  ranked(status).find(({ trial }) => !trial.retired);
