import * as tf from '@tensorflow/tfjs';
import type { LinearMap } from '../network/maps/linear-map.js';
import type { LayerParameters } from '../network/parameters.js';
import type { SmoothTerm } from '../network/smooth-term.js';
import { splitBias, stackBias } from '../network/stacked.js';
import { zipTrees } from '../tree.js';
import { majorizer, type Ridge, ridgeColumn } from './majorizer.js';
import { euclideanNorm, relativeTo, type SolverOptions, type SolverReport } from './solver.js';

/**
 * The W-update of one layer (eq. 17 and 19; eq. 18 and 20 for the output layer):
 *
 *     min_{W, b}  g([X, 1] P) + ridge_W/2 ||W - W_c||^2 + ridge_b/2 ||b - b_c||^2,   P = [W; b]
 *
 * with g the layer's penalty B(X_next, .), or the loss. In a convolution X is the matrix of patches,
 * and a row is an output position.
 */
export interface WeightProblem {
  /** X [m, p] */
  readonly inputs: tf.Tensor2D;
  readonly term: SmoothTerm;
  /** W_c, b_c: the centre of the ridge (for a proximal term, the previous batch's weights). */
  readonly center: LayerParameters;
  /** Where the iteration starts: the current weights, so that the objective never rises. */
  readonly start: LayerParameters;
  /** X W_c + b_c [m, n], where it is known. */
  readonly predicted?: tf.Tensor2D | undefined;
  /** ridge_W and ridge_b */
  readonly ridge: Ridge;
}

export interface SolvedWeights extends SolverReport {
  readonly parameters: LayerParameters;
  /** U of the new weights, of the same shape as the term's */
  readonly preActivations: tf.Tensor2D;
}

/**
 * Majorise-minimise with momentum. With h >= g'' the quadratic g(U_k) + <g', U - U_k> + h/2 ||U - U_k||^2
 * bounds g from above; the Hessian of the bound, N = h [X, 1]^T [X, 1] + diag(ridge), is factored once for
 * the whole sub-problem, and each step is P <- P - N^-1 (gradient). Nesterov extrapolation, restarted where
 * it points uphill (O'Donoghue and Candes 2015). For a quadratic g (squared error) the first step is the
 * solution.
 *
 * Optimality residual: the objective's gradient in the dual norm of N, ||grad||_{N^-1}, relative to
 * its value at the start; each step computes it anyway. It is a change of pre-activations: one below
 * their rounding errors counts as zero.
 *
 * @throws NotPositiveDefiniteError when inputs or ridge are not finite
 */
export async function updateWeights(
  problem: WeightProblem,
  options: SolverOptions,
): Promise<SolvedWeights> {
  const { inputs, term, center, start } = problem;
  const { curvature } = term;
  const atCenter = start === center;
  const ridge = scaled(problem.ridge, 1 / curvature);
  const predicted =
    problem.predicted?.clone() ??
    tf.tidy(() => tf.add(tf.matMul(inputs, center.weights), center.bias) as tf.Tensor2D);
  const accuracy = options.tolerance / 4;
  const solver = await majorizer({ inputs, predicted, ridge }, atCenter, accuracy);

  let previous = tf.tidy(() =>
    solver.start(atCenter ? undefined : zipTrees(start, center, (a, b) => tf.sub(a, b))),
  );
  let point = previous;
  let age = 0;
  let iterations = 0;
  let first: number | undefined;
  let size = 0;
  let residual = 0;
  for (;;) {
    const { next, move, products } = tf.tidy(() => {
      const slope = term.gradient(point.u);
      const outer = (curvature === 1 ? slope : tf.div(slope, curvature)) as tf.Tensor2D;
      const gradient = solver.gradient(point, outer);
      const { next, square } = solver.descend(point, gradient);
      const move = zipTrees(next, previous, (a, b) => tf.sub(a, b));
      // ||grad||^2 in the dual norm; <grad, move> > 0: uphill.
      const products = [square, solver.product(gradient, move)];
      if (iterations === 0) products.push(euclideanNorm(point.u));
      return { next, move, products: tf.stack(products) };
    });
    const [squaredNorm, uphill, startSize = size] = await products.data();
    products.dispose();
    size = startSize;
    const norm = Math.sqrt(Math.max(0, squaredNorm));
    first ??= norm;
    // A ReLU may turn NaN into 0, and any norm is small relative to infinity.
    if (!Number.isFinite(size + squaredNorm)) residual = Number.NaN;
    else residual = norm <= rounding * size ? 0 : relativeTo(norm, first);
    iterations++;
    age = uphill > 0 ? 0 : age + 1;
    const factor = age / (age + 3);
    tf.dispose([point, previous]);
    point =
      age === 0
        ? next
        : tf.tidy(() => zipTrees(next, move, (a, d) => tf.add(a, tf.mul(d, factor))));
    tf.dispose(move);
    previous = next;
    // NaN ends the loop, too.
    if (!(residual > options.tolerance) || iterations >= options.maxIterations) break;
  }
  const parameters = tf.tidy(() =>
    zipTrees(center, solver.parameters(previous), (a, b) => tf.add(a, b)),
  );
  if (point !== previous) tf.dispose(point);
  tf.dispose([previous.values, predicted]);
  solver.dispose();
  return { parameters, preActivations: previous.u, iterations, residual };
}

