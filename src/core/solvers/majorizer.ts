import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../network/parameters.js';
import { splitBias, stackBias, withOnes } from '../network/stacked.js';
import { dampedInverse, meanDiagonal } from './damped-inverse.js';

/**
 * A change of weights D = [dW; db] [p + 1, n] in the coordinates that make a step cheapest, with its
 * image [X, 1] D [m, n]. Linear: coefficients may be extrapolated.
 */
export type Coefficients = { readonly values: tf.Tensor2D; readonly image: tf.Tensor2D };

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
  /** Coordinates of a change; of no change when absent. */
  coefficients(change?: LayerParameters): Coefficients;
  /** The objective's gradient at `point`, in the dual coordinates; `outer` [m, n] is that of g there. */
  gradient(point: Coefficients, outer: tf.Tensor2D): tf.Tensor2D;
  /** point - N^-1 gradient: the minimiser of the quadratic bound at `point`. */
  descend(point: Coefficients, gradient: tf.Tensor2D): Coefficients;
  /** <gradient, D_a - D_b> */
  product(gradient: tf.Tensor2D, a: Coefficients, b: Coefficients): tf.Scalar;
  parameters(coefficients: Coefficients): LayerParameters;
  dispose(): void;
}

/**
 * Picks the smaller of the two systems: m x m or (p + 1) x (p + 1).
 *
 * @param inputs X [m, p]
 * @param outputs n
 * @param fromZero whether the iteration starts at D = 0; any other start may lie outside the span of
 *   the rows, to which the m x m system is limited
 * @throws NotPositiveDefiniteError when the inputs are not finite
 */
export function majorizer(
  inputs: tf.Tensor2D,
  outputs: number,
  ridge: Ridge,
  fromZero: boolean,
): Promise<Majorizer> {
  const [rows, columns] = inputs.shape;
  const strict = ridge.weights > 0 && ridge.bias > 0;
  return fromZero && strict && rows < columns
    ? kernelMajorizer(inputs, outputs, ridge)
    : featureMajorizer(inputs, outputs, ridge);
}

/**
 * Fewer rows than inputs: D = R^-1 [X, 1]^T A for A [m, n], R the ridges, and [X, 1] D = K A with
 * K = [X, 1] R^-1 [X, 1]^T. The gradient is [X, 1]^T (A + g') and the step is A - (I + K)^-1 (A + g'):
 * one m x m product.
 */
async function kernelMajorizer(
  inputs: tf.Tensor2D,
  outputs: number,
  ridge: Ridge,
): Promise<Majorizer> {
  const kernel = tf.tidy(() =>
    tf.add(tf.mul(tf.matMul(inputs, inputs, false, true), 1 / ridge.weights), 1 / ridge.bias),
  );
  const kernelValues = await kernel.data();
  kernel.dispose();
  const inverse = dampedInverse(kernelValues, inputs.shape[0], () => 1);
  return {
    coefficients: () => {
      const values: tf.Tensor2D = tf.zeros([inputs.shape[0], outputs]);
      return { values, image: values.clone() };
    },
    gradient: ({ values }, outer) => tf.add(values, outer),
    descend: ({ values, image }, gradient) => {
      const step = tf.matMul(inverse, gradient);
      return {
        values: tf.sub(values, step),
        // K (I + K)^-1 = I - (I + K)^-1
        image: tf.sub(image, tf.sub(gradient, step)),
      };
    },
    product: (gradient, a, b) => tf.sum(tf.mul(gradient, tf.sub(a.image, b.image))),
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
  inputs: tf.Tensor2D,
  outputs: number,
  ridge: Ridge,
): Promise<Majorizer> {
  const columns = inputs.shape[1];
  const size = columns + 1;
  const extended = withOnes(inputs);
  const gram = tf.tidy(() => tf.matMul(extended, extended, true, false));
  const gramValues = await gram.data();
  gram.dispose();
  // In the preconditioner alone: steps get shorter where there is no ridge, the minimiser is the same.
  const floor = relativeFloor * meanDiagonal(gramValues, size);
  const inverse = dampedInverse(gramValues, size, (i) =>
    Math.max(i < columns ? ridge.weights : ridge.bias, floor),
  );
  const ridges = ridgeColumn(ridge, columns);
  const at = (values: tf.Tensor2D): Coefficients => ({
    values,
    image: tf.matMul(extended, values),
  });
  return {
    coefficients: (change) => at(change ? stackBias(change) : tf.zeros([size, outputs])),
    gradient: ({ values }, outer) =>
      tf.add(tf.matMul(extended, outer, true, false), tf.mul(values, ridges)),
    descend: ({ values }, gradient) => at(tf.sub(values, tf.matMul(inverse, gradient))),
    product: (gradient, a, b) => tf.sum(tf.mul(gradient, tf.sub(a.values, b.values))),
    parameters: ({ values }) => splitBias(values),
    dispose: () => tf.dispose([extended, inverse, ridges]),
  };
}
