import * as tf from '@tensorflow/tfjs';
import { dampedInverse } from '../../../solvers/damped-inverse.js';
import type { TrainingData } from '../../method.js';
import { trainingGram } from './gram-matrix.js';
import type { Metric } from './metric.js';

/**
 * Metric of the input layer, whose Gram matrix C, of all training images, never changes: (C + delta I)^-1
 * is formed once, in float64, and costs a [p+1, p+1] x [p+1, q] product a step. The reference for the low-rank metric.
 */
export async function exactInputMetric(
  train: TrainingData,
  damping: number,
): Promise<Metric<tf.Tensor2D>> {
  const gram = trainingGram(train);
  const values = await gram.data();
  gram.dispose();
  const inverse = dampedInverse(values, gram.shape[0], () => damping);
  return {
    observe: async () => {},
    applied: inverse,
    state: undefined,
    apply: (matrix, gradient) => tf.matMul(matrix, gradient),
    dispose: () => inverse.dispose(),
  };
}
