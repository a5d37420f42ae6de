import * as tf from '@tensorflow/tfjs';
import type { Activation } from './activations/activation.js';
import { activations } from './activations/registry.js';
import type { ActivationName } from './names.js';

/** Weights [inputs, outputs] and bias [outputs] of one dense layer. */
export type LayerParameters = {
  readonly weights: tf.Tensor2D;
  readonly bias: tf.Tensor1D;
};

/** Parameters of a whole network, first layer first. */
export type Parameters = readonly LayerParameters[];

/**
 * A feed-forward network X_{l+1} = phi_l(X_l W_l + b_l), the last layer linear (its outputs are the
 * logits, or the regression values). Rows are data points.
 */
export interface Network {
  /** Widths, input first: 784-300-10 is [784, 300, 10]. */
  readonly widths: readonly number[];
  /** phi of each hidden layer: one fewer than there are layers. */
  readonly activations: readonly Activation[];
}

export function buildNetwork(shape: {
  readonly widths: readonly number[];
  readonly activations: readonly ActivationName[];
}): Network {
  return {
    widths: shape.widths,
    activations: shape.activations.map((name) => activations[name]),
  };
}

/** U = X W + b, [m, outputs]. */
export function affine(x: tf.Tensor2D, { weights, bias }: LayerParameters): tf.Tensor2D {
  return tf.tidy(() => tf.add(tf.matMul(x, weights), bias));
}

/** What each layer saw and made of the rows of a batch. */
export interface Layers {
  /** X_l, the input of each layer; X_0 is the batch itself, not a copy. */
  readonly inputs: tf.Tensor2D[];
  /** U_l; the last one is the network's output. */
  readonly preActivations: tf.Tensor2D[];
}

/** A forward pass that keeps every layer, for methods that update layers apart; inside a tidy. */
export function forwardLayers(network: Network, parameters: Parameters, x: tf.Tensor2D): Layers {
  const inputs = [x];
  const preActivations: tf.Tensor2D[] = [];
  for (const [l, layer] of parameters.entries()) {
    const u = affine(inputs[l], layer);
    preActivations.push(u);
    if (l < network.activations.length) inputs.push(network.activations[l].phi(u));
  }
  return { inputs, preActivations };
}

/** The network's outputs for the rows of `x`: [m, classes]. */
export function predict(network: Network, parameters: Parameters, x: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    let value = x;
    for (const [l, layer] of parameters.entries()) {
      const u = affine(value, layer);
      value = l < network.activations.length ? network.activations[l].phi(u) : u;
    }
    return value;
  });
}

export function disposeParameters(parameters: Parameters): void {
  for (const { weights, bias } of parameters) {
    weights.dispose();
    bias.dispose();
  }
}
