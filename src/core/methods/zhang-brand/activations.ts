import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../../network/parameters.js';
import { relativeTo, type SolverOptions, type SolverReport } from '../../solvers/solver.js';
import { squaredNormBound } from '../../solvers/spectral-norm.js';
import { disposeTree } from '../../tree.js';
import { affine, type Rows, squaredDistance } from '../full-batch/rows.js';

/** All hidden activations V_l, given the layers. */
export interface ActivationsProblem {
  /** W_l and b_l of all layers; `first` stands for those of the first one. */
  readonly layers: readonly LayerParameters[];
  /** gamma_l of the hidden layers, and 1, the weight of the loss. */
  readonly weights: readonly number[];
  readonly alpha: number;
  /** U_1 */
  readonly first: Rows;
  /** Y */
  readonly targets: Rows;
  /** V_old of each hidden layer */
  readonly old: readonly Rows[];
}

/**
 * The V-update, for all images,
 *
 *     min_{V >= 0}  ||V_{L-1} W_L + b_L - Y||^2 / 2 + sum_l gamma_l/2 ||V_l - U_l||^2 + alpha/2 ||V_l - V_l,old||^2,
 *
 * with U_l = V_{l-1} W_l + b_l: a non-negative least-squares problem in all layers together, one an image. Accelerated
 * projected gradient steps from V_old. Each image has a momentum of its own, which restarts where it points uphill
 * (O'Donoghue and Candes 2015), and keeps V_old where its objective would rise.
 *
 * Optimality residual: ||V - relu(V - h'(V) / (gamma + alpha))||, h the objective, which is zero at the minimiser alone;
 * relative to ||V|| or to its own value at the start, whichever is less.
 *
 * @returns V_l of each hidden layer, and the largest residual and number of steps of any chunk
 */
export async function fitActivations(
  { first, targets, old, ...common }: ActivationsProblem,
  options: SolverOptions,
): Promise<SolverReport & { readonly v: tf.Tensor2D[][] }> {
  const steps = await stepSizes(common);
  const v: tf.Tensor2D[][] = old.map(() => []);
  let [residual, iterations] = [0, 0];
  for (const [chunk, y] of targets.entries()) {
    const start = old.map((rows) => rows[chunk]);
    const problem = { ...common, steps, first: first[chunk], y, old: start };
    const solved = await solveRows(problem, options);
    for (const [l, rows] of solved.v.entries()) v[l].push(rows);
    // Unlike `>`, it keeps NaN.
    residual = Math.max(residual, solved.residual);
    iterations = Math.max(iterations, solved.iterations);
  }
  return { v, residual, iterations };
}

/**
 * Of each hidden layer, t_l with diag(1 / t_l) >= h'': 1 / t_l is the sum of the norms of the blocks in row l of h'',
 * which is block-tridiagonal.
 */
async function stepSizes({
  layers,
  weights,
  alpha,
}: Pick<ActivationsProblem, 'layers' | 'weights' | 'alpha'>): Promise<number[]> {
  const above = await Promise.all(layers.slice(1).map((layer) => squaredNormBound(layer.weights)));
  const last = above.length - 1;
  return above.map((square, l) => {
    const coupling = (k: number) => (k > 0 && k <= last ? weights[k] * Math.sqrt(above[k - 1]) : 0);
    const own = weights[l] + alpha + weights[l + 1] * square;
    return 1 / (own + coupling(l) + coupling(l + 1));
  });
}

/** The problem of one chunk of images. */
interface RowsProblem extends Pick<ActivationsProblem, 'layers' | 'weights' | 'alpha'> {
  readonly steps: readonly number[];
  readonly first: tf.Tensor2D;
  readonly y: tf.Tensor2D;
  readonly old: readonly tf.Tensor2D[];
}

/** Projected gradient steps between two reads of the residual. */
const stepsPerRead = 5;
/** Distances below this share of ||V|| are rounding errors. */
const rounding = 1e-6;

async function solveRows(
  problem: RowsProblem,
  { tolerance, maxIterations }: SolverOptions,
): Promise<SolverReport & { readonly v: tf.Tensor2D[] }> {
  let state: Iterate = tf.tidy(() => ({
    v: problem.old.map((rows) => rows.clone()),
    before: problem.old.map((rows) => rows.clone()),
    age: tf.zeros([problem.y.shape[0], 1]),
  }));
  let iterations = 0;
  const start = await distanceOf(problem, state.v);
  const isOpen = ({ distance, size }: Distance) =>
    relative(distance, size, start.distance) > tolerance;
  // NaN ends the loop, too.
  for (let at = start; isOpen(at) && iterations < maxIterations; ) {
    const count = Math.min(stepsPerRead, maxIterations - iterations);
    const next = tf.tidy(() => {
      let last = state;
      for (let k = 0; k < count; k++) last = tf.tidy(() => advance(problem, last));
      return last;
    });
    disposeTree(state, next.before);
    state = next;
    iterations += count;
    at = await distanceOf(problem, state.v);
  }
  const v = tf.tidy(() => improvedRows(problem, state.v));
  tf.dispose(state);
  const { distance, size } = await distanceOf(problem, v);
  return { v, residual: relative(distance, size, start.distance), iterations };
}

