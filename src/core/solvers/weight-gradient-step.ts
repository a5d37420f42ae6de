import * as tf from '@tensorflow/tfjs';
import { splitBias, stackBias, withOnes } from '../network/stacked.js';
import { relativeTo } from './solver.js';
import { squaredNormBound } from './spectral-norm.js';
import type { WeightProblem, WeightUpdate } from './weight-update.js';

/**
 * One gradient step on a W-update, in place of its solution:
 *
 *     P <- P - (length / L) gradient,   L = g'' ||[X, 1]||_2^2 + max(ridge_W, ridge_b)
 *
 * L bounds the curvature of the objective: with a length of at most 1 (strictly, below 2) it never rises.
 *
 * The residual is the norm of the gradient after the step relative to that before it.
 */
export async function stepWeights(problem: WeightProblem, length: number): Promise<WeightUpdate> {
  const { inputs, term, center, start, ridge } = problem;
  const extended = withOnes(inputs);
  const smoothness = term.curvature * (await squaredNormBound(extended));
  const step = length / (smoothness + Math.max(ridge.weights, ridge.bias));
  const { next, norms } = tf.tidy(() => {
    const [p, columns] = [inputs.shape[1], center.bias.shape[0]];
    const ridges = tf.concat([tf.fill([p, 1], ridge.weights), tf.fill([1, 1], ridge.bias)]);
    const anchor = stackBias(center);
    const gradient = (at: tf.Tensor2D): tf.Tensor2D => {
      const slope = term.gradient(tf.matMul(extended, at));
      const pull = tf.mul(tf.sub(at, anchor), ridges);
      return tf.add(tf.matMul(extended, slope, true, false), pull);
    };
    const point = stackBias(start);
    const before = gradient(point);
    const moved = tf.reshape(tf.sub(point, tf.mul(before, step)), [p + 1, columns]) as tf.Tensor2D;
    return { next: splitBias(moved), norms: tf.stack([tf.norm(before), tf.norm(gradient(moved))]) };
  });
  const [before, after] = await norms.data();
  tf.dispose([extended, norms]);
  return { parameters: next, iterations: 1, residual: relativeTo(after, before) };
}
