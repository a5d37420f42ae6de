import * as tf from '@tensorflow/tfjs';
import { backPropagation, type UpdateRule } from '../back-propagation.js';
import type { SgdConfig } from './config.js';

/**
 * Stochastic gradient descent with heavy-ball momentum (Polyak 1964), or with Nesterov's (Sutskever et al. 2013,
 * in the form that most libraries have), which looks one step ahead:
 *
 *     a <- momentum a + g,   P <- P - learningRate schedule(t) d,   d = a, or g + momentum a.
 */
export const sgd = backPropagation(sgdRule);

function sgdRule({ momentum, nesterov }: SgdConfig): UpdateRule {
  const coefficients = (_: number, rate: number) => [rate];
  if (momentum === 0) {
    return {
      init: () => [],
      coefficients,
      step: (gradient, _, [rate]) => ({ step: tf.mul(rate, gradient), averages: [] }),
    };
  }
  return {
    init: (tensor) => [tf.zerosLike(tensor)],
    coefficients,
    step: (gradient, [old], [rate]) => {
      const a = tf.add(tf.mul(old, momentum), gradient);
      const direction = nesterov ? tf.add(gradient, tf.mul(a, momentum)) : a;
      return { step: tf.mul(rate, direction), averages: [a] };
    },
  };
}