/** Changes below this share of the pre-activations are rounding errors. */
const rounding = 1e-6;

function scaled({ weights, bias }: Ridge, factor: number): Ridge {
  return { weights: weights * factor, bias: bias * factor };
}

/** A W-update whose term is of the layer's pre-activations U = A(X; W) + b, [m, outputs] of the map. */
export interface WeightStep extends Omit<WeightProblem, 'inputs' | 'predicted'> {
  readonly map: LinearMap;
  /** X [m, inputs of the map], not its patches. */
  readonly inputs: tf.Tensor2D;
  /** U at the start, where it is known. */
  readonly current?: tf.Tensor2D | undefined;
}

/**
 * One gradient step on a W-update, in place of its solution, with G the gradient [dW; db] at the start:
 *
 *     P <- P - (length / c) G,   c = (h ||A(X; dW) + db||^2 + ridge_W ||dW||^2 + ridge_b ||db||^2) / ||G||^2,   h >= g''
 *
 * c bounds the curvature of the objective along G: a length of 1 minimises the quadratic bound on that line, and with
 * one below 2 the step never increases the objective. No patches of a convolution are formed.
 *
 * Optimality residual: the norm of the gradient after the step relative to that before it.
 */
export async function stepWeights(problem: WeightStep, length: number): Promise<SolvedWeights> {
  const { map, inputs, term, center, start, ridge } = problem;
  const { next, preActivations, norms } = tf.tidy(() => {
    const ridges = ridgeColumn(ridge, map.weightShape[0]);
    const anchor = stackBias(center);
    const gradientAt = (p: tf.Tensor2D, u: tf.Tensor2D): tf.Tensor2D =>
      tf.add(map.gradient(inputs, term.gradient(u)), tf.mul(tf.sub(p, anchor), ridges));
    const p = stackBias(start);
    const u = problem.current ?? map.apply(inputs, start);
    const gradient = gradientAt(p, u);
    const image = map.apply(inputs, splitBias(gradient));
    const squares = tf.square(gradient);
    const curved = tf.add(
      tf.mul(tf.sum(tf.square(image)), term.curvature),
      tf.sum(tf.mul(squares, ridges)),
    );
    const step = tf.div(tf.mul(tf.sum(squares), length), tf.maximum(curved, 1e-30));
    const moved: tf.Tensor2D = tf.sub(p, tf.mul(gradient, step));
    const preActivations: tf.Tensor2D = tf.sub(u, tf.mul(image, step));
    const after = gradientAt(moved, preActivations);
    return {
      next: splitBias(moved),
      preActivations,
      norms: tf.stack([euclideanNorm(gradient), euclideanNorm(after)]),
    };
  });
  const [before, after] = await norms.data();
  norms.dispose();
  return { parameters: next, preActivations, iterations: 1, residual: relativeTo(after, before) };
}
