import * as tf from '@tensorflow/tfjs';

/** f old + rest current, for an exponential average with rest = 1 - f. */
export const blend = <T extends tf.Tensor>(
  old: T,
  current: T,
  [f, rest]: readonly (tf.Scalar | number)[],
): T => tf.add(tf.mul(old, f), tf.mul(current, rest));
