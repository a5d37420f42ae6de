import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from './parameters.js';

/** Biases as part of the weights: P = [W; b] [p + 1, q], and a column of ones for them, U = [X, 1] P. */

/** [X, 1]: [m, p] -> [m, p + 1] */
export function withOnes(inputs: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => tf.concat([inputs, tf.ones([inputs.shape[0], 1])], 1)) as tf.Tensor2D;
}

/** [W; b] */
export function stackBias({ weights, bias }: LayerParameters): tf.Tensor2D {
  return tf.tidy(() => tf.concat([weights, tf.reshape(bias, [1, -1])])) as tf.Tensor2D;
}

/** Weights [p, q] and bias [q] of [W; b]. */
export function splitBias(stacked: tf.Tensor2D): LayerParameters {
  const [rows, columns] = stacked.shape;
  return {
    weights: tf.slice(stacked, [0, 0], [rows - 1, columns]),
    bias: tf.tidy(() => tf.reshape(tf.slice(stacked, [rows - 1, 0], [1, columns]), [columns])),
  };
}
