import type { Manifest } from '../manifest.js';
import type { TrialState } from '../state.js';
import { metricValue, type SweepStatus, type TrialReport } from '../status.js';
import { epochsOf, mostTrials, surveyRungs, type TrialRecord } from './scheduler.js';

export type Halving = NonNullable<Manifest['halving']>;

/** The trials that the search compares: those of the sweep file. */
export const searched = ({ trials }: SweepStatus): TrialReport[] =>
  trials.filter(({ trial }) => !trial.retired);

/** What the scheduler knows of a trial: from its state file alone, so that a resumed sweep decides alike. */
export function recordOf(
  state: TrialState,
  { epochs }: Halving,
  metric: Manifest['metric'],
): TrialRecord {
  const rung = state.target === undefined ? -1 : epochs.indexOf(state.target);
  const sign = metric.goal === 'maximize' ? 1 : -1;
  const valueIn = (results: TrialState['results'] = []) =>
    sign * (metricValue(metric, results) ?? Number.NaN);
  if (state.status === 'COMPLETED') {
    const values = epochs.map((epoch) =>
      valueIn(state.rungs?.find((own) => own.epoch === epoch)?.results ?? state.results),
    );
    return { rung: epochs.length - 1, values };
  }
  const values = epochs.slice(0, rung + 1).flatMap((epoch) => {
    const reached = state.rungs?.find((own) => own.epoch === epoch);
    return reached ? [valueIn(reached.results)] : [];
  });
  if (state.status === 'FAILED') while (values.length <= rung) values.push(Number.NaN);
  return { rung, values };
}

/** Whether it was started for a rung that it has not reached. */
export const isUnderWay = ({ rung, values }: TrialRecord): boolean => values.length <= rung;

/** The trials that the search may still train; without search: halving, all. */
export function openTrials(status: SweepStatus): TrialReport[] {
  const { halving, metric } = status.manifest;
  const trials = searched(status);
  if (halving === undefined) return trials;
  const records = trials.map(({ state }) => recordOf(state, halving, metric));
  const survey = surveyRungs(records, halving.epochs.length, halving.eta);
  return trials.filter((_, i) => {
    const { rung, values } = records[i];
    if (rung < 0 || isUnderWay(records[i])) return true;
    const { isClosed, promoted, places } = survey[rung];
    return (
      (!isClosed || promoted < places) && !Number.isNaN(values[rung]) && rung < survey.length - 1
    );
  });
}

/** The state of a search, for tables. */
export interface HalvingSummary {
  readonly eta: number;
  readonly rungs: readonly {
    readonly epoch: number;
    /** Trials with a result here, failed ones included. */
    readonly results: number;
    /** The largest number of trials that can get here. */
    readonly most: number;
    readonly running: number;
    readonly failed: number;
    readonly promoted: number;
    /** Values of the metric: the best, and the last of the best 1/eta. */
    readonly best?: number;
    readonly threshold?: number;
  }[];
  /** Epochs of training over all trials and seeds: so far, at most, and for all trials in full. */
  readonly spent: number;
  readonly most: number;
  readonly full: number;
  readonly isFinished: boolean;
}

/** @returns undefined for other searches */
export function halvingSummary(status: SweepStatus): HalvingSummary | undefined {
  const { halving, metric } = status.manifest;
  if (halving === undefined) return undefined;
  const { eta, epochs, seeds } = halving;
  const trials = searched(status);
  const records = trials.map(({ state }) => recordOf(state, halving, metric));
  const most = mostTrials(trials.length, epochs.length, eta);
  const sign = metric.goal === 'maximize' ? 1 : -1;
  const survey = surveyRungs(records, epochs.length, eta);
  const rungs = survey.map(({ started, results, promoted }, k) => {
    const here = records.filter(({ values }) => values.length > k).map(({ values }) => values[k]);
    const sorted = here.filter((value) => !Number.isNaN(value)).sort((a, b) => b - a);
    const threshold = sorted[Math.max(1, Math.floor(results / eta)) - 1];
    return {
      epoch: epochs[k],
      results,
      most: most[k],
      running: started - results,
      failed: results - sorted.length,
      promoted,
      best: sorted.length > 0 ? sign * sorted[0] : undefined,
      threshold: k < epochs.length - 1 && threshold !== undefined ? sign * threshold : undefined,
    };
  });
  return {
    eta,
    rungs,
    spent:
      seeds *
      epochsOf(
        rungs.map(({ results }) => results),
        epochs,
      ),
    most: seeds * epochsOf(most, epochs),
    full: seeds * trials.length * epochs[epochs.length - 1],
    isFinished: openTrials(status).length === 0,
  };
}

/** The largest number of trainings from one rung to the next that are left. */
export const trainingsLeft = ({ rungs }: HalvingSummary): number =>
  rungs.reduce((sum, { most, results }) => sum + Math.max(0, most - results), 0);
