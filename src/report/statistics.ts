/** Statistics over seeds: few values, so intervals use Student's t. */

/** Mean of a small sample with its 95 % confidence interval mean ± halfWidth. */
export interface Estimate {
  readonly mean: number;
  /** Absent for a single value: one seed says nothing about the spread. */
  readonly halfWidth?: number;
  readonly n: number;
}

/** Mean and 95 % Student-t interval; undefined for no values. */
export function estimate(values: readonly number[]): Estimate | undefined {
  const n = values.length;
  if (n === 0) return undefined;
  const mean = average(values);
  if (n === 1) return { mean, n };
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1);
  return { mean, halfWidth: tQuantile(n - 1) * Math.sqrt(variance / n), n };
}

export function average(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}

/** Middle value, NaN entries left out; undefined when there is none. */
export function median(values: ArrayLike<number>): number | undefined {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const t975 = [
  12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281, 2.201, 2.1788,
  2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.093, 2.086,
];

/**
 * 97.5 % quantile of Student's t: tabulated to 20 degrees of freedom, then the Cornish-Fisher
 * expansion around the normal quantile (Abramowitz and Stegun 26.7.5; error below 1e-5 there).
 */
export function tQuantile(degrees: number): number {
  if (degrees <= t975.length) return t975[degrees - 1];
  const z = 1.959963984540054;
  return (
    z +
    (z ** 3 + z) / (4 * degrees) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * degrees ** 3)
  );
}
