import * as tf from '@tensorflow/tfjs';
import { BackPropagation, type GradientOptimizer } from '../back-propagation.js';
import type { Method } from '../method.js';
import type { SgdConfig } from './config.js';

/**
 * Stochastic gradient descent with heavy-ball momentum (Polyak 1964):
 *
 *     a <- momentum a + g,   P <- P - learningRate schedule(t) a.
 */
export const sgd: Method<SgdConfig> = {
  init(context) {
    const { learningRate, momentum } = context.config;
    const optimizer: GradientOptimizer =
      momentum === 0 ? tf.train.sgd(learningRate) : new Momentum(learningRate, momentum);
    return new BackPropagation(context, optimizer);
  },
};

/** The tensor library's momentum optimizer, which forgets to free its learning-rate scalar. */
class Momentum extends tf.MomentumOptimizer {
  override dispose(): void {
    super.dispose();
    this.c.dispose();
  }
}
