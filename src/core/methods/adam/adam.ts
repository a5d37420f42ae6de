import * as tf from '@tensorflow/tfjs';
import { blend } from '../../solvers/blend.js';
import { backPropagation, type UpdateRule } from '../back-propagation.js';
import type { AdamConfig } from './config.js';

/**
 * Adam (Kingma and Ba 2015, Algorithm 1); with `weightDecay`, which stays apart from the gradient, AdamW (Loshchilov
 * and Hutter 2019):
 *
 *     m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2,
 *     P <- P - learningRate schedule(t) m^ / (sqrt(v^) + epsilon),
 *
 * m^ = m / (1 - beta1^t) and v^ = v / (1 - beta2^t).
 */
export const adam = backPropagation<AdamConfig>(adamRule);

/** The rule of Adam, which other methods use for the parameters that they do not treat as matrices. */
export function adamRule({
  beta1,
  beta2,
  epsilon,
}: Pick<AdamConfig, 'beta1' | 'beta2' | 'epsilon'>): UpdateRule {
  return {
    init: (tensor) => [tf.zerosLike(tensor), tf.zerosLike(tensor)],
    // With both corrections taken out of the tensors: rate sqrt(c2) / c1 and epsilon sqrt(c2).
    coefficients: (t, rate) => {
      const root = Math.sqrt(1 - beta2 ** t);
      return [(rate * root) / (1 - beta1 ** t), epsilon * root];
    },
    step: (gradient, [oldM, oldV], [rate, floor]) => {
      const m = blend(oldM, gradient, [beta1, 1 - beta1]);
      const v = blend(oldV, tf.square(gradient), [beta2, 1 - beta2]);
      const step = tf.mul(rate, tf.div(m, tf.add(tf.sqrt(v), floor)));
      return { step, averages: [m, v] };
    },
  };
}
