import { divergence64 } from '../core/network/activations/activation.js';
import { activations } from '../core/network/activations/registry.js';
import type { ActivationName, LossName } from '../core/network/names.js';

/**
 * Scalar functions in float64, for reported objectives: with lambda 1000 the rounding error of a float32
 * penalty would be as large as the differences of interest.
 */

/** sum B(v, u) over all entries; v in the domain of F. */
export function penalty64(
  name: ActivationName,
  v: ArrayLike<number>,
  u: ArrayLike<number>,
): number {
  let total = 0;
  for (let i = 0; i < v.length; i++) total += divergence64(activations[name], v[i], u[i]);
  return total;
}

/** Sum over rows of the loss of outputs u [m, q] against y [m, q]. */
export function loss64(
  name: LossName,
  y: ArrayLike<number>,
  u: ArrayLike<number>,
  q: number,
): number {
  let total = 0;
  for (let start = 0; start < y.length; start += q) {
    if (name === 'mse') {
      for (let k = start; k < start + q; k++) total += (y[k] - u[k]) ** 2;
      continue;
    }
    let top = Number.NEGATIVE_INFINITY;
    for (let k = start; k < start + q; k++) top = Math.max(top, u[k]);
    let sum = 0;
    for (let k = start; k < start + q; k++) sum += Math.exp(u[k] - top);
    for (let k = start; k < start + q; k++) total += y[k] * (top + Math.log(sum) - u[k]);
  }
  return total;
}

/** X W + b in float64: [m, p] x [p, q] + [q], row by row. */
export function affine64(
  x: ArrayLike<number>,
  weights: ArrayLike<number>,
  bias: ArrayLike<number>,
): Float64Array {
  const q = bias.length;
  const p = weights.length / q;
  const rows = x.length / p;
  const u = new Float64Array(rows * q);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < q; k++) u[i * q + k] = bias[k];
    for (let j = 0; j < p; j++) {
      const value = x[i * p + j];
      if (value === 0) continue;
      for (let k = 0; k < q; k++) u[i * q + k] += value * weights[j * q + k];
    }
  }
  return u;
}

/** a += scale b */
export function addScaled64(a: Float64Array, b: Float64Array, scale: number): void {
  for (let i = 0; i < a.length; i++) a[i] += scale * b[i];
}

export function squares64(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] ** 2;
  return total;
}
