import * as tf from '@tensorflow/tfjs';
import type { Activation, SmoothedActivation } from './activations/activation.js';
import { activations } from './activations/registry.js';
import { averagePooled } from './maps/average-pool.js';
import { convolutionMap } from './maps/convolution.js';
import { denseMap } from './maps/dense.js';
import type { LinearMap } from './maps/linear-map.js';
import { type MaxPool, maxPool } from './maps/max-pool.js';
import type { ActivationName } from './names.js';
import { type Norm, normOf } from './norm.js';
import type { LayerParameters, Parameters } from './parameters.js';
import { activationShape, type LayerShape, pooledShape, unitsIn } from './shape.js';
import { type Skip, skipOf } from './skip.js';

/**
 * A feed-forward network X_{l+1} = phi_l(A_l(X_l; W_l) + b_l), the last layer linear (its outputs are
 * the logits, or the regression values). Rows are data points. With the other stages of a layer,
 *
 *     P_l = maxPool(A_l(X_l; W_l)),   U_l = norm(P_l) + b_l + S X_from,   X_{l+1} = maxPool(dropout(phi_l(U_l))).
 */
export interface Network {
  /** A_l of each layer. */
  readonly maps: readonly LinearMap[];
  /** phi of each hidden layer: one fewer than there are layers. */
  readonly activations: readonly Activation[];
  /** The other stages of each layer; without any, the layer is a map and an activation. */
  readonly stages: readonly Stages[];
  /** Weights from which a training starts instead of random ones, one entry a layer (`init` of a config). */
  readonly initial?: InitialWeights;
  /** Weights of a whitening first layer, on the host (whiten.ts). */
  readonly whitening?: Float32Array;
}

/** What a layer does beside its map and its activation. */
export interface Stages {
  readonly maxPool?: MaxPool;
  readonly norm?: Norm;
  readonly skip?: Skip;
  /** Share of the activations that are set to 0 in training; the others are divided by what remains. */
  readonly dropout?: number;
  readonly outerPool?: MaxPool;
  /** The weights are not trained. */
  readonly isFrozen?: boolean;
}

/** A network for learning signals, whose activations may be smoothed. */
export interface TrainedNetwork extends Pick<Network, 'maps' | 'stages'> {
  readonly activations: readonly (Activation | SmoothedActivation)[];
}

/**
 * The network with its activations that jump smoothed.
 * @param epsilon one number, or none where nothing is smoothed
 */
export function smoothedNetwork(network: Network, [epsilon]: readonly tf.Scalar[]): TrainedNetwork {
  if (epsilon === undefined) return network;
  const { maps, stages, activations } = network;
  const smoothed = activations.map((activation) => activation.smoothed?.(epsilon) ?? activation);
  return { maps, stages, activations: smoothed };
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
    stages: shape.layers.map((layer) => stagesOf(layer, shape.layers)),
  };
}

function stagesOf(layer: LayerShape, layers: readonly LayerShape[]): Stages {
  const { output, maxPool: side = 1, norm, skipFrom, dropout, outerPool = 1, whiten } = layer;
  const seen = activationShape(layer);
  return {
    ...(side > 1 && { maxPool: maxPool(output, side) }),
    ...(norm && { norm: normOf(norm, output[2]) }),
    ...(skipFrom !== undefined && { skip: skipOf(skipFrom, layers[skipFrom].input, seen) }),
    ...(dropout && { dropout }),
    ...(outerPool > 1 && { outerPool: maxPool(seen, outerPool) }),
    ...(whiten && { isFrozen: true }),
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
  /** What the stages of each layer, where it has any, were given. */
  readonly between: readonly Between[];
};

/** Tensors between a layer's map and the next one's, absent without the stage that needs them. */
export type Between = {
  /** A_l(X_l; W_l), before max-pooling. */
  readonly mapped?: tf.Tensor2D;
  /** P_l, before the norm. */
  readonly pooled?: tf.Tensor2D;
  /** What dropout multiplied the activations by. */
  readonly kept?: tf.Tensor2D;
  /** Activations before the outer max-pooling. */
  readonly activations?: tf.Tensor2D;
};

/** What happens to activations in training alone. */
export interface Transmission {
  /** What becomes of an activation phi(U_l) on its way to the next layer. */
  activation(value: tf.Tensor2D): tf.Tensor2D;
  /** What activations are multiplied by: 1/(1 - share), or 0 with probability `share`; without it, there is no dropout. */
  dropout?(shape: readonly [number, number], share: number): tf.Tensor2D;
}

/**
 * A forward pass that keeps every layer, for methods that update layers separately; inside a tidy.
 * Batch norms take the mean and variance of `x`: for other rows, see at-test.ts.
 */
export function forwardLayers(
  network: Network,
  parameters: Parameters,
  x: tf.Tensor2D,
  transmission?: Transmission,
): Layers {
  const inputs = [x];
  const preActivations: tf.Tensor2D[] = [];
  const between: Between[] = [];
  for (const [l, layer] of parameters.entries()) {
    const { dropout, outerPool } = network.stages[l];
    const { u, ...before } = preActivation(network, l, inputs, layer);
    preActivations.push(u);
    if (l === network.activations.length) {
      between.push(before);
      break;
    }
    let value = network.activations[l].phi(u);
    if (transmission) value = transmission.activation(value);
    const kept = dropout && transmission?.dropout?.(value.shape, dropout);
    if (kept) value = tf.mul(value, kept);
    between.push({ ...before, ...(kept && { kept }), ...(outerPool && { activations: value }) });
    inputs.push(outerPool ? outerPool.apply(value) : value);
  }
  return { inputs, preActivations, between };
}

/**
 * U_l [m, units], and what the stages before it were given.
 * @param inputs X_0 to X_l
 */
export function preActivation(
  { maps, stages }: Pick<Network, 'maps' | 'stages'>,
  l: number,
  inputs: readonly tf.Tensor2D[],
  { weights, bias }: LayerParameters,
): Pick<Between, 'mapped' | 'pooled'> & { readonly u: tf.Tensor2D } {
  const { maxPool, norm, skip } = stages[l];
  const withSkip = (u: tf.Tensor2D): tf.Tensor2D =>
    skip ? tf.add(u, skip.apply(inputs[skip.from])) : u;
  if (!maxPool && !norm) return { u: withSkip(maps[l].apply(inputs[l], { weights, bias })) };
  const mapped = maps[l].product!(inputs[l], weights);
  const pooled = maxPool ? maxPool.apply(mapped) : mapped;
  const u = withSkip(addBias(norm ? norm.phi(pooled) : pooled, bias));
  return { u, ...(maxPool && { mapped }), ...(norm && { pooled }) };
}

/** U + b of pre-activations [m, positions * channels] and a bias [channels]. */
function addBias(u: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor2D {
  if (u.shape[1] === bias.shape[0]) return tf.add(u, bias);
  return tf.reshape(tf.add(tf.reshape(u, [-1, bias.shape[0]]), bias), u.shape);
}

/** The network's outputs for the rows of `x`: [m, classes]. */
export function predict(network: Network, parameters: Parameters, x: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const { preActivations } = forwardLayers(network, parameters, x);
    return preActivations[preActivations.length - 1];
  });
}

/** Outputs of the maps of all layers for one row. */
export const outputsOf = ({ maps }: Pick<Network, 'maps'>): number =>
  maps.reduce((sum, { outputs }) => sum + outputs, 0);

export function disposeParameters(parameters: Parameters): void {
  for (const { weights, bias } of parameters) {
    weights.dispose();
    bias.dispose();
  }
}
