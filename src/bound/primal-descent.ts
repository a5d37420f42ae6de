import * as tf from '@tensorflow/tfjs';
import type { Parameters } from '../core/network/parameters.js';

const steps = 1000;
const learningRate = 0.01;

/**
 * Minimises an objective of the weights by full-batch Adam, its rate falling linearly to 0: a value
 * of the feed-forward objective to hold the lifted ones against. Not convex, so no more than that.
 *
 * @param objective differentiable; called inside a tidy
 * @param start is left as it is
 * @returns new parameters
 */
export async function minimisePrimal(
  objective: (parameters: Parameters) => tf.Scalar,
  start: Parameters,
): Promise<Parameters> {
  const layers = start.map(({ weights, bias }) => ({
    weights: tf.variable(weights) as tf.Variable<tf.Rank.R2>,
    bias: tf.variable(bias) as tf.Variable<tf.Rank.R1>,
  }));
  const variables = layers.flatMap(({ weights, bias }) => [weights, bias]);
  const optimizer = new Adam(learningRate);
  for (let t = 0; t < steps; t++) {
    optimizer.setLearningRate(learningRate * (1 - t / steps));
    tf.tidy(() => {
      const { grads } = tf.variableGrads(() => objective(layers), variables);
      optimizer.applyGradients(variables.map(({ name }) => ({ name, tensor: grads[name] })));
    });
    // Lets signals in.
    if (t % 50 === 0) await tf.nextFrame();
  }
  const found = layers.map(({ weights, bias }) => ({
    weights: weights.clone(),
    bias: bias.clone(),
  }));
  optimizer.dispose();
  tf.dispose(variables);
  return found;
}

/** The tensor library keeps Adam's learning rate protected. */
class Adam extends tf.AdamOptimizer {
  constructor(rate: number) {
    super(rate, 0.9, 0.999, 1e-7);
  }
  setLearningRate(rate: number): void {
    this.learningRate = rate;
  }
}
