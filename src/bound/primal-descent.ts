import * as tf from '@tensorflow/tfjs';
import type { Parameters } from '../core/network/parameters.js';

const steps = 1000;
const learningRate = 0.01;

/**
 * Minimises an objective of the weights by full-batch Adam, with a learning rate that decays linearly to 0:
 * a feed-forward objective to compare the lifted ones with. It is not convex, so this is an upper bound of
 * its minimum.
 *
 * @param objective differentiable; called inside a tidy
 * @param start is not changed
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
    // Yields to the event loop, so that signals are handled.
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

/** `learningRate` is protected in the tensor library. */
class Adam extends tf.AdamOptimizer {
  constructor(rate: number) {
    super(rate, 0.9, 0.999, 1e-7);
  }
  setLearningRate(rate: number): void {
    this.learningRate = rate;
  }
}
