import * as tf from '@tensorflow/tfjs';
import { disposeParameters } from '../core/network/network.js';
import type { LayerParameters } from '../core/network/parameters.js';
import { factor } from '../core/solvers/cholesky.js';
import { dot } from '../core/solvers/orthonormalise.js';
import { addScaled64, affine64, loss64, penalty64, squares64 } from './float64.js';
import { minimisePrimal } from './primal-descent.js';
import type { BoundProblem, BoundReport, BoundRow, BoundSettings } from './problem.js';

/**
 * One layer with a ReLU, Y ~ relu([X, 1] P), by the lifted problem of Appendix B:
 *
 *     min_P  G = lambda B(Y, [X, 1] P) / m + rho ||P||^2        (convex; its minimum is certified)
 *     beside p = ||Y - relu([X, 1] P)||^2 / m + rho ||P||^2     (the feed-forward objective)
 *
 * Y is one-hot, hence in the range of the ReLU. The ridge includes the bias. G is solved in float64,
 * p by Adam from the best of the weights that the values of lambda gave.
 */
export async function oneLayerBound(
  { network, x, y, rho: [rho] }: BoundProblem,
  settings: BoundSettings,
  onRow: (row: BoundRow) => void,
): Promise<BoundReport> {
  const m = y.shape[0];
  const inputs = network.maps[0].patches(x);
  const data: Data = {
    inputs: withOnes64(await inputs.data(), m),
    targets: Float64Array.from(await y.data()),
    rows: m,
  };
  inputs.dispose();
  const found: { row: BoundRow; weights: Float64Array }[] = [];
  for (const lambda of settings.lambda) {
    // G = (lambda / m) (B + rho' ||P||^2)
    const problem = { ...data, rho: (rho * m) / lambda };
    const { weights, iterations } = solveReluRegression(problem, found.at(-1)?.weights);
    const certificate = certify(problem, weights, lambda / m);
    const row = {
      lambda,
      iterations,
      ...certificate,
      primalObjective: primal64(data, weights, rho),
    };
    found.push({ row, weights });
    onRow(row);
  }
  const rows = found.map(({ row }) => row);
  const best = found.reduce((a, b) => (a.row.primalObjective <= b.row.primalObjective ? a : b));
  const adamPrimal = primal64(data, await adam(data, best.weights, rho), rho);
  const bestPrimal = Math.min(adamPrimal, best.row.primalObjective);
  return { ...settings, kind: 'one-layer', rows, bestPrimal, adamPrimal };
}

interface Data {
  /** X [m, p], row by row; a column of ones makes the last row of P a bias. */
  readonly inputs: Float64Array;
  /** Y [m, q], row by row. */
  readonly targets: Float64Array;
  /** m */
  readonly rows: number;
}

/** min_P  B(Y, X P) + rho ||P||^2,  B for the ReLU, summed over all entries; Y >= 0, where B is finite. */
export interface OneLayerProblem extends Data {
  /** > 0 */
  readonly rho: number;
}

/** G at P, and the dual value that a = relu(X P) certifies; both times `scale`. */
function certify(problem: OneLayerProblem, weights: Float64Array, scale: number) {
  const u = outputs(problem, weights);
  const penalty = penalty64('relu', problem.targets, u);
  const liftedObjective = scale * (penalty + problem.rho * squares64(weights));
  const dual = scale * dualValue(problem, relu(u));
  return { liftedObjective, dualValue: dual, gap: liftedObjective - dual };
}

function primal64(data: Data, weights: Float64Array, rho: number): number {
  const { targets, rows } = data;
  const fitted = relu(outputs(data, weights));
  return loss64('mse', targets, fitted, targets.length / rows) / rows + rho * squares64(weights);
}

const outputs = ({ inputs, targets, rows }: Data, weights: Float64Array) =>
  affine64(inputs, weights, new Float64Array(targets.length / rows));

const relu = (u: Float64Array) => u.map((value) => Math.max(0, value));

async function adam({ inputs, targets, rows }: Data, weights: Float64Array, rho: number) {
  const q = targets.length / rows;
  const x = tf.tensor2d(Float32Array.from(inputs), [rows, inputs.length / rows]);
  const y = tf.tensor2d(Float32Array.from(targets), [rows, q]);
  const start = {
    weights: tf.tensor2d(Float32Array.from(weights), [weights.length / q, q]),
    // The bias is the last row of the weights.
    bias: tf.zeros([q]) as tf.Tensor1D,
  };
  const objective = ([{ weights: p }]: readonly LayerParameters[]) => {
    const fit = tf.sum(tf.squaredDifference(y, tf.relu(tf.matMul(x, p))));
    return tf.add(tf.div(fit, rows), tf.mul(tf.sum(tf.square(p)), rho)) as tf.Scalar;
  };
  const found = await minimisePrimal(objective, [start]);
  const result = Float64Array.from(await found[0].weights.data());
  disposeParameters([...found, start]);
  tf.dispose([x, y]);
  return result;
}

/** [X, 1], row by row. */
function withOnes64(inputs: ArrayLike<number>, rows: number): Float64Array {
  const p = inputs.length / rows;
  const result = new Float64Array(rows * (p + 1)).fill(1);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < p; j++) result[i * (p + 1) + j] = inputs[i * p + j];
  }
  return result;
}

/**
 * The lower bound of the one-layer problem that `a` [m, q] certifies by weak duality (Appendix B), in
 * float64. F*(u) = max_{a >= 0} a u - a^2/2, so that for every a >= 0
 *
 *     B(Y, X P) + rho ||P||^2 >= ||Y||^2/2 - ||a||^2/2 + <a - Y, X P> + rho ||P||^2,
 *
 * and minimising the right side over P, in closed form,
 *
 *     min >= ||Y||^2/2 - ||a||^2/2 - ||X^T (Y - a)||^2 / (4 rho).
 *
 * The bound is tight at a = relu(X P) for the minimiser P.
 *
 * @throws RangeError where the bound does not hold: rho <= 0, or a negative entry of Y or a
 */
export function dualValue(
  { inputs, targets, rows, rho }: OneLayerProblem,
  a: Float64Array,
): number {
  if (!(rho > 0)) throw new RangeError('the dual value needs rho > 0');
  if (!a.every((value) => value >= 0)) throw new RangeError('the dual value needs a >= 0');
  if (!targets.every((y) => y >= 0)) throw new RangeError('the dual value needs Y >= 0');
  const p = inputs.length / rows;
  const q = targets.length / rows;
  const correlation = new Float64Array(p * q);
  let squares = 0;
  for (let i = 0; i < targets.length; i++) squares += targets[i] ** 2 - a[i] ** 2;
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < p; j++) {
      const x = inputs[row * p + j];
      if (x === 0) continue;
      for (let k = 0; k < q; k++) {
        correlation[j * q + k] += x * (targets[row * q + k] - a[row * q + k]);
      }
    }
  }
  return squares / 2 - squares64(correlation) / (4 * rho);
}

const maxSteps = 100;

/**
 * Solves the one-layer problem in float64, one output y [m] at a time:
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
 *
 * @param start P to start from; 0 when absent
 * @returns P [p, q], row by row, and the Newton steps of all outputs together
 */
export function solveReluRegression(
  problem: OneLayerProblem,
  start?: Float64Array,
): { weights: Float64Array; iterations: number } {
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
  for (let i = 0; i < rows; i++) addScaled64(correlation, row(i), y[i]);
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
    for (const i of active) addScaled64(gradient, row(i), u[i]);
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
    for (const [i, x] of active.entries()) addScaled64(rest, x, -correction[i]);
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
