import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../../network/parameters.js';

/** Pieces that quadratic penalties and their minimisers are made of; inside a tidy. */

/** X W + b */
export function affine(x: tf.Tensor2D, { weights, bias }: LayerParameters): tf.Tensor2D {
  return tf.add(tf.matMul(x, weights), bias);
}

/** ||A - B||^2 */
export function squaredDistance(a: tf.Tensor, b: tf.Tensor): tf.Scalar {
  return tf.sum(tf.squaredDifference(a, b));
}

/** The mean of matrices under weights: the minimiser of sum_i weight_i ||X - X_i||^2. */
export function weightedMean(...terms: readonly (readonly [number, tf.Tensor2D])[]): tf.Tensor2D {
  const total = terms.reduce((sum, [weight]) => sum + weight, 0);
  return tf.addN(terms.map(([weight, value]) => tf.mul(value, weight / total))) as tf.Tensor2D;
}
