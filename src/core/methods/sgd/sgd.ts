import * as tf from '@tensorflow/tfjs';
import { backPropagation, type UpdateRule } from '../back-propagation.js';
import type { SgdConfig } from './config.js';

/**
 * Stochastic gradient descent with heavy-ball momentum (Polyak 1964):
 *
 *     a <- momentum a + g,   P <- P - learningRate schedule(t) a.
 */
export const sgd = backPropagation(sgdRule);

function sgdRule({ momentum }: SgdConfig): UpdateRule {
  const coefficients = (_: number, rate: number) => [rate];
  if (momentum === 0) {
    return {
      averages: 0,
      coefficients,
      step: (gradient, _, [rate]) => ({ step: tf.mul(rate, gradient), averages: [] }),
    };
  }
  return {
    averages: 1,
    coefficients,
    step: (gradient, [old], [rate]) => {
      const a = tf.add(tf.mul(old, momentum), gradient);
      return { step: tf.mul(rate, a), averages: [a] };
    },
  };
}
