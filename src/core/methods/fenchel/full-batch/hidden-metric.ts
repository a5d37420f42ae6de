import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../../../network/parameters.js';
import { stackBias } from '../../../network/stacked.js';
import { dampedInverse } from '../../../solvers/damped-inverse.js';
import { relativeTo } from '../../../solvers/solver.js';
import { crossProduct, gram, type Rows, sumChunks } from '../../full-batch/products.js';

/**
 * The metric of the hidden layer's steps, C + delta I with the Gram matrix C = [X_0, 1]^T [X_0, 1] / N
 * of all training images: they never change, so that it is factored once for the whole run.
 *
 * Since phi' <= 1, C bounds the curvature of B(Z, [X_0, 1] P) / N in P; delta is a proximal term.
 */
export class HiddenMetric {
  #firstNorm: number | undefined;

  private constructor(
    private readonly x: Rows,
    private readonly count: number,
    private readonly pull: number,
    /** (C + delta I)^-1, [p + 1, p + 1] */
    private readonly inverse: tf.Tensor2D,
  ) {}

  /**
   * @param options.damping delta, to which the curvature of the ridge is added
   * @param options.pull 2 rho_0 / lambda, the curvature of the ridge beside B
   * @throws NotPositiveDefiniteError when the images are not finite
   */
  static async of(
    x: Rows,
    { damping, pull }: { readonly damping: number; readonly pull: number },
  ): Promise<HiddenMetric> {
    const count = x.reduce((sum, chunk) => sum + chunk.shape[0], 0);
    const matrix = (await gram(x, { ones: true })).map((value) => value / count);
    const inverse = dampedInverse(matrix, x[0].shape[1] + 1, () => damping + pull);
    return new HiddenMetric(x, count, pull, inverse);
  }

  /** Norm of the run's first gradient, for checkpoints. */
  get state(): number | undefined {
    return this.#firstNorm;
  }

  set state(firstNorm: number | undefined) {
    this.#firstNorm = firstNorm;
  }

  /**
   * The step (C + delta I)^-1 ([X_0, 1]^T D / N - pull [W; 0]): down the gradient of B where
   * D = Z - phi(U), and of the ridge.
   * @returns [p + 1, q], and the norm of the gradient in the dual metric, relative to the run's first
   */
  async step(
    difference: Rows,
    { weights: held, bias: free }: LayerParameters,
  ): Promise<{ readonly step: tf.Tensor2D; readonly gradient: number }> {
    const { step, square } = tf.tidy(() => {
      const pull = stackBias({
        weights: tf.mul(held, this.pull) as tf.Tensor2D,
        bias: tf.zerosLike(free),
      });
      const weights = crossProduct(this.x, difference);
      const bias = sumChunks(difference, (chunk) => tf.sum(difference[chunk], 0, true));
      const descent = tf.sub(tf.div(tf.concat([weights, bias]), this.count), pull) as tf.Tensor2D;
      const direction: tf.Tensor2D = tf.matMul(this.inverse, descent);
      return { step: direction, square: tf.sum(tf.mul(direction, descent)) };
    });
    const [value] = await square.data();
    square.dispose();
    const norm = Math.sqrt(Math.max(0, value));
    this.#firstNorm ??= norm;
    return { step, gradient: relativeTo(norm, this.#firstNorm) };
  }

  dispose(): void {
    this.inverse.dispose();
  }
}
