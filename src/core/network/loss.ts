import * as tf from '@tensorflow/tfjs';
import { addBuiltIn, type Loss, losses } from './implementations.js';
import type { BuiltInLoss, LossName } from './names.js';

/** -sum_k y_k log softmax(u)_k, rows of y summing to 1. Curvature 1/2: Boehning's bound. */
const crossEntropy: Loss = {
  rows: (y, u) => tf.tidy(() => tf.neg(tf.sum(tf.mul(y, tf.logSoftmax(u)), 1))),
  gradient: (y, u) => tf.tidy(() => tf.sub(tf.softmax(u), y)),
  curvature: 0.5,
};

/** ||y - u||^2, summed over the outputs. */
const meanSquaredError: Loss = {
  rows: (y, u) => tf.tidy(() => tf.sum(tf.squaredDifference(y, u), 1)),
  gradient: (y, u) => tf.tidy(() => tf.mul(2, tf.sub(u, y))),
  curvature: 2,
};

/** Every built-in loss. Adding one is its name in names.ts and one entry here. */
const builtIn: Readonly<Record<BuiltInLoss, Loss>> = {
  'cross-entropy': crossEntropy,
  mse: meanSquaredError,
};

addBuiltIn(losses, builtIn);

export { type Loss, losses };

/** Mean loss over the rows, a scalar. */
export function lossValue(name: LossName, y: tf.Tensor2D, u: tf.Tensor2D): tf.Scalar {
  return tf.tidy(() => tf.mean(losses[name].rows(y, u)));
}

/** Share of the rows whose largest output is the target class, a scalar. */
export function accuracyValue(y: tf.Tensor2D, u: tf.Tensor2D): tf.Scalar {
  return tf.tidy(() =>
    tf.mean(tf.cast(tf.equal(tf.argMax(u, 1), tf.argMax(y, 1)), 'float32')),
  ) as tf.Scalar;
}

/** Targets (1 - s) y + s / classes; returns `y` itself (not a copy) when s is 0. */
export function smoothLabels(y: tf.Tensor2D, smoothing: number): tf.Tensor2D {
  if (smoothing === 0) return y;
  return tf.tidy(() => tf.add(tf.mul(y, 1 - smoothing), smoothing / y.shape[1]));
}
