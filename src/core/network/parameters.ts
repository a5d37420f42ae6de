import type * as tf from '@tensorflow/tfjs';

/**
 * Weights [patch, channels] and bias [channels] of one layer (maps/linear-map.ts): [inputs, outputs]
 * and [outputs] where it is fully connected.
 */
export type LayerParameters = {
  readonly weights: tf.Tensor2D;
  readonly bias: tf.Tensor1D;
};

/** Parameters of a whole network, first layer first. */
export type Parameters = readonly LayerParameters[];
