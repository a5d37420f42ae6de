import * as tf from '@tensorflow/tfjs';
import { dampedInverse } from '../../../solvers/damped-inverse.js';
import { crossProduct, gram, type Rows, sumChunks } from '../../full-batch/products.js';

/**
 * The metric of the hidden layer's steps, C + delta I with the Gram matrix C = [X_0, 1]^T [X_0, 1] / N
 * of all training images: they never change, so that it is factored once for the whole run.
 *
 * Since phi' <= 1, C bounds the curvature of B(Z, [X_0, 1] P) / N in P; delta is a proximal term.
 */
export class HiddenMetric {
  private constructor(
    private readonly x: Rows,
    private readonly count: number,
    /** (C + delta I)^-1, [p + 1, p + 1] */
    private readonly inverse: tf.Tensor2D,
  ) {}

  /** @throws NotPositiveDefiniteError when the images are not finite */
  static async of(x: Rows, damping: number): Promise<HiddenMetric> {
    const count = x.reduce((sum, chunk) => sum + chunk.shape[0], 0);
    const matrix = (await gram(x, { ones: true })).map((value) => value / count);
    const inverse = dampedInverse(matrix, x[0].shape[1] + 1, () => damping);
    return new HiddenMetric(x, count, inverse);
  }

  /**
   * The step (C + delta I)^-1 ([X_0, 1]^T D / N - pull): down the gradient of B where D = Z - phi(U).
   * @param pull gradient of what else the objective says of P, [p + 1, q]
   * @returns [p + 1, q], and the norm of the gradient in the dual metric
   */
  async step(
    difference: Rows,
    pull: tf.Tensor2D,
  ): Promise<{ readonly step: tf.Tensor2D; readonly norm: number }> {
    const { step, square } = tf.tidy(() => {
      const weights = crossProduct(this.x, difference);
      const bias = sumChunks(difference, (chunk) => tf.sum(difference[chunk], 0, true));
      const descent = tf.sub(tf.div(tf.concat([weights, bias]), this.count), pull) as tf.Tensor2D;
      const direction: tf.Tensor2D = tf.matMul(this.inverse, descent);
      return { step: direction, square: tf.sum(tf.mul(direction, descent)) };
    });
    const [value] = await square.data();
    square.dispose();
    return { step, norm: Math.sqrt(Math.max(0, value)) };
  }

  dispose(): void {
    this.inverse.dispose();
  }
}
