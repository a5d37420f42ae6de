import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../parameters.js';
import { stackBias } from '../stacked.js';
import type { LinearMap } from './linear-map.js';

/** U = X W + b. */
export function denseMap(inputs: number, outputs: number): LinearMap {
  const splitGradient = (x: tf.Tensor2D, d: tf.Tensor2D): LayerParameters => ({
    weights: tf.matMul(x, d, true, false),
    bias: tf.sum(d, 0),
  });
  return {
    inputs,
    outputs,
    weightShape: [inputs, outputs],
    fanOut: outputs,
    positions: 1,
    overlap: 1,
    apply: (x, { weights, bias }) => tf.tidy(() => tf.add(tf.matMul(x, weights), bias)),
    adjoint: (d, weights) => tf.matMul(d, weights, false, true),
    gradient: (x, d) => tf.tidy(() => stackBias(splitGradient(x, d))),
    splitGradient,
    patches: (x) => x.clone(),
  };
}
