import * as tf from '@tensorflow/tfjs';
import type { LinearMap } from '../../network/maps/linear-map.js';
import type { Layers, Network } from '../../network/network.js';
import type { LayerParameters } from '../../network/parameters.js';
import { blend } from '../../solvers/blend.js';
import type { MethodContext } from '../method.js';
import { orthogonalised } from '../muon/muon.js';
import { scalars } from '../scalars.js';
import { scheduleFactor } from '../schedule.js';
import type { PreconditionedConfig } from './config.js';

/**
 * W-steps of hidden layers in the operator norm (`stepNorm: operator`): the proximal step
 *
 *     min <M, D>  subject to  ||D||_op <= 1,   whose solution is -U V^T for M = U S V^T,
 *
 * along the averaged gradient M, of a length that is relative to the layer's pre-activations. Rows are data points, F the
 * layer's inputs, F' the first `lengthImages` rows of F, g its learning signal, P(F) the patches, and Z what the layer's
 * norm is given, or U = A(F; W) + b in a layer without a norm:
 *
 *     M <- momentum M + (1 - momentum) G,      G = P(F)^T g / m
 *     D  = orthogonalised(M)                   Newton-Schulz (../muon), near U V^T
 *     W <- (1 - rate relativeChange weightDecay) W - rate relativeChange sd(Z) D / rms(A(F'; D))
 *     W <- W / sd(Z)                           in a layer with a norm
 *     b <- b - rate biasStep m / sqrt(v)       Adam (../adam): m and v average the gradient of b and its square
 *
 * The direction is Muon's (Jordan et al. 2024); Bernstein and Newhouse (2024, "Old optimizer, new norm") read it as
 * steepest descent in this norm. The length is not Muon's, which depends on the shape of W alone: here a step at the full rate
 * changes A(F'; W) by `relativeChange` of the standard deviation of Z on the batch, all units and positions together. It
 * is measured by a forward pass of D: no input covariance, no state, and for 16 images of a batch of 500 a thirtieth of
 * the layer's forward pass. The scale of G has no effect, so that 1 / m and 1 - momentum are left out.
 *
 * Unit scale: a norm removes the scale of W, and relative steps would double it every few dozen steps. The signals r
 * would vanish beside Z, and a lifted step become a derivative. With W divided by sd(Z) the network is the same function.
 */
export function operatorStep(
  { momentum, newtonSchulzSteps, lengthImages }: PreconditionedConfig,
  { maps, stages }: Pick<Network, 'maps' | 'stages'>,
  l: number,
  layer: {
    readonly parameters: LayerParameters;
    readonly layers: Layers;
    readonly gradient: LayerParameters;
    readonly averages: OperatorAverages;
    readonly coefficients: readonly tf.Scalar[];
  },
): { readonly parameters: LayerParameters; readonly averages: OperatorAverages } {
  const { gradient, averages } = layer;
  const { weights, bias } = layer.parameters;
  const [length, kept, biasLength] = layer.coefficients;
  const mean = blend(averages.mean, gradient.bias, [momentum, 1 - momentum]);
  const squares = blend(averages.squares, tf.square(gradient.bias), [squareDecay, 1 - squareDecay]);
  const biasChange = tf.mul(tf.div(mean, tf.add(tf.sqrt(squares), 1e-12)), biasLength);
  const moved: tf.Tensor1D = tf.sub(bias, biasChange);
  const { norm, isFrozen } = stages[l];
  if (isFrozen) {
    return {
      parameters: { weights: tf.add(weights, 0), bias: moved },
      averages: { direction: tf.add(averages.direction, 0), mean, squares },
    };
  }
  const direction: tf.Tensor2D = tf.add(tf.mul(averages.direction, momentum), gradient.weights);
  const orthogonal = orthogonalised(direction, newtonSchulzSteps);
  const inputs = layer.layers.inputs[l];
  const [rows, units] = inputs.shape;
  const images = tf.slice(inputs, [0, 0], [Math.min(rows, lengthImages), units]);
  const change = maps[l].apply(images, { weights: orthogonal, bias: tf.zerosLike(bias) });
  const square = tf.mean(tf.square(change));
  // 1 / rms, and 0 where D changes nothing on these images.
  const inverse = tf.div(tf.sqrt(square), tf.add(square, 1e-24));
  const scale = standardDeviation(layer.layers.between[l].pooled ?? layer.layers.preActivations[l]);
  const stepped: tf.Tensor2D = tf.sub(
    tf.mul(weights, kept),
    tf.mul(orthogonal, tf.mul(tf.mul(length, scale), inverse)),
  );
  return {
    parameters: { weights: norm ? tf.div(stepped, orOne(scale)) : stepped, bias: moved },
    averages: { direction, mean, squares },
  };
}

/** Of a hidden layer. */
export type OperatorAverages = {
  /** M / (1 - momentum) [patch, channels] */
  readonly direction: tf.Tensor2D;
  /** Of the bias' gradient [channels] and of its square, before their correction. */
  readonly mean: tf.Tensor1D;
  readonly squares: tf.Tensor1D;
};

export const initialOperatorAverages = ({
  weightShape: [patch, channels],
}: LinearMap): OperatorAverages => ({
  direction: tf.zeros([patch, channels]),
  mean: tf.zeros([channels]),
  squares: tf.zeros([channels]),
});

/** Factor of the average of squared gradients of biases, per batch. */
const squareDecay = 0.99;

/** Of step t from 0: the rate of weights, what is left of them, and the rate of biases over both corrections. */
export function operatorCoefficients(
  { config, totalBatches }: Pick<MethodContext<PreconditionedConfig>, 'config' | 'totalBatches'>,
  t: number,
): tf.Scalar[] {
  const { schedule, warmup, momentum, relativeChange, weightDecay, biasStep } = config;
  const rate = scheduleFactor(schedule, t, totalBatches, warmup);
  const corrections = Math.sqrt(1 - squareDecay ** (t + 1)) / (1 - momentum ** (t + 1));
  const change = rate * relativeChange;
  return scalars([change, 1 - change * weightDecay, rate * biasStep * corrections]);
}

const standardDeviation = (values: tf.Tensor2D): tf.Scalar =>
  tf.sqrt(tf.mean(tf.squaredDifference(values, tf.mean(values))));

/** 1 in place of 0: where a layer gives the same value for all images. */
function orOne(scale: tf.Scalar): tf.Scalar {
  const isPositive = tf.sign(tf.relu(tf.sub(scale, 1e-6)));
  return tf.add(tf.mul(scale, isPositive), tf.sub(1, isPositive));
}
