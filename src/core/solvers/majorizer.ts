import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../network/parameters.js';
import { splitBias, stackBias, withOnes } from '../network/stacked.js';
import { deviceInverse, rounding } from './damped-inverse.js';

/**
 * A change of weights D = [dW; db] [p + 1, n] in the coordinates that make a step cheapest, with the
 * pre-activations U = U_0 + [X, 1] D [m, n]. Affine: points may be extrapolated.
 */
export type Point = { readonly values: tf.Tensor2D; readonly u: tf.Tensor2D };

/** Weights of the quadratic terms in the weights and in the bias. */
export interface Ridge {
  readonly weights: number;
  readonly bias: number;
}

/** Ridge of each row of [W; b], for W of `p` rows: [p + 1, 1]. */
export const ridgeColumn = (ridge: Ridge, p: number): tf.Tensor =>
  tf.tidy(() => tf.concat([tf.fill([p, 1], ridge.weights), tf.fill([1, 1], ridge.bias)]));

/**
 * Steps on  g([X, 1] D) + (ridge_W ||dW||^2 + ridge_b ||db||^2)/2  with g'' <= 1, preconditioned by the
 * Hessian of its quadratic bound, N = [X, 1]^T [X, 1] + diag(ridge), factored once. All but `dispose` are
 * called inside a tidy.
 */
export interface Majorizer {
  /** The point of a change; of none when absent. */
  start(change?: LayerParameters): Point;
  /** The objective's gradient at `point`, in the dual coordinates; `outer` [m, n] is that of g there. */
  gradient(point: Point, outer: tf.Tensor2D): tf.Tensor2D;
  /** point - N^-1 gradient, the minimiser of the quadratic bound at `point`, and <gradient, N^-1 gradient>. */
  descend(
    point: Point,
    gradient: tf.Tensor2D,
  ): { readonly next: Point; readonly square: tf.Scalar };
  /** <gradient, D> of a move D between two points. */
  product(gradient: tf.Tensor2D, move: Point): tf.Scalar;
  /** D */
  parameters(point: Point): LayerParameters;
  dispose(): void;
}

const product = (a: tf.Tensor2D, b: tf.Tensor2D): tf.Scalar => tf.sum(tf.mul(a, b));

/** Up to this rounding error of its inverse the m x m system is used: A and U, which are updated apart, drift by as much. */
const largestRounding = 1e-2;

/** A W-update without its term; `predicted` is U_0 [m, n], which the caller owns. */
export interface Quadratic {
  /** X [m, p] */
  readonly inputs: tf.Tensor2D;
  readonly predicted: tf.Tensor2D;
  readonly ridge: Ridge;
}

/**
 * Picks the smaller of the two systems: m x m, where single precision is accurate enough for it, or (p + 1) x (p + 1).
 *
 * @param fromZero whether the iteration starts at D = 0; any other start may lie outside the span of
 *   the rows, to which the m x m system is limited
 * @param accuracy largest relative error of N^-1 that may be in single precision
 * @throws NotPositiveDefiniteError when the inputs are not finite
 */
export async function majorizer(
  quadratic: Quadratic,
  fromZero: boolean,
  accuracy: number,
): Promise<Majorizer> {
  const { inputs, ridge } = quadratic;
  const [rows, columns] = inputs.shape;
  if (fromZero && rows < columns && ridge.weights > 0 && ridge.bias > 0) {
    const size = tf.tidy(() => tf.sum(tf.square(inputs)));
    const [squares] = await size.data();
    size.dispose();
    const trace = squares / ridge.weights + rows / ridge.bias;
    if (rounding(trace + 1) <= largestRounding) return kernelMajorizer(quadratic, accuracy);
  }
  return featureMajorizer(quadratic, accuracy);
}

/**
 * Fewer rows than inputs: D = R^-1 [X, 1]^T A for A [m, n], R the ridges, and [X, 1] D = K A with
 * K = [X, 1] R^-1 [X, 1]^T. The gradient is [X, 1]^T (A + g') and the step is A - (I + K)^-1 (A + g'):
 * one m x m product.
 */
async function kernelMajorizer(
  { inputs, predicted, ridge }: Quadratic,
  accuracy: number,
): Promise<Majorizer> {
  const kernel = tf.tidy(() =>
    tf.add(tf.mul(tf.matMul(inputs, inputs, false, true), 1 / ridge.weights), 1 / ridge.bias),
  ) as tf.Tensor2D;
  const inverse = await deviceInverse(kernel, () => 1, accuracy);
  kernel.dispose();
  return {
    start: () => {
      const values: tf.Tensor2D = tf.zerosLike(predicted);
      return { values, u: predicted.clone() };
    },
    gradient: ({ values }, outer) => tf.add(values, outer),
    descend: ({ values, u }, gradient) => {
      const step: tf.Tensor2D = tf.matMul(inverse, gradient);
      // K (I + K)^-1 = I - (I + K)^-1
      const image: tf.Tensor2D = tf.sub(gradient, step);
      const next = { values: tf.sub(values, step), u: tf.sub(u, image) } as Point;
      return { next, square: product(gradient, image) };
    },
    product: (gradient, { u }) => product(gradient, u),
    parameters: ({ values }) => ({
      weights: tf.mul(tf.matMul(inputs, values, true, false), 1 / ridge.weights),
      bias: tf.mul(tf.sum(values, 0), 1 / ridge.bias),
    }),
    dispose: () => inverse.dispose(),
  };
}

/** Smallest ridge in N, relative to the mean diagonal of [X, 1]^T [X, 1]: float32 resolves no smaller one. */
const relativeFloor = 1e-6;

/** At least as many rows as inputs: D itself, from the normal equations. */
async function featureMajorizer(
  { inputs, predicted, ridge }: Quadratic,
  accuracy: number,
): Promise<Majorizer> {
  const columns = inputs.shape[1];
  const size = columns + 1;
  const extended = withOnes(inputs);
  const gram: tf.Tensor2D = tf.matMul(extended, extended, true, false);
  const inverse = await deviceInverse(
    gram,
    // In the preconditioner alone: steps get shorter where there is no ridge, the minimiser is the same.
    (i, mean) => Math.max(i < columns ? ridge.weights : ridge.bias, relativeFloor * mean),
    accuracy,
  );
  gram.dispose();
  const ridges = ridgeColumn(ridge, columns);
  return {
    start: (change) => {
      if (!change) return { values: tf.zeros([size, predicted.shape[1]]), u: predicted.clone() };
      const values = stackBias(change);
      return { values, u: tf.add(predicted, tf.matMul(extended, values)) };
    },
    gradient: ({ values }, outer) =>
      tf.add(tf.matMul(extended, outer, true, false), tf.mul(values, ridges)),
    descend: ({ values }, gradient) => {
      const step: tf.Tensor2D = tf.matMul(inverse, gradient);
      const next: tf.Tensor2D = tf.sub(values, step);
      // Not from the last U: in a system that is nearly singular its errors would add up.
      const u: tf.Tensor2D = tf.add(predicted, tf.matMul(extended, next));
      return { next: { values: next, u }, square: product(gradient, step) };
    },
    product: (gradient, { values }) => product(gradient, values),
    parameters: ({ values }) => splitBias(values),
    dispose: () => tf.dispose([extended, inverse, ridges]),
  };
}
