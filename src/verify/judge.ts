import type { Expectation } from '../config/experiment.js';
import { average, type Estimate, estimate, median } from '../shared/statistics.js';
import { collapseDistance, type Tolerance, tolerance } from './tolerance.js';

/** One seed of a method: its final test accuracy, or why there is none. */
export type SeedResult =
  | { readonly seed: number; readonly accuracy: number }
  | { readonly seed: number; readonly missing: string };

/**
 * The mean against one limit of the config, or against the mean that a baseline recorded. Differences
 * and tolerances are shares, as accuracies are.
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
 * keep the limits, each within the tolerance of `tolerance.ts`. A method without an expectation and
 * without a baseline is listed, not judged.
 * @param baseline accuracies of the seeds that were accepted earlier
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
  const checks = accuracy
    ? [
        ...checkLimits(values, accuracy.mean, limits, testImages),
        ...checkBaseline(values, accuracy.mean, baseline, testImages),
      ]
    : [];
  const failures: Failure[] = [
    ...checks.filter(({ passed }) => !passed).map((check) => beyond(check)),
    ...(measured.length > 1 ? collapses(measured, limits, testImages) : []),
    ...(lost.length > 0 ? [{ kind: 'no result', seeds: lost } as const] : []),
  ];
  // The paper's value alone bounds nothing, but it promises that the method was run.
  const bounded = limits.atLeast !== undefined || limits.atMost !== undefined;
  const judged = bounded || baseline.length > 0;
  const verdict = failures.length > 0 ? 'failed' : judged ? 'ok' : 'not judged';
  return { ...common, verdict, checks, failures };
}

function checkLimits(
  values: readonly number[],
  mean: number,
  expected: Expectation,
  testImages: number,
): LimitCheck[] {
  return (['atLeast', 'atMost'] as const).flatMap((limit) => {
    const value = expected[limit];
    if (value === undefined) return [];
    const allowed = tolerance(values, value, testImages);
    const difference = mean - value;
    const excess = limit === 'atLeast' ? -difference : difference;
    return [{ limit, value, difference, tolerance: allowed, passed: excess <= allowed.value }];
  });
}

/** Both means scatter: their tolerances add up as variances do. */
function checkBaseline(
  values: readonly number[],
  mean: number,
  baseline: readonly number[],
  testImages: number,
): LimitCheck[] {
  if (baseline.length === 0) return [];
  const value = average(baseline);
  const [now, before] = [values, baseline].map((some) => tolerance(some, value, testImages));
  const allowed = { value: Math.hypot(now.value, before.value), rule: now.rule };
  const difference = mean - value;
  const passed = -difference <= allowed.value;
  return [{ limit: 'baseline', value, difference, tolerance: allowed, passed }];
}

const beyond = (check: LimitCheck): Failure => ({ kind: 'beyond limit', check });

/**
 * Seeds too far below `atLeast` or above `atMost` for any spread to explain: among many seeds the
 * mean would hide one. Without `atLeast`, the median of the seeds stands in for it.
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
