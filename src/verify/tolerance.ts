import { standardDeviation, tQuantile } from '../shared/statistics.js';

/**
 * How far a mean over n seeds may lie on the wrong side of its limit L before that counts:
 *
 *   T = t s / sqrt(n), but at least z b / sqrt(n) and at most 2 z b / sqrt(n)
 *
 * s is the seeds' standard deviation, t and z the 95 % quantiles of Student's t with n - 1 degrees of
 * freedom and of the normal distribution, and b = sqrt(L (1 - L) / N) the binomial standard error of
 * a test set of N images. A one-sided t-test, whose spread is held between one and two b: a single
 * seed or equal ones do not claim certainty, and a huge spread does not excuse everything.
 * docs/verify.md derives the error rates; `scripts/verify-rates.ts` simulates them.
 */
export interface Tolerance {
  /** A share, as accuracies are. */
  readonly value: number;
  /** What decided: the seeds' own spread, or the least or the most that b allows. */
  readonly rule: 'seeds' | 'test set' | 'cap';
}

/** Highest rate of false alarms, at a mean exactly on the limit, that a tolerance is made for. */
const falseAlarmRate = 0.05;

const z = 1.6448536269514722;

/** The seeds' spread counts up to this many binomial errors. */
const largestSpread = 2;

/** A seed this many binomial errors beyond the limit is a collapse, whatever the others do. */
const collapse = 6;

/**
 * @param values accuracies of the seeds, shares in [0, 1]; at least one
 * @param testImages N, how many images an accuracy was measured on
 */
export function tolerance(values: readonly number[], limit: number, testImages: number): Tolerance {
  const n = values.length;
  const least = (z * binomialError(limit, testImages)) / Math.sqrt(n);
  const most = largestSpread * least;
  const seeds =
    n < 2 ? 0 : (tQuantile(n - 1, 1 - falseAlarmRate) * standardDeviation(values)) / Math.sqrt(n);
  if (seeds <= least) return { value: least, rule: 'test set' };
  return seeds < most ? { value: seeds, rule: 'seeds' } : { value: most, rule: 'cap' };
}

/** How far a single seed may lie beyond a limit before it counts as collapsed. */
export function collapseDistance(limit: number, testImages: number): number {
  return collapse * binomialError(limit, testImages);
}

/** One success and one failure are added, so that a limit of 0 or 1 leaves some room too. */
function binomialError(limit: number, testImages: number): number {
  const p = (limit * testImages + 1) / (testImages + 2);
  return Math.sqrt((p * (1 - p)) / testImages);
}
