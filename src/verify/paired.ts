import type { Experiment } from '../config/experiment.js';
import { lastBatch, type RunDirectory } from '../runs/run-directory.js';
import { average, type Estimate, estimate, tQuantile } from '../shared/statistics.js';
import { runName } from '../shared/text.js';
import { type Base, refuseMissing, seedsToCompare } from './base.js';
import { requireTestAccuracy, runOf, seedResult } from './verify.js';

/** Final test accuracies of one seed in the base and in the run, shares in [0, 1]. */
export interface SeedPair {
  readonly seed: number;
  readonly base: number;
  readonly run: number;
}

/** One method compared with earlier results of the same seeds. Differences are shares, run minus base. */
export interface PairedMethod {
  readonly method: string;
  /** `not judged`: the base has no results of this method. */
  readonly verdict: 'ok' | 'failed' | 'not judged';
  readonly pairs: readonly SeedPair[];
  /** Seeds of the config or of the base without a comparable result in the run. */
  readonly lost: readonly { readonly seed: number; readonly missing: string }[];
  /** Mean over the pairs and its 95 % interval: Student's t with n - 1 degrees of freedom. */
  readonly difference?: Estimate;
  /** The mean has dropped by more than the tolerance. */
  readonly dropped: boolean;
  /**
   * Number of pairs with which the half width of the interval would be at most the tolerance, at the
   * same standard deviation; absent where it is already, and for one pair.
   */
  readonly pairsNeeded?: number;
}

export interface Paired {
  /** Path of the base. */
  readonly base: string;
  /** Largest drop of a mean that passes, a share. */
  readonly tolerance: number;
  readonly ok: boolean;
  /** In the order of the config. */
  readonly methods: readonly PairedMethod[];
}

/** A share. A drop of twice the tolerance is detected as often as no drop passes: here half a point. */
export const defaultTolerance = 0.0025;

/** 0.97 - 0.9675 counts as at most 0.0025. */
const rounding = 1e-9;

/**
 * Compares a run with earlier results seed by seed, which cancels the effects of initial weights and
 * batch order. A method fails when the mean of its differences is a drop of more than the tolerance, or
 * when a seed has no result. The confidence interval does not decide: a drop beyond the tolerance is
 * significant where the interval is narrower than the tolerance; where it is wider, requiring
 * significance would let any drop pass.
 *
 * @param tolerance largest drop of a mean that passes, a share
 * @throws UsageError when the base has no result of a run, or nothing can be paired
 */
export function verifyPaired(
  experiment: Experiment,
  directory: RunDirectory,
  base: Base,
  tolerance = defaultTolerance,
): Paired {
  requireTestAccuracy(experiment);
  const absent: string[] = [];
  const verdicts = seedsToCompare(experiment, base).map(({ method, seeds }): PairedMethod => {
    if (seeds === undefined) {
      return { method, verdict: 'not judged', pairs: [], lost: [], dropped: false };
    }
    const pairs: SeedPair[] = [];
    const lost: { seed: number; missing: string }[] = [];
    for (const seed of seeds) {
      const before = base.results.get(method)?.get(seed) ?? { seed, missing: 'not run' };
      const now = seedResult(directory, method, seed);
      const [batches, earlier] = [directory, base.directory].map((side) => {
        const run = side && runOf(side, method, seed);
        return run && lastBatch(run.metrics);
      });
      if ('missing' in before)
        absent.push(`${runName({ label: method, seed })}: ${before.missing}`);
      else if ('missing' in now) lost.push(now);
      else if (earlier !== undefined && batches !== earlier) {
        lost.push({ seed, missing: `it has ${batches} batches, and ${earlier} in the base` });
      } else pairs.push({ seed, base: before.accuracy, run: now.accuracy });
    }
    return judge(method, pairs, lost, tolerance);
  });
  refuseMissing(base, absent);
  const ok = verdicts.every(({ verdict }) => verdict !== 'failed');
  return { base: base.path, tolerance, ok, methods: verdicts };
}

/** Whether the mean of differences, run minus base, is a drop of more than the tolerance; all are shares. */
export const isDrop = (differences: readonly number[], tolerance = defaultTolerance): boolean =>
  -average(differences) > tolerance + rounding;

function judge(
  method: string,
  pairs: readonly SeedPair[],
  lost: PairedMethod['lost'],
  tolerance: number,
): PairedMethod {
  const differences = pairs.map(({ base, run }) => run - base);
  const difference = estimate(differences);
  const dropped = pairs.length > 0 && isDrop(differences, tolerance);
  const verdict = dropped || lost.length > 0 ? 'failed' : 'ok';
  const needed = difference && pairsNeeded(difference, tolerance);
  return { method, verdict, pairs, lost, difference, dropped, pairsNeeded: needed };
}

const mostPairs = 1000;

function pairsNeeded({ n, halfWidth }: Estimate, tolerance: number): number | undefined {
  if (halfWidth === undefined || halfWidth <= tolerance + rounding) return undefined;
  const spread = (halfWidth * Math.sqrt(n)) / tQuantile(n - 1);
  let needed = n + 1;
  while (needed < mostPairs && tQuantile(needed - 1) * spread > tolerance * Math.sqrt(needed)) {
    needed++;
  }
  return needed;
}
