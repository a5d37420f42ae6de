import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../network/network.js';
import { factor } from './cholesky.js';
import type { Ridge } from './weight-update.js';

/**
 * A change of weights D = [dW; db] [p + 1, n] in the coordinates that make a step cheapest, with its
 * image [X, 1] D [m, n]. Linear: coefficients may be extrapolated.
 */
export type Coefficients = { readonly values: tf.Tensor2D; readonly image: tf.Tensor2D };

/**
 * Regularised least squares  min_D ||[X, 1] D - T||^2 + ridge_W ||dW||^2 + ridge_b ||db||^2  for many
 * T and one factorisation. All but `dispose` are called inside a tidy.
 */
export interface Majorizer {
  /** The minimiser for T [m, n]. */
  minimize(target: tf.Tensor2D): Coefficients;
  /** Coordinates of a change; of no change when absent. */
  coefficients(change?: LayerParameters): Coefficients;
  parameters(coefficients: Coefficients): LayerParameters;
  /** <R D, D_a - D_b> with R the diagonal of ridges. */
  ridgeProduct(d: Coefficients, a: Coefficients, b: Coefficients): tf.Scalar;
  dispose(): void;
}

/**
 * Picks the smaller of the two systems: m x m or (p + 1) x (p + 1).
 *
 * @param outputs n
 * @param fromZero whether the iteration starts at D = 0; any other start may lie outside the span of
 *   the rows, which is all that the m x m system knows
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
 * Fewer rows than inputs: D = R^-1 [X, 1]^T A with A = (I + K)^-1 T and K = [X, 1] R^-1 [X, 1]^T.
 * The image is T - A, so a step costs one m x m product.
 */
async function kernelMajorizer(
  inputs: tf.Tensor2D,
  outputs: number,
  ridge: Ridge,
): Promise<Majorizer> {
  const kernel = tf.tidy(() =>
    tf.add(tf.mul(tf.matMul(inputs, inputs, false, true), 1 / ridge.weights), 1 / ridge.bias),
  );
  const inverse = await ridgedInverse(kernel as tf.Tensor2D, () => 1);
  return {
    minimize: (target) => {
      const values = tf.matMul(inverse, target) as tf.Tensor2D;
      return { values, image: tf.sub(target, values) };
    },
    coefficients: () => {
      const values = tf.zeros([inputs.shape[0], outputs]) as tf.Tensor2D;
      return { values, image: values.clone() };
    },
    parameters: ({ values }) => ({
      weights: tf.mul(tf.matMul(inputs, values, true, false), 1 / ridge.weights),
      bias: tf.mul(tf.sum(values, 0), 1 / ridge.bias),
    }),
    ridgeProduct: (d, a, b) => tf.sum(tf.mul(d.values, tf.sub(a.image, b.image))),
    dispose: () => inverse.dispose(),
  };
}

/** At least as many rows as inputs: D itself, from the normal equations. */
async function featureMajorizer(
  inputs: tf.Tensor2D,
  outputs: number,
  ridge: Ridge,
): Promise<Majorizer> {
  const [rows, columns] = inputs.shape;
  const extended = tf.tidy(() => tf.concat([inputs, tf.ones([rows, 1])], 1) as tf.Tensor2D);
  const gram = tf.tidy(() => tf.matMul(extended, extended, true, false) as tf.Tensor2D);
  const inverse = await ridgedInverse(gram, (i) => (i < columns ? ridge.weights : ridge.bias));
  const image = (values: tf.Tensor2D): Coefficients => ({
    values,
    image: tf.matMul(extended, values),
  });
  const ridgeColumn = tf.tidy(() =>
    tf.concat([tf.fill([columns, 1], ridge.weights), tf.fill([1, 1], ridge.bias)]),
  );
  return {
    minimize: (target) =>
      image(tf.matMul(inverse, tf.matMul(extended, target, true, false)) as tf.Tensor2D),
    coefficients: (change) =>
      image(
        change
          ? (tf.concat([change.weights, tf.reshape(change.bias, [1, -1])]) as tf.Tensor2D)
          : tf.zeros([columns + 1, outputs]),
      ),
    parameters: ({ values }) => ({
      weights: tf.slice(values, [0, 0], [columns, -1]),
      bias: tf.reshape(tf.slice(values, [columns, 0], [1, -1]), [-1]),
    }),
    ridgeProduct: (d, a, b) =>
      tf.sum(tf.mul(tf.mul(d.values, ridgeColumn), tf.sub(a.values, b.values))),
    dispose: () => tf.dispose([extended, inverse, ridgeColumn]),
  };
}

/** (A + diag(ridge))^-1 on the device, factored in float64; disposes A. */
async function ridgedInverse(
  matrix: tf.Tensor2D,
  ridge: (row: number) => number,
): Promise<tf.Tensor2D> {
  const size = matrix.shape[0];
  const values = Float64Array.from(await matrix.data());
  matrix.dispose();
  for (let i = 0; i < size; i++) values[i * size + i] += ridge(i);
  return tf.tensor2d(Float32Array.from(factor(values, size).inverse()), [size, size]);
}
