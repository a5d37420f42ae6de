import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../network/parameters.js';
import { newtonDirections, pairProducts } from './row-systems.js';
import type { SolverOptions, SolverReport } from './solver.js';

/**
 * Non-negative activations below a squared error (eq. 15; Askari et al. 2018), each row a
 * non-negative least-squares problem:
 *
 *     min_{Z >= 0}  weight ||T - Z W - b||^2 + ||Z - U||^2
 *
 * Solved in its fit residuals R = T - b - Z W, whose rows have the size of the layer above: given R, the
 * minimiser is Z = relu(U + weight R W^T), and R is the root of
 *
 *     F(R) = R - (T - b) + relu(U + weight R W^T) W,
 *
 * the gradient of the strongly convex
 *
 *     phi(R) = ||R||^2/2 - <T - b, R> + ||relu(U + weight R W^T)||^2 / (2 weight).
 *
 * Semismooth Newton, F' = I + weight W^T D W with D the active units: for all rows, the D-weighted
 * products of W's columns are one product with the 0-1 matrix of active units. A few steps suffice,
 * where a projected gradient method takes hundreds.
 *
 * Optimality residual: ||F(R)|| / (||T - b|| + ||R||); NaN where U is not finite.
 *
 * @param layer W [p, q] and b [q] of the layer above
 * @returns the solver of rows T [n, q] and U [n, p]
 */
export async function nonNegativeActivations(
  layer: LayerParameters,
  weight: number,
  options: SolverOptions,
): Promise<
  (
    target: tf.Tensor2D,
    predicted: tf.Tensor2D,
  ) => Promise<SolverReport & { readonly activations: tf.Tensor2D }>
> {
  const pairs = await pairProducts(layer.weights);
  return (target, predicted) => solveRows({ layer, weight, pairs, target, predicted }, options);
}

interface Problem {
  readonly layer: LayerParameters;
  readonly weight: number;
  /** Products of two columns of W, [p, q (q + 1) / 2]. */
  readonly pairs: tf.Tensor2D;
  readonly target: tf.Tensor2D;
  readonly predicted: tf.Tensor2D;
}

/** Fraction of the linearly predicted decrease that a step must achieve (Armijo). */
const sufficient = 1e-4;
/** Relative size of rounding errors in phi. */
const rounding = 1e-6;

async function solveRows(problem: Problem, { tolerance, maxIterations }: SolverOptions) {
  const { layer, weight, target, predicted } = problem;
  const [rows, q] = target.shape;
  const shifted = tf.tidy(() => tf.sub(target, layer.bias)) as tf.Tensor2D;
  const goal = Math.sqrt(sumOfSquares(await shifted.data()));

  let at = await evaluate(problem, shifted, await startOf(problem, shifted));
  let iterations = 0;
  let residual = residualOf(at, goal);
  const direction = new Float64Array(rows * q);
  const derivative = new Float64Array(rows);
  const step = new Float64Array(rows).fill(1);
  const accepted = new Uint8Array(rows).fill(1);
  while (residual > tolerance && iterations < maxIterations) {
    const systems = { products: at.products, gradient: at.gradient, weight, q };
    newtonDirections(systems, accepted, direction, derivative);
    const trial = at.point.map((r, e) => r + step[Math.floor(e / q)] * direction[e]);
    const next = await evaluate(problem, shifted, trial);
    for (let i = 0; i < rows; i++) {
      const bound =
        at.value[i] + sufficient * step[i] * derivative[i] + rounding * Math.abs(at.value[i]);
      accepted[i] = next.value[i] <= bound ? 1 : 0;
      step[i] = accepted[i] ? 1 : step[i] / 2;
      if (!accepted[i]) copyRow(at, next, i);
    }
    at = next;
    iterations++;
    residual = residualOf(at, goal);
  }
  const activations = tf.tidy(() => minimiser(problem, pointTensor(at.point, rows, q), weight));
  shifted.dispose();
  // The ReLU may turn NaN in U into 0; a sum does not.
  const sum = tf.tidy(() => tf.sum(predicted));
  const [total] = await sum.data();
  sum.dispose();
  return { activations, iterations, residual: Number.isFinite(total) ? residual : Number.NaN };
}

/** R, with the value and derivatives of phi there, row by row. */
interface Evaluation {
  /** R [n, q] */
  readonly point: Float64Array;
  /** phi [n] */
  readonly value: Float32Array;
  /** F [n, q] */
  readonly gradient: Float32Array;
  /** The active units' products of two columns of W, [n, q (q + 1) / 2]. */
  readonly products: Float32Array;
}

async function evaluate(
  problem: Problem,
  shifted: tf.Tensor2D,
  point: Float64Array,
): Promise<Evaluation> {
  const { layer, weight, pairs } = problem;
  const tensors = tf.tidy(() => {
    const r = pointTensor(point, ...shifted.shape);
    const z = minimiser(problem, r, weight);
    const linear = tf.sub(tf.mul(r, 0.5), shifted);
    const value = tf.add(
      tf.sum(tf.mul(r, linear), 1),
      tf.mul(tf.sum(tf.square(z), 1), 0.5 / weight),
    );
    const gradient = tf.add(tf.sub(r, shifted), tf.matMul(z, layer.weights));
    return [value, gradient, tf.matMul(tf.step(z), pairs)];
  });
  const [value, gradient, products] = (await Promise.all(
    tensors.map((tensor) => tensor.data()),
  )) as Float32Array[];
  tf.dispose(tensors);
  return { point, value, gradient, products };
}

/** Z = relu(U + weight R W^T) */
function minimiser({ layer, predicted }: Problem, r: tf.Tensor2D, weight: number): tf.Tensor2D {
  const pull = tf.matMul(r, layer.weights, false, true);
  return tf.relu(tf.add(predicted, tf.mul(pull, weight)));
}

/** The fit residuals of Z = relu(U). */
async function startOf({ layer, predicted }: Problem, shifted: tf.Tensor2D): Promise<Float64Array> {
  const start = tf.tidy(() => tf.sub(shifted, tf.matMul(tf.relu(predicted), layer.weights)));
  const values = await start.data();
  start.dispose();
  return Float64Array.from(values);
}

function pointTensor(point: Float64Array, rows: number, columns: number): tf.Tensor2D {
  return tf.tensor2d(Float32Array.from(point), [rows, columns]);
}

function residualOf({ gradient, point }: Evaluation, goal: number): number {
  return Math.sqrt(sumOfSquares(gradient)) / (goal + Math.sqrt(sumOfSquares(point)) + 1e-30);
}

function sumOfSquares(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return sum;
}

/** Restores a row of `to`. */
function copyRow(from: Evaluation, to: Evaluation, row: number): void {
  for (const key of ['point', 'value', 'gradient', 'products'] as const) {
    const width = from[key].length / from.value.length;
    to[key].set(from[key].subarray(row * width, (row + 1) * width), row * width);
  }
}
