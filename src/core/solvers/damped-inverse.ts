import * as tf from '@tensorflow/tfjs';
import { type CholeskyFactor, factor } from './cholesky.js';
import { euclideanNorm } from './solver.js';

/**
 * Systems A + diag(ridge), A symmetric, factored in float64 on the host: as an inverse on the device
 * where a float32 product is accurate enough, or solved on the host.
 */

/**
 * (A + diag(ridge))^-1 on the device.
 *
 * @param matrix A [size, size], symmetric, row-major; not changed
 * @param ridge added to each diagonal entry
 * @throws NotPositiveDefiniteError when the sum cannot be factored
 */
export function dampedInverse(
  matrix: ArrayLike<number>,
  size: number,
  ridge: (row: number) => number,
): tf.Tensor2D {
  const inverse = factor(ridged(matrix, size, ridge), size).inverse();
  return tf.tensor2d(Float32Array.from(inverse), [size, size]);
}

function ridged(matrix: ArrayLike<number>, size: number, ridge: (row: number) => number) {
  const sum = Float64Array.from(matrix);
  for (let i = 0; i < size; i++) sum[i * size + i] += ridge(i);
  return sum;
}

/** Mean diagonal entry of A [size, size], row-major: the unit of a relative ridge. */
export function meanDiagonal(matrix: ArrayLike<number>, size: number): number {
  let trace = 0;
  for (let i = 0; i < size; i++) trace += matrix[i * size + i];
  return trace / size;
}

/**
 * Least squares with one matrix A and many right-hand sides:
 *
 *     min_P  ||T - A P||^2 + sum_i ridge_i ||P_i||^2,   (A^T A + diag(ridge)) P = A^T T.
 *
 * Factored once, and solved in float64 on the host: with the tiny ridge of a pseudo-inverse, the
 * product with a float32 inverse would be inaccurate.
 */
export type NormalEquations = {
  readonly factor: CholeskyFactor;
  /** A^T A + diag(ridge), to measure residuals with. */
  readonly matrix: tf.Tensor2D;
};

/**
 * @param gram A^T A [size, size], row-major; not changed
 * @throws NotPositiveDefiniteError when the sum is not positive definite in float64, or not finite
 */
export function normalEquations(
  gram: ArrayLike<number>,
  size: number,
  ridge: (row: number) => number,
): NormalEquations {
  const sum = ridged(gram, size, ridge);
  return { factor: factor(sum, size), matrix: tf.tensor2d(Float32Array.from(sum), [size, size]) };
}

/**
 * @param right A^T T [size, columns]
 * @returns P, and the relative residual ||(A^T A + diag(ridge)) P - A^T T|| / ||A^T T||
 */
export async function solveNormalEquations(
  { factor, matrix }: NormalEquations,
  right: tf.Tensor2D,
): Promise<{ solution: tf.Tensor2D; residual: number }> {
  const values = await right.data();
  const solution = tf.tensor2d(
    Float32Array.from(factor.solve(values, right.shape[1])),
    right.shape,
  );
  const residual = tf.tidy(() => {
    const misfit = tf.sub(tf.matMul(matrix, solution), right);
    return tf.div(euclideanNorm(misfit), tf.add(euclideanNorm(right), 1e-30));
  });
  const [value] = await residual.data();
  residual.dispose();
  return { solution, residual: value };
}
