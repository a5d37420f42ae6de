import type { Scalar, Tensor1D, Tensor2D } from '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../parameters.js';
import { splitBias } from '../stacked.js';

/**
 * A layer's map U = A(X; W) + b: linear in the input X for given weights, and in the weights for a
 * given input. Images are rows [m, height * width * channels], so that activations, penalties and losses
 * work on matrices only.
 *
 * Every map is a matrix product of patches: with `patches(X)` [m * positions, patch] the receptive field of
 * each output position, U = patches(X) W + b for W [patch, channels]. A fully connected layer has
 * one position and its whole input as the patch.
 */
export interface LinearMap {
  /** Units of a row of X, and of U. */
  readonly inputs: number;
  readonly outputs: number;
  /** [patch, channels] */
  readonly weightShape: readonly [number, number];
  /** Output units that an input unit reaches, for initialisers: kernel^2 channels in a convolution. */
  readonly fanOut: number;
  /** Output positions that share the weights; 1 for a fully connected layer. */
  readonly positions: number;
  /** Bound of ||patches(X)||^2 / ||X||^2, so that ||A(.; W)||^2 <= overlap ||W||^2. */
  readonly overlap: number;
  /** A(X; W) + b: [m, inputs] -> [m, outputs]; differentiable. */
  apply(x: Tensor2D, layer: LayerParameters): Tensor2D;
  /** The adjoint in X, <A(X; W), D> = <X, adjoint(D; W)>: [m, outputs] -> [m, inputs]. */
  adjoint(d: Tensor2D, weights: Tensor2D): Tensor2D;
  /** The adjoint in [W; b], <A(X; W) + b, D> = <[W; b], gradient(X, D)>: [patch + 1, channels]. */
  gradient(x: Tensor2D, d: Tensor2D): Tensor2D;
  /** A(X; W), without the bias: [m, outputs]. Of built-in maps, for layers whose bias is added after a norm. */
  product?(x: Tensor2D, weights: Tensor2D): Tensor2D;
  /** The rows of {@link gradient} that are the weights' [patch, channels], of maps that need not stack the bias below. */
  weightGradient?(x: Tensor2D, d: Tensor2D): Tensor2D;
  /** [m * positions, patch] */
  patches(x: Tensor2D): Tensor2D;
  /** ||patches(X)||^2, of maps that need not form the patches for it. */
  squaredPatches?(x: Tensor2D): Scalar;
}

/** ||patches(X)||^2 */
export const squaredPatches = (map: LinearMap, x: Tensor2D): Scalar =>
  map.squaredPatches?.(x) ?? tf.tidy(() => tf.sum(tf.square(map.patches(x))));

/** The adjoint of a map in its weights [patch, channels] and bias [channels]. */
export const layerGradient = (map: LinearMap, x: Tensor2D, d: Tensor2D): LayerParameters =>
  map.weightGradient
    ? { weights: map.weightGradient(x, d), bias: channelSums(d, map.weightShape[1]) }
    : splitBias(map.gradient(x, d));

/** Sums of D [m, positions * channels] over rows and positions: [channels]. */
export const channelSums = (d: Tensor2D, channels: number): Tensor1D =>
  tf.tidy(() => tf.sum(tf.reshape(d, [-1, channels]), 0));
