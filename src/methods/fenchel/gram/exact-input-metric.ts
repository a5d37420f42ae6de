import * as tf from '@tensorflow/tfjs';
import { factor } from '../../../solvers/cholesky.js';
import type { TrainingData } from '../../method.js';
import { trainingGram } from './gram-matrix.js';
import type { Metric } from './metric.js';

/**
 * Metric of the input layer, whose Gram matrix A never changes: (A + delta I)^-1 is formed once, in
 * float64, and costs a [p+1, p+1] x [p+1, q] product a step. The reference for the low-rank metric.
 */
export async function exactInputMetric(train: TrainingData, damping: number): Promise<Metric> {
  const gram = trainingGram(train);
  const size = gram.shape[0];
  const ridged = Float64Array.from(await gram.data());
  gram.dispose();
  for (let i = 0; i < size; i++) ridged[i * size + i] += damping;
  const inverse = tf.tensor2d(Float32Array.from(factor(ridged, size).inverse()), [size, size]);
  return {
    observe: async () => {},
    apply: (gradient) => tf.matMul(inverse, gradient),
    dispose: () => inverse.dispose(),
  };
}
