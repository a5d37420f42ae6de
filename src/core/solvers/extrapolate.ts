import * as tf from '@tensorflow/tfjs';

/** now + factor (now - before): where momentum points, of tensors of one shape. */
export function extrapolate<T extends tf.Tensor>(now: T, before: T, factor: number): T {
  return tf.tidy(() => tf.add(now, tf.mul(tf.sub(now, before), factor)));
}
