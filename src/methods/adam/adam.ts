import * as tf from '@tensorflow/tfjs';
import { BackPropagation, type GradientOptimizer } from '../back-propagation.js';
import type { Method } from '../method.js';
import type { AdamConfig } from './config.js';

/**
 * Adam (Kingma and Ba 2015, Algorithm 1):
 *
 *     m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2,
 *     P <- P - learningRate schedule(t) m^ / (sqrt(v^) + epsilon),
 *
 * m^ = m / (1 - beta1^t) and v^ = v / (1 - beta2^t).
 */
export const adam: Method<AdamConfig> = {
  init(context) {
    const { learningRate, beta1, beta2, epsilon } = context.config;
    return new BackPropagation(context, new Adam(learningRate, beta1, beta2, epsilon));
  },
};

/** The tensor library keeps Adam's learning rate protected; a schedule has to set it. */
class Adam extends tf.AdamOptimizer implements GradientOptimizer {
  setLearningRate(rate: number): void {
    this.learningRate = rate;
  }
}
