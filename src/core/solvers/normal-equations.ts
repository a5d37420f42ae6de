import * as tf from '@tensorflow/tfjs';
import { type CholeskyFactor, factor } from './cholesky.js';

/**
 * Least squares with one matrix A and many right-hand sides:
 *
 *     min_P  ||T - A P||^2 + sum_i ridge_i ||P_i||^2,   (A^T A + diag(ridge)) P = A^T T.
 *
 * Factored once, and solved in float64 on the host: with the tiny ridge of a pseudo-inverse, the
 * product with a float32 inverse would be off.
 */
export class NormalEquations {
  readonly #factor: CholeskyFactor;
  /** A^T A + diag(ridge), to measure residuals with. */
  readonly #matrix: tf.Tensor2D;

  /**
   * @param gram A^T A [size, size], row-major; changed
   * @throws NotPositiveDefiniteError when the ridge is too small for it, or it is not finite
   */
  constructor(
    gram: Float64Array,
    readonly size: number,
    ridge: (row: number) => number,
  ) {
    for (let i = 0; i < size; i++) gram[i * size + i] += ridge(i);
    this.#factor = factor(gram, size);
    this.#matrix = tf.tensor2d(Float32Array.from(gram), [size, size]);
  }

  /**
   * @param right A^T T [size, columns]
   * @returns P, and the relative residual ||(A^T A + diag(ridge)) P - A^T T|| / ||A^T T||
   */
  async solve(right: tf.Tensor2D): Promise<{ solution: tf.Tensor2D; residual: number }> {
    const values = await right.data();
    const solution = tf.tensor2d(
      Float32Array.from(this.#factor.solve(values, right.shape[1])),
      right.shape,
    );
    const residual = tf.tidy(() => {
      const misfit = tf.sub(tf.matMul(this.#matrix, solution), right);
      return tf.div(tf.norm(misfit), tf.add(tf.norm(right), 1e-30));
    });
    const [value] = await residual.data();
    residual.dispose();
    return { solution, residual: value };
  }

  dispose(): void {
    this.#matrix.dispose();
  }
}