const relative = (distance: number, size: number, start: number): number =>
  distance <= rounding * size ? 0 : relativeTo(distance, Math.min(start, size));

type Iterate = {
  readonly v: tf.Tensor2D[];
  readonly before: tf.Tensor2D[];
  /** Steps since the last restart, [rows, 1]. */
  readonly age: tf.Tensor2D;
};

function advance(problem: RowsProblem, { v, before, age }: Iterate): Iterate {
  const momentum = tf.div(age, tf.add(age, 3));
  const point = v.map(
    (rows, l) => tf.add(rows, tf.mul(momentum, tf.sub(rows, before[l]))) as tf.Tensor2D,
  );
  const next = gradient(problem, point).map((g, l) =>
    tf.relu(tf.sub(point[l], tf.mul(g, problem.steps[l])) as tf.Tensor2D),
  );
  const uphill = tf.addN(
    next.map((rows, l) => {
      const product = tf.mul(tf.sub(point[l], rows), tf.sub(rows, v[l]));
      return tf.div(tf.sum(product, 1, true), problem.steps[l]);
    }),
  );
  const kept = tf.sub(1, tf.step(uphill));
  return { v: next, before: v, age: tf.mul(tf.add(age, 1), kept) };
}

/** V_l - U_l of the hidden layers, and V_{L-1} W_L + b_L - Y. */
export function misfits(
  { layers, first, y }: Pick<RowsProblem, 'layers' | 'first' | 'y'>,
  v: readonly tf.Tensor2D[],
): tf.Tensor2D[] {
  const u = (l: number) => (l === 0 ? first : affine(v[l - 1], layers[l]));
  return [...v.map((rows, l) => tf.sub(rows, u(l)) as tf.Tensor2D), tf.sub(u(v.length), y)];
}

/** h'(V) */
function gradient(problem: RowsProblem, v: readonly tf.Tensor2D[]): tf.Tensor2D[] {
  const { layers, weights, alpha, old } = problem;
  const pulls = misfits(problem, v).map((misfit, l) => tf.mul(misfit, weights[l]) as tf.Tensor2D);
  return v.map((rows, l) => {
    // The layer above has V_l in its U, the output with the other sign.
    const fromAbove = tf.matMul(pulls[l + 1], layers[l + 1].weights, false, true);
    const both = l + 1 < v.length ? tf.sub(pulls[l], fromAbove) : tf.add(pulls[l], fromAbove);
    return tf.add(both, tf.mul(tf.sub(rows, old[l]), alpha)) as tf.Tensor2D;
  });
}

interface Distance {
  /** ||V - relu(V - h'(V) / (gamma + alpha))|| */
  readonly distance: number;
  /** ||V||; NaN where h'(V) is not finite, which a ReLU may hide */
  readonly size: number;
}

async function distanceOf(problem: RowsProblem, v: readonly tf.Tensor2D[]): Promise<Distance> {
  const { weights, alpha } = problem;
  const measured = tf.tidy(() => {
    const slopes = gradient(problem, v);
    const moves = v.map((rows, l) => {
      const moved = tf.sub(rows, tf.div(slopes[l], weights[l] + alpha)) as tf.Tensor2D;
      return squaredDistance(rows, tf.relu(moved));
    });
    const sizes = v.map((rows) => tf.sum(tf.square(rows)));
    const sums = slopes.map((slope) => tf.sum(slope));
    return tf.stack([tf.sqrt(tf.addN(moves)), tf.sqrt(tf.addN(sizes)), tf.addN(sums)]);
  });
  const [distance, size, sum] = await measured.data();
  measured.dispose();
  return { distance, size: Number.isFinite(sum) ? size : Number.NaN };
}

/** The images of V with an objective of at most that of V_old; V_old of the others. */
function improvedRows(problem: RowsProblem, v: readonly tf.Tensor2D[]): tf.Tensor2D[] {
  const { weights, alpha, old } = problem;
  const objectives = (point: readonly tf.Tensor2D[]) => {
    const squares = (difference: tf.Tensor, weight: number) =>
      tf.mul(tf.sum(tf.square(difference), 1, true), weight);
    return tf.addN([
      ...misfits(problem, point).map((misfit, l) => squares(misfit, weights[l])),
      ...point.map((rows, l) => squares(tf.sub(rows, old[l]), alpha)),
    ]);
  };
  const rises = tf.greater(objectives(v), objectives(old));
  return v.map((rows, l) => tf.where(rises, old[l], rows));
}
