import type { Expectation } from '../config/schema.js';
import {
  average,
  type Estimate,
  estimate,
  median,
  standardDeviation,
  tQuantile,
} from '../shared/statistics.js';

/** One seed of a method: its final test accuracy, or why there is none. */
export type SeedResult =
  | { readonly seed: number; readonly accuracy: number }
  | { readonly seed: number; readonly missing: string };

/**
 * How far a mean over n seeds may lie beyond its limit L and still pass:
 *
 *   T = t s / sqrt(n), but at least z b / sqrt(n) and at most 2 z b / sqrt(n)
 *
 * s is the seeds' standard deviation, t and z the 95 % quantiles of Student's t with n - 1 degrees of
 * freedom and of the normal distribution, and b = sqrt(L (1 - L) / N) the binomial standard error of
 * a test set of N images. A one-sided t-test whose standard deviation is clamped to between one and
 * two b: a single seed, or equal ones, do not make T zero, and one bad seed does not make it large.
 * docs/verify.md derives the error rates; `scripts/verify-rates.ts` simulates them.
 */
export interface Tolerance {
  /** T, a share. */
  readonly value: number;
  /** Which term T is: the seeds' standard deviation, or its lower (`test set`) or upper (`cap`) bound. */
  readonly rule: 'seeds' | 'test set' | 'cap';
}

/**
 * The mean compared with one limit of the config, or with the mean of a baseline. Differences and
 * tolerances are shares.
 */
export interface LimitCheck {
  readonly limit: 'atLeast' | 'atMost' | 'baseline';
  readonly value: number;
  /** Mean minus limit. */
  readonly difference: number;
  readonly tolerance: Tolerance;
  readonly passed: boolean;
}

/** A reason for the gate to fail. */
export type Failure =
  | { readonly kind: 'beyond limit'; readonly check: LimitCheck }
  | {
      readonly kind: 'collapsed';
      readonly seeds: readonly { readonly seed: number; readonly accuracy: number }[];
      readonly reference: 'atLeast' | 'atMost' | 'median of the seeds';
      readonly value: number;
    }
  | {
      readonly kind: 'no result';
      readonly seeds: readonly { readonly seed: number; readonly missing: string }[];
    };

export interface MethodVerdict {
  readonly method: string;
  readonly verdict: 'ok' | 'failed' | 'not judged';
  readonly seeds: readonly SeedResult[];
  /** Mean and 95 % interval over the seeds that have a result. */
  readonly accuracy?: Estimate;
  readonly paper?: number;
  readonly checks: readonly LimitCheck[];
  readonly failures: readonly Failure[];
}

/**
 * Judges one method: every seed must have a result, no seed may have collapsed, and the mean must
 * keep the limits, each within its {@link Tolerance}. A method without an expectation and
 * without a baseline is listed, not judged.
 * @param baseline accuracies of the seeds in the baseline
 */
export function judge(
  method: string,
  seeds: readonly SeedResult[],
  expected: Expectation | undefined,
  testImages: number,
  baseline: readonly number[] = [],
): MethodVerdict {
  const measured = seeds.filter((result) => 'accuracy' in result);
  const lost = seeds.filter((result) => 'missing' in result);
  const values = measured.map(({ accuracy }) => accuracy);
  const accuracy = estimate(values);
  const common = { method, seeds, accuracy, paper: expected?.paper };
  if (expected === undefined && baseline.length === 0) {
    return { ...common, verdict: 'not judged', checks: [], failures: [] };
  }
  const limits = expected ?? {};
  const checks = accuracy ? checkMean(values, accuracy.mean, limits, baseline, testImages) : [];
  const failures: Failure[] = [
    ...checks
      .filter(({ passed }) => !passed)
      .map((check) => ({ kind: 'beyond limit', check }) as const),
    ...(measured.length > 1 ? collapses(measured, limits, testImages) : []),
    ...(lost.length > 0 ? [{ kind: 'no result', seeds: lost } as const] : []),
  ];
  // With `paper` alone no accuracy can fail, but a missing result does.
  const bounded = limits.atLeast !== undefined || limits.atMost !== undefined;
  const judged = bounded || baseline.length > 0;
  const verdict = failures.length > 0 ? 'failed' : judged ? 'ok' : 'not judged';
  return { ...common, verdict, checks, failures };
}

/** Compares the mean with `atLeast`, `atMost` and the mean of the baseline, where given. */
function checkMean(
  values: readonly number[],
  mean: number,
  { atLeast, atMost }: Expectation,
  baseline: readonly number[],
  testImages: number,
): LimitCheck[] {
  const check = (limit: LimitCheck['limit'], value: number, allowed: Tolerance): LimitCheck => {
    const difference = mean - value;
    const excess = limit === 'atMost' ? difference : -difference;
    return { limit, value, difference, tolerance: allowed, passed: excess <= allowed.value };
  };
  const checks: LimitCheck[] = [];
  if (atLeast !== undefined) {
    checks.push(check('atLeast', atLeast, tolerance(values, atLeast, testImages)));
  }
  if (atMost !== undefined) {
    checks.push(check('atMost', atMost, tolerance(values, atMost, testImages)));
  }
  if (baseline.length > 0) {
    const value = average(baseline);
    const [now, before] = [values, baseline].map((some) => tolerance(some, value, testImages));
    // Both means have sampling errors, whose variances add up.
    const allowed = { value: Math.hypot(now.value, before.value), rule: now.rule };
    checks.push(check('baseline', value, allowed));
  }
  return checks;
}

/**
 * Seeds more than {@link collapseDistance} below `atLeast` (without it: below the median of the seeds) or
 * above `atMost`. The mean over many seeds could hide one.
 */
function collapses(
  measured: readonly { readonly seed: number; readonly accuracy: number }[],
  { atLeast, atMost }: Expectation,
  testImages: number,
): Failure[] {
  const middle = median(measured.map(({ accuracy }) => accuracy))!;
  const bounds = [
    atLeast === undefined
      ? ({ reference: 'median of the seeds', value: middle, sign: -1 } as const)
      : ({ reference: 'atLeast', value: atLeast, sign: -1 } as const),
    ...(atMost === undefined ? [] : [{ reference: 'atMost', value: atMost, sign: 1 } as const]),
  ];
  return bounds.flatMap(({ reference, value, sign }) => {
    const distance = collapseDistance(value, testImages);
    const seeds = measured.filter(({ accuracy }) => sign * (accuracy - value) > distance);
    return seeds.length > 0 ? [{ kind: 'collapsed', seeds, reference, value } as const] : [];
  });
}

/** Of the t-test, for a true mean exactly on the limit. */
const falseAlarmRate = 0.05;

/** 95 % quantile of the normal distribution. */
const z = 1.6448536269514722;

/** Upper bound of the seeds' standard deviation, in binomial standard errors. */
const largestSpread = 2;

/** A seed this many binomial standard errors beyond its limit has collapsed. */
export const collapseErrors = 6;

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

/** Distance beyond a limit from which a single seed counts as collapsed, a share. */
export function collapseDistance(limit: number, testImages: number): number {
  return collapseErrors * binomialError(limit, testImages);
}

/** One success and one failure are added, so that the error is not zero at a limit of 0 or 1. */
function binomialError(limit: number, testImages: number): number {
  const p = (limit * testImages + 1) / (testImages + 2);
  return Math.sqrt((p * (1 - p)) / testImages);
}
