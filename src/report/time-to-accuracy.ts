import { lastBatch, type Run } from '../runs/run-directory.js';
import { type Crossing, firstReached, roundThresholds } from '../runs/summary.js';
import {
  average,
  estimateRatio,
  excludes,
  largest,
  type RatioEstimate,
} from '../shared/statistics.js';
import type { Method } from './pairing.js';

/** Batches and training seconds until an accuracy is first measured. */

/** The split on which accuracies were measured during training; undefined where they were not. */
export type Curve = 'test' | 'validation' | undefined;

/** Training until an accuracy is first measured, over the completed seeds. */
export interface Reached {
  readonly threshold: number;
  /** Completed seeds, and those of them that reach it. */
  readonly runs: number;
  readonly count: number;
  /** Geometric means over the seeds that reach it. */
  readonly batches?: number;
  readonly seconds?: number;
}

/** Training until an accuracy is first measured, method divided by reference. */
export interface ThresholdComparison {
  readonly threshold: number;
  /** Seeds of the pairs in which both reach it, over which the ratios are. */
  readonly seeds: readonly number[];
  /** Seeds of the other pairs: those in which the method, and in which the reference, does not reach it. */
  readonly missed: { readonly method: readonly number[]; readonly reference: readonly number[] };
  readonly batches?: Ratio;
  readonly seconds?: Ratio;
  /**
   * The most that the batches of either may be too large by, since only some batches are evaluated: in batches, and
   * as a share.
   */
  readonly resolution: { readonly batches: number; readonly share: number };
}

export interface Ratio extends RatioEstimate {
  /** Whether the interval excludes 1; absent for a single pair. */
  readonly separated?: boolean;
}

/**
 * Compares runs with the same seeds; those in which either does not reach the accuracy are named, and left out of
 * the ratios.
 * @param pairs the runs of the method and of the reference
 * @param probability quantile of the upper end of the intervals
 */
export function compareThreshold(
  pairs: readonly { readonly seed: number; readonly method: Run; readonly reference: Run }[],
  threshold: number,
  curve: Curve,
  probability: number,
): ThresholdComparison {
  const crossings = pairs.map(({ seed, method, reference }) => ({
    seed,
    method: crossingOf(method, threshold, curve),
    reference: crossingOf(reference, threshold, curve),
  }));
  const both = crossings.flatMap(({ seed, method, reference }) =>
    method && reference ? [{ seed, method, reference }] : [],
  );
  const missedBy = (side: 'method' | 'reference') =>
    crossings.flatMap((crossing) => (crossing[side] ? [] : [crossing.seed]));
  const ratio = (value: 'batch' | 'seconds'): Ratio | undefined => {
    const ratios = both.map(({ method, reference }) => method[value] / reference[value]);
    // Times of 0 have no logarithm.
    const isPositive = ratios.every((each) => each > 0 && Number.isFinite(each));
    const found = isPositive ? estimateRatio(ratios, probability) : undefined;
    return found && { ...found, separated: excludes(found, 1) };
  };
  const steps = both.flatMap(({ method, reference }) =>
    [method, reference].map(({ batch, previous }) => ({ gap: batch - previous - 1, batch })),
  );
  return {
    threshold,
    seeds: both.map(({ seed }) => seed),
    missed: { method: missedBy('method'), reference: missedBy('reference') },
    batches: ratio('batch'),
    seconds: ratio('seconds'),
    resolution: {
      batches: largest([0, ...steps.map(({ gap }) => gap)]),
      share: largest([0, ...steps.map(({ gap, batch }) => gap / batch)]),
    },
  };
}

const crossingOf = ({ metrics }: Run, threshold: number, curve: Curve): Crossing | undefined =>
  curve && firstReached(metrics, threshold, `${curve}_accuracy`);

/** How far the training of a method reaches an accuracy. */
export function reachedBy(method: Method, threshold: number, curve: Curve): Reached {
  const runs = completedRuns(method);
  const crossings = runs.flatMap((run) => crossingOf(run, threshold, curve) ?? []);
  const mean = (value: 'batch' | 'seconds') =>
    crossings.length > 0
      ? Math.exp(average(crossings.map((crossing) => Math.log(crossing[value]))))
      : undefined;
  return {
    threshold,
    runs: runs.length,
    count: crossings.length,
    batches: mean('batch'),
    seconds: mean('seconds'),
  };
}

/** The split on which the reference and another method were evaluated during training, not only at its end. */
export function curveOf(reference: Method, methods: readonly Method[]): Curve {
  return (['test', 'validation'] as const).find(
    (curve) => hasCurve(reference, curve) && methods.some((method) => hasCurve(method, curve)),
  );
}

/** Whether all completed seeds have one. */
export function hasCurve(method: Method, curve: Curve): boolean {
  const runs = completedRuns(method);
  return curve !== undefined && runs.length > 0 && runs.every((run) => isCurve(run, curve));
}

function isCurve({ metrics }: Run, curve: 'test' | 'validation'): boolean {
  const values = metrics.columns[`${curve}_accuracy`]?.filter(Number.isFinite) ?? [];
  return values.length > 1 || (values.length === 1 && lastBatch(metrics) === 1);
}

const completedRuns = ({ runs, results }: Method): Run[] =>
  [...runs.values()].filter(({ seed }) => !('missing' in results.get(seed)!));

/** The two highest round accuracies that every seed reaches. */
export const highestThresholds = (method: Method, curve: Curve): number[] =>
  roundThresholds.filter((threshold) => reachesWithAll(method, threshold, curve)).slice(-2);

/** The highest multiple of 0.05 that every seed reaches; undefined for none. */
export function highestReached(method: Method, curve: Curve): number | undefined {
  const steps = Array.from({ length: 19 }, (_, i) => (19 - i) / 20);
  return steps.find((threshold) => reachesWithAll(method, threshold, curve));
}

const reachesWithAll = (method: Method, threshold: number, curve: Curve) =>
  completedRuns(method).every((run) => crossingOf(run, threshold, curve) !== undefined);
