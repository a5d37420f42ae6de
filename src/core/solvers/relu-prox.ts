import * as tf from '@tensorflow/tfjs';

/**
 * The scalar problem behind Lau's U-update and Taylor's z-update, entry by entry on [n, d]:
 *
 *     min_u  (relu(u) - a)^2 + gamma (u - b)^2
 *
 * Not convex. On u >= 0 the minimiser is max(0, (a + gamma b) / (1 + gamma)), on u <= 0 it is
 * min(0, b); the cheaper of both is the solution, the first at a tie (Lau et al. 2018, "A proximal
 * block coordinate descent algorithm for deep neural network training"; Taylor et al. 2016).
 *
 * @param selection weight of (relu(u) - a)^2 where the two costs are compared; 1 gives the minimiser,
 *   Taylor's public code has another value
 */
export function reluProx(
  a: tf.Tensor2D,
  b: tf.Tensor2D,
  gamma: number,
  selection = 1,
): tf.Tensor2D {
  return tf.tidy(() => {
    const positive = tf.relu(tf.mul(tf.add(a, tf.mul(b, gamma)), 1 / (1 + gamma)));
    const positivePart = tf.relu(b);
    const cost = (fit: tf.Tensor, move: tf.Tensor) =>
      tf.add(tf.mul(tf.square(fit), selection), tf.mul(tf.square(move), gamma));
    const positiveCost = cost(tf.sub(a, positive), tf.sub(positive, b));
    const negativeCost = cost(a, positivePart);
    // 1 where the negative side is cheaper; arithmetic is many times faster than a selection.
    const isNegative = tf.step(tf.sub(positiveCost, negativeCost));
    const negative = tf.sub(b, positivePart);
    return tf.add(tf.mul(negative, isNegative), tf.mul(positive, tf.sub(1, isNegative)));
  });
}
