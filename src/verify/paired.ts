import type { Experiment } from '../config/experiment.js';
import { lastBatch, type RunDirectory } from '../runs/run-directory.js';
import { average, type Estimate, estimate, tQuantile } from '../shared/statistics.js';
import { type Base, refuseHoles, seedsToCompare } from './base.js';
import { refuseUnseenTestSet, seedResult } from './verify.js';

/** A seed that was trained twice: final test accuracies, shares in [0, 1]. */
export interface SeedPair {
  readonly seed: number;
  readonly base: number;
  readonly run: number;
}

/** One method against earlier results with the same seeds. Differences are shares, run minus base. */
export interface PairedMethod {
  readonly method: string;
  /** `not judged`: the base has no results of this method. */
  readonly verdict: 'ok' | 'failed' | 'not judged';
  readonly pairs: readonly SeedPair[];
  /** Seeds of the config or of the base that the run has no comparable result for. */
  readonly lost: readonly { readonly seed: number; readonly missing: string }[];
  /** Mean over the pairs and its 95 % interval: Student's t with n - 1 degrees of freedom. */
  readonly difference?: Estimate;
  /** The mean has dropped by more than the tolerance. */
  readonly dropped: boolean;
  /**
   * Pairs by which the interval would reach no further than the tolerance to either side, by the
   * spread of these; absent where it does not now, and for one pair, which has no spread.
   */
  readonly pairsNeeded?: number;
}

export interface Paired {
  /** What the run was paired with. */
  readonly base: string;
  /** Largest drop of a mean that passes, a share. */
  readonly tolerance: number;
  readonly ok: boolean;
  /** In the order of the config. */
  readonly methods: readonly PairedMethod[];
}

/** The drop that passes where none is given, a share: half of the half point that is to be found. */
export const defaultTolerance = 0.0025;

/** 0.97 - 0.9675 is to be no more than 0.0025. */
const rounding = 1e-9;

/**
 * Compares a run with earlier results, seed by seed: what the same seed has in common with itself,
 * initial weights and order of batches, cancels out. A method fails when the mean of its differences
 * is a drop of more than the tolerance, or when a seed has no result. The interval does not decide:
 * where it reaches no further than the tolerance, such a drop is not chance, and where it reaches
 * further the seeds are too few to tell, and a gate that passed then would let any drop pass.
 *
 * @param tolerance largest drop of a mean that passes, a share
 * @throws UsageError when the base lacks results, or nothing can be paired
 */
export function verifyPaired(
  experiment: Experiment,
  directory: RunDirectory,
  base: Base,
  tolerance = defaultTolerance,
): Paired {
  refuseUnseenTestSet(experiment);
  const holes: string[] = [];
  const verdicts = seedsToCompare(experiment, base).map(({ method, seeds }): PairedMethod => {
    if (seeds === undefined) {
      return { method, verdict: 'not judged', pairs: [], lost: [], dropped: false };
    }
    const pairs: SeedPair[] = [];
    const lost: { seed: number; missing: string }[] = [];
    for (const seed of seeds) {
      const before = base.results.get(method)?.get(seed) ?? { seed, missing: 'not run' };
      const now = seedResult(directory, method, seed);
      const [batches, earlier] = [directory, base.directory].map(
        (side) => side && batchesOf(side, method, seed),
      );
      if ('missing' in before) holes.push(`${method}, seed ${seed}: ${before.missing}`);
      else if ('missing' in now) lost.push(now);
      else if (earlier !== undefined && batches !== earlier) {
        lost.push({ seed, missing: `it has ${batches} batches, and ${earlier} in the base` });
      } else pairs.push({ seed, base: before.accuracy, run: now.accuracy });
    }
    return judge(method, pairs, lost, tolerance);
  });
  refuseHoles(base, holes);
  const ok = verdicts.every(({ verdict }) => verdict !== 'failed');
  return { base: base.path, tolerance, ok, methods: verdicts };
}

function batchesOf({ runs }: RunDirectory, method: string, seed: number): number | undefined {
  const run = runs.find((run) => run.label === method && run.seed === seed);
  return run && lastBatch(run.metrics);
}

/** Whether the mean of differences, run minus base, is a drop beyond the tolerance; all are shares. */
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

/** A number of seeds that nobody trains. */
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
