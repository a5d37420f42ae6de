import * as tf from '@tensorflow/tfjs';

/** Numbers that change from step to step, as a compiled function takes them: each a scalar on the device. */
export const scalars = (values: readonly number[]): tf.Scalar[] =>
  values.map((value) => tf.scalar(value));
