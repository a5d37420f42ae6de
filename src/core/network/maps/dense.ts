import * as tf from '@tensorflow/tfjs';
import { stackBias } from '../stacked.js';
import type { LinearMap } from './linear-map.js';

/** U = X W + b. */
export function denseMap(inputs: number, outputs: number): LinearMap {
  const weightGradient = (x: tf.Tensor2D, d: tf.Tensor2D): tf.Tensor2D =>
    tf.matMul(x, d, true, false);
  return {
    inputs,
    outputs,
    weightShape: [inputs, outputs],
    fanOut: outputs,
    positions: 1,
    overlap: 1,
    apply: (x, { weights, bias }) => tf.tidy(() => tf.add(tf.matMul(x, weights), bias)),
    product: (x, weights) => tf.matMul(x, weights),
    adjoint: (d, weights) => tf.matMul(d, weights, false, true),
    gradient: (x, d) =>
      tf.tidy(() => stackBias({ weights: weightGradient(x, d), bias: tf.sum(d, 0) })),
    weightGradient,
    patches: (x) => x.clone(),
  };
}
