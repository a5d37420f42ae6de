import { factor } from '../core/solvers/cholesky.js';
import type { OneLayerProblem } from './dual-value.js';

/**
 * The one-layer lifted problem (Appendix B) in float64, one output y [m] at a time:
 *
 *     min_w  f(w) = sum_i (relu(u_i)^2/2 - y_i u_i) + rho ||w||^2,      u = X w
 *
 * (F(Y) is left out). f is convex and piecewise quadratic. With A the rows where u > 0, Newton's target
 * is the minimiser of the piece,
 *
 *     w+ = (X_A^T X_A + 2 rho I)^-1 X^T y,
 *
 * from the p x p system or, by Woodbury, the |A| x |A| one, whichever is smaller; the step towards it is
 * halved until f falls enough. Where A no longer changes w+ is the minimiser.
 */
export interface RegressionSolution {
  /** P [p, q], row by row. */
  readonly weights: Float64Array;
  /** Newton steps, all outputs together. */
  readonly iterations: number;
}

const maxSteps = 100;

/** @param start P to start from; 0 when absent */
export function solveReluRegression(
  problem: OneLayerProblem,
  start?: Float64Array,
): RegressionSolution {
  const { inputs, targets, rows } = problem;
  const p = inputs.length / rows;
  const q = targets.length / rows;
  const weights = new Float64Array(p * q);
  let iterations = 0;
  for (let k = 0; k < q; k++) {
    const y = Float64Array.from({ length: rows }, (_, i) => targets[i * q + k]);
    const from = Float64Array.from({ length: p }, (_, j) => start?.[j * q + k] ?? 0);
    const { w, steps } = solveOutput(problem, y, from);
    for (let j = 0; j < p; j++) weights[j * q + k] = w[j];
    iterations += steps;
  }
  return { weights, iterations };
}

function solveOutput(
  { inputs, rows, rho }: OneLayerProblem,
  y: Float64Array,
  start: Float64Array,
): { w: Float64Array; steps: number } {
  const p = start.length;
  const row = (i: number) => inputs.subarray(i * p, (i + 1) * p);
  const correlation = new Float64Array(p);
  for (let i = 0; i < rows; i++) add(correlation, row(i), y[i]);
  const value = (w: Float64Array, u: Float64Array) => {
    let total = rho * dot(w, w);
    for (let i = 0; i < rows; i++) total += Math.max(0, u[i]) ** 2 / 2 - y[i] * u[i];
    return total;
  };
  let w = start;
  for (let steps = 1; ; steps++) {
    const u = Float64Array.from({ length: rows }, (_, i) => dot(row(i), w));
    const active = Array.from(u.keys()).filter((i) => u[i] > 0);
    const target = pieceMinimiser(active.map(row), correlation, 2 * rho);
    const v = Float64Array.from({ length: rows }, (_, i) => dot(row(i), target));
    if (steps >= maxSteps || v.every((value, i) => value > 0 === u[i] > 0)) {
      return { w: target, steps };
    }
    const gradient = correlation.map((c, j) => 2 * rho * w[j] - c);
    for (const i of active) add(gradient, row(i), u[i]);
    const slope = dot(gradient, target) - dot(gradient, w);
    const current = value(w, u);
    const mix = (a: Float64Array, b: Float64Array, t: number) =>
      a.map((x, i) => x + t * (b[i] - x));
    let t = 1;
    while (t > 1e-10 && value(mix(w, target, t), mix(u, v, t)) > current + 1e-4 * t * slope) t /= 2;
    w = mix(w, target, t);
  }
}

/** (X_A^T X_A + ridge I)^-1 c for the rows X_A. */
function pieceMinimiser(
  active: readonly Float64Array[],
  c: Float64Array,
  ridge: number,
): Float64Array {
  const p = c.length;
  const n = active.length;
  if (n === 0) return c.map((value) => value / ridge);
  if (n < p) {
    const kernel = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) kernel[i * n + j] = dot(active[i], active[j]);
      kernel[i * n + i] += ridge;
    }
    const images = active.map((x) => dot(x, c));
    const correction = factor(kernel, n).solve(images, 1);
    const rest = Float64Array.from(c);
    for (const [i, x] of active.entries()) add(rest, x, -correction[i]);
    return rest.map((value) => value / ridge);
  }
  const normal = new Float64Array(p * p);
  for (const x of active) {
    for (let i = 0; i < p; i++) {
      if (x[i] === 0) continue;
      for (let j = 0; j <= i; j++) normal[i * p + j] += x[i] * x[j];
    }
  }
  for (let i = 0; i < p; i++) normal[i * p + i] += ridge;
  return factor(normal, p).solve(c, 1);
}

function dot(a: Float64Array, b: Float64Array): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i] * b[i];
  return total;
}

/** a += factor b */
function add(a: Float64Array, b: Float64Array, scale: number): void {
  for (let i = 0; i < a.length; i++) a[i] += scale * b[i];
}
