import * as tf from '@tensorflow/tfjs';
import { withOnes } from '../stacked.js';
import type { LinearMap } from './linear-map.js';

/** U = X W + b. */
export function denseMap(inputs: number, outputs: number): LinearMap {
  return {
    inputs,
    outputs,
    weightShape: [inputs, outputs],
    fanOut: outputs,
    positions: 1,
    overlap: 1,
    apply: (x, { weights, bias }) => tf.tidy(() => tf.add(tf.matMul(x, weights), bias)),
    adjoint: (d, weights) => tf.matMul(d, weights, false, true),
    gradient: (x, d) => tf.tidy(() => tf.matMul(withOnes(x), d, true, false)),
    patches: (x) => x.clone(),
  };
}
