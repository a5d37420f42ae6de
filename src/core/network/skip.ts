import * as tf from '@tensorflow/tfjs';
import type { ImageShape } from './shape.js';

/**
 * The skip connection S of a residual block, U = A(X; W) + b + S X_from, without weights: the identity, or, where the block
 * changes the shape, the average of s x s pixels and zeros for the channels that are new (option A of He et al. 2016,
 * which takes one pixel of each s x s).
 */
export interface Skip {
  /** The layer whose input is added. */
  readonly from: number;
  /** S X: [m, units in `input`] -> [m, units in `output`] */
  apply(x: tf.Tensor2D): tf.Tensor2D;
  /** S^T R */
  adjoint(r: tf.Tensor2D): tf.Tensor2D;
}

export function skipOf(from: number, input: ImageShape, output: ImageShape): Skip {
  if (input.every((size, i) => size === output[i])) {
    return { from, apply: (x) => x, adjoint: (r) => r };
  }
  const side = input[0] / output[0];
  const more = output[2] - input[2];
  const none: [number, number] = [0, 0];
  return {
    from,
    apply: (x) =>
      tf.tidy(() => {
        const images: tf.Tensor4D = tf.reshape(x, [x.shape[0], ...input]);
        const small = side > 1 ? tf.avgPool(images, side, side, 'valid') : images;
        return tf.reshape(tf.pad(small, [none, none, none, [0, more]]), [x.shape[0], -1]);
      }),
    adjoint: (r) =>
      tf.tidy(() => {
        const images: tf.Tensor4D = tf.reshape(r, [r.shape[0], ...output]);
        const own = tf.slice(images, [0, 0, 0, 0], [r.shape[0], output[0], output[1], input[2]]);
        if (side === 1) return tf.reshape(own, [r.shape[0], -1]);
        const share: tf.Tensor4D = tf.mul(own, 1 / side ** 2);
        const large = tf.image.resizeNearestNeighbor(share, [input[0], input[1]]);
        return tf.reshape(large, [r.shape[0], -1]);
      }),
  };
}
