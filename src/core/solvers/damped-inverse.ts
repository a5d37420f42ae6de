import * as tf from '@tensorflow/tfjs';
import { factor } from './cholesky.js';

/**
 * (A + diag(ridge))^-1 on the device, factored in float64.
 *
 * @param matrix A [size, size], symmetric, row-major; not changed
 * @param ridge what is added to each diagonal entry
 * @throws NotPositiveDefiniteError when the sum cannot be factored
 */
export function dampedInverse(
  matrix: ArrayLike<number>,
  size: number,
  ridge: (row: number) => number,
): tf.Tensor2D {
  const ridged = Float64Array.from(matrix);
  for (let i = 0; i < size; i++) ridged[i * size + i] += ridge(i);
  return tf.tensor2d(Float32Array.from(factor(ridged, size).inverse()), [size, size]);
}

/** Mean diagonal entry of A [size, size], row-major: the unit of a relative ridge. */
export function meanDiagonal(matrix: ArrayLike<number>, size: number): number {
  let trace = 0;
  for (let i = 0; i < size; i++) trace += matrix[i * size + i];
  return trace / size;
}
