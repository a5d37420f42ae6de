/** Order statistics of times, and ratios with intervals: the machine may be busy, and single medians mislead. */

/** The value below which `share` of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))];
}

export const least = (values: readonly number[]) => quantile(values, 0);
export const quartile = (values: readonly number[]) => quantile(values, 0.25);
export const median = (values: readonly number[]) => quantile(values, 0.5);

/** The median of the ratios of pairs that were measured side by side, and its 95 % interval. */
export interface Ratio {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly pairs: number;
}

/**
 * Of a_i / b_i. The interval is that of the sign test: between the k-th smallest and the k-th largest ratio, with the
 * largest k for which both are beyond the true median with a probability of at most 5 %. With fewer than 6 pairs no
 * k is, and the interval is the range of the ratios.
 */
export function pairedRatio(a: readonly number[], b: readonly number[]): Ratio {
  const ratios = a.map((value, i) => value / b[i]).sort((x, y) => x - y);
  const n = ratios.length;
  let k = 1;
  // P(at most k - 1 of n fair coins fall heads) = tail 2^-n, term = n over k - 1.
  for (let term = 1, tail = 1; k < n; k++) {
    term *= (n - k + 1) / k;
    tail += term;
    if (2 * tail * 0.5 ** n > 0.05) break;
  }
  return { value: median(ratios), low: ratios[k - 1], high: ratios[n - k], pairs: n };
}

export const ratioText = ({ value, low, high }: Ratio) =>
  `${value.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
