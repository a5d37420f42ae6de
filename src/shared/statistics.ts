/** Statistics over seeds: few values, so intervals use Student's t. */

/** Intervals over fewer seeds are marked as uncertain. */
export const fewSeeds = 5;

/** Mean of a small sample with its confidence interval mean ± halfWidth, of 95 % unless stated. */
export interface Estimate {
  readonly mean: number;
  /** Absent for a single value. */
  readonly halfWidth?: number;
  readonly n: number;
}

/**
 * Mean and Student-t interval; undefined for no values. Over the differences of pairs, it is the interval of
 * a paired t-test.
 * @param probability quantile of the upper end; 0.975 for the two-sided 95 % interval
 */
export function estimate(values: readonly number[], probability = 0.975): Estimate | undefined {
  const n = values.length;
  if (n === 0) return undefined;
  const mean = average(values);
  if (n === 1) return { mean, n };
  const standardError = standardDeviation(values) / Math.sqrt(n);
  return { mean, halfWidth: tQuantile(n - 1, probability) * standardError, n };
}

/** Geometric mean of ratios with its confidence interval [low, high]. */
export interface RatioEstimate {
  readonly ratio: number;
  /** Absent, as is `high`, for a single ratio. */
  readonly low?: number;
  readonly high?: number;
  readonly n: number;
}

/** exp of the {@link estimate} of the logarithms of positive ratios. */
export function estimateRatio(
  ratios: readonly number[],
  probability = 0.975,
): RatioEstimate | undefined {
  const logs = estimate(ratios.map(Math.log), probability);
  if (logs === undefined) return undefined;
  const { mean, halfWidth, n } = logs;
  const ratio = Math.exp(mean);
  if (halfWidth === undefined) return { ratio, n };
  return { ratio, low: Math.exp(mean - halfWidth), high: Math.exp(mean + halfWidth), n };
}

/** Whether the interval excludes `value`: 0 for a difference, 1 for a ratio; undefined without an interval. */
export function excludes(interval: Estimate | RatioEstimate, value: number): boolean | undefined {
  const [low, high] =
    'ratio' in interval
      ? [interval.low, interval.high]
      : interval.halfWidth === undefined
        ? []
        : [interval.mean - interval.halfWidth, interval.mean + interval.halfWidth];
  if (low === undefined || high === undefined) return undefined;
  return low > value || high < value;
}

/** Standard deviation of a sample, with n - 1 in the denominator: at least two values. */
export function standardDeviation(values: readonly number[]): number {
  const mean = average(values);
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}

export function average(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

/** The largest value, -Infinity for none. `Math.max(...values)` overflows the stack from some 100,000 on. */
export function largest(values: readonly number[]): number {
  return values.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
}

/** The smallest value, Infinity for none; see {@link largest}. */
export function smallest(values: readonly number[]): number {
  return values.reduce((least, x) => Math.min(least, x), Number.POSITIVE_INFINITY);
}

/** Middle value, NaN entries left out; undefined when there is none. */
export function median(values: ArrayLike<number>): number | undefined {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Quantile of Student's t: the distribution function for whole degrees of freedom is a finite sum
 * (Abramowitz and Stegun 26.7.3 and 26.7.4), inverted by bisection on the angle atan(t / sqrt(df)).
 *
 * @param degrees whole number, at least 1
 * @param probability in [0.5, 1); 0.975 for the two-sided 95 % interval
 */
export function tQuantile(degrees: number, probability = 0.975): number {
  const wanted = 2 * probability - 1;
  let low = 0;
  let high = Math.PI / 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (centralProbability(middle, degrees) < wanted) low = middle;
    else high = middle;
  }
  return Math.sqrt(degrees) * Math.tan((low + high) / 2);
}

/** P(|T| < sqrt(df) tan(angle)) */
function centralProbability(angle: number, degrees: number): number {
  const odd = degrees % 2 === 1;
  const square = Math.cos(angle) ** 2;
  let term = odd ? Math.cos(angle) : 1;
  let sum = degrees === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k < degrees; k += 2) {
    term *= (square * (k - 1)) / k;
    sum += term;
  }
  const share = Math.sin(angle) * sum;
  return odd ? (2 / Math.PI) * (angle + share) : share;
}
