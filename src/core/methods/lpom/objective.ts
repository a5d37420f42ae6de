import * as tf from '@tensorflow/tfjs';

/**
 * The proximal penalty of one ReLU layer, entry by entry, for v >= 0:
 *
 *     v^2/2 + relu(u)^2/2 - u v  =  B(v, u),
 *
 * LPOM's penalty, which is the Fenchel penalty of the ReLU: zero iff v = relu(u).
 */
export function reluPenalty(v: tf.Tensor2D, u: tf.Tensor2D): tf.Scalar {
  return tf.add(tf.mul(tf.sum(tf.square(v)), 0.5), reluPart(v, u));
}

/** What of it depends on u. */
export function reluPart(v: tf.Tensor2D, u: tf.Tensor2D): tf.Scalar {
  return tf.sum(tf.sub(tf.mul(tf.square(tf.relu(u)), 0.5), tf.mul(u, v)));
}
