import * as tf from '@tensorflow/tfjs';
import type { Activation, SmoothedActivation } from './activations/activation.js';
import { activations } from './activations/registry.js';
import { averagePooled } from './maps/average-pool.js';
import { convolutionMap } from './maps/convolution.js';
import { denseMap } from './maps/dense.js';
import type { LinearMap } from './maps/linear-map.js';
import type { ActivationName } from './names.js';
import type { Parameters } from './parameters.js';
import { type LayerShape, pooledShape, unitsIn } from './shape.js';

/**
 * A feed-forward network X_{l+1} = phi_l(A_l(X_l; W_l) + b_l), the last layer linear (its outputs are
 * the logits, or the regression values). Rows are data points.
 */
export interface Network {
  /** A_l of each layer. */
  readonly maps: readonly LinearMap[];
  /** phi of each hidden layer: one fewer than there are layers. */
  readonly activations: readonly Activation[];
  /** Weights from which a training starts instead of random ones, one entry a layer (`init` of a config). */
  readonly initial?: InitialWeights;
}

/** A network for learning signals, whose activations may be smoothed. */
export interface TrainedNetwork extends Pick<Network, 'maps'> {
  readonly activations: readonly (Activation | SmoothedActivation)[];
}

/**
 * The network with its activations that jump smoothed.
 * @param epsilon one number, or none where nothing is smoothed
 */
export function smoothedNetwork(network: Network, [epsilon]: readonly tf.Scalar[]): TrainedNetwork {
  if (epsilon === undefined) return network;
  const { maps, activations } = network;
  const smoothed = activations.map((activation) => activation.smoothed?.(epsilon) ?? activation);
  return { maps, activations: smoothed };
}

/** Of each layer weights [patch, channels], row-major, and bias [channels], on the host. */
export type InitialWeights = readonly {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}[];

export function buildNetwork(shape: {
  readonly layers: readonly LayerShape[];
  readonly activations: readonly ActivationName[];
}): Network {
  return {
    maps: shape.layers.map(buildMap),
    activations: shape.activations.map((name) => activations[name]),
  };
}

/** The linear map of a layer. */
export function buildMap({ input, output, pool, window, own }: LayerShape): LinearMap {
  const pooled = pool > 1 ? pooledShape(input, pool) : input;
  const map = own
    ? own.map()
    : window
      ? convolutionMap(pooled, output, window)
      : denseMap(unitsIn(pooled), unitsIn(output));
  return pool > 1 ? averagePooled(input, pool, map) : map;
}

/** Inputs and pre-activations of all layers on the rows of a batch. */
export type Layers = {
  /** X_l, the input of each layer; X_0 is the batch itself, not a copy. */
  readonly inputs: tf.Tensor2D[];
  /** U_l; the last one is the network's output. */
  readonly preActivations: tf.Tensor2D[];
};

/**
 * A forward pass that keeps every layer, for methods that update layers separately; inside a tidy.
 * @param transmit what becomes of an activation phi(U_l) on its way to the next layer
 */
export function forwardLayers(
  network: Network,
  parameters: Parameters,
  x: tf.Tensor2D,
  transmit = (activation: tf.Tensor2D) => activation,
): Layers {
  const inputs = [x];
  const preActivations: tf.Tensor2D[] = [];
  for (const [l, layer] of parameters.entries()) {
    const u = network.maps[l].apply(inputs[l], layer);
    preActivations.push(u);
    if (l < network.activations.length) inputs.push(transmit(network.activations[l].phi(u)));
  }
  return { inputs, preActivations };
}

/** The network's outputs for the rows of `x`: [m, classes]. */
export function predict(network: Network, parameters: Parameters, x: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    let value = x;
    for (const [l, layer] of parameters.entries()) {
      const u = network.maps[l].apply(value, layer);
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
