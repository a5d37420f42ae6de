import * as tf from '@tensorflow/tfjs';
import type { LossName } from '../../../network/names.js';
import type { Network } from '../../../network/network.js';
import type { LayerParameters, Parameters } from '../../../network/parameters.js';
import { lossTerm, penaltyTerm, type SmoothTerm } from '../../../network/smooth-term.js';
import { layerValue } from '../../per-layer.js';
import type { FenchelExactConfig } from './config.js';

/**
 * The block variables of one batch. Layer l maps inputs[l] = X_l to U_l = X_l W_l + b_l; X_0 is the
 * batch, and X_l = phi(preimages[l]) for l >= 1.
 */
export interface Blocks {
  readonly inputs: readonly tf.Tensor2D[];
  /** S_l of the hidden layers' activations; preimages[0] is unused. */
  readonly preimages: readonly (tf.Tensor2D | undefined)[];
  readonly parameters: Parameters;
  /** U_l at these X_l and W_l, of the layers where it is known; absent where a caller does not keep them. */
  readonly preActivations?: readonly (tf.Tensor2D | undefined)[];
}

/** U_l = A_l(X_l; W_l) + b_l. */
export const preActivation = ({ network }: LiftedProblem, blocks: Blocks, l: number): tf.Tensor2D =>
  blocks.preActivations?.[l] ?? network.maps[l].apply(blocks.inputs[l], blocks.parameters[l]);

/**
 * The lifted objective of one batch (eq. 9 and 13):
 *
 *     G = a loss(Y, U_L) + sum_l p_l B(X_{l+1}, U_l) + sum_l rho_l ||W_l||^2 + sum_l gamma_l ||P_l - P_l^0||^2
 *
 * with a = 1 and p_l = penaltyScale lambda_l, both divided by the batch size where `lossReduction`
 * is `mean`; P = [W; b], or W alone where `proximalBias` is off.
 */
export interface LiftedProblem {
  readonly config: FenchelExactConfig;
  readonly network: Network;
  readonly loss: LossName;
  /** Y */
  readonly y: tf.Tensor2D;
  /** P^0: the weights before the batch, extrapolated where there is momentum. */
  readonly anchor: Parameters;
  /** gamma_l of each layer on this batch. */
  readonly gammas: readonly number[];
  /** The training that the problem is a batch of: its X-updates are compiled. */
  readonly context?: object;
}

/** G, a scalar. */
export function objectiveValue(problem: LiftedProblem, blocks: Blocks): tf.Scalar {
  return tf.tidy(() => {
    const parts = blocks.parameters.map((layer, l) => {
      const u = preActivation(problem, blocks, l);
      const fit = tf.mul(termAbove(problem, blocks, l).value(u), termWeight(problem, l));
      return tf.add(fit, quadratic(problem, layer, l));
    });
    return tf.addN(parts) as tf.Scalar;
  });
}

/** The term above layer l: its penalty, or the loss; unweighted. */
export function termAbove(
  { network, loss, y }: LiftedProblem,
  { inputs, preimages }: Blocks,
  l: number,
): SmoothTerm {
  if (l === network.activations.length) return lossTerm(loss, y);
  return penaltyTerm(network.activations[l], preimages[l + 1]!, inputs[l + 1]);
}

/** Weight of {@link termAbove} in G. */
export function termWeight(problem: LiftedProblem, l: number): number {
  const isHead = l === problem.network.activations.length;
  return isHead ? lossWeight(problem.config, problem.y) : penaltyWeight(problem, l);
}

/** p_l, the weight of the penalty between X_{l+1} and U_l. */
export function penaltyWeight({ config, y }: LiftedProblem, l: number): number {
  return lossWeight(config, y) * config.penaltyScale * layerValue(config.lambda, l);
}

/** a, for a batch with the rows of `batch`. */
export function lossWeight({ lossReduction }: FenchelExactConfig, batch: tf.Tensor2D): number {
  return lossReduction === 'mean' ? 1 / batch.shape[0] : 1;
}

/** rho_l ||W_l||^2 + gamma_l ||P_l - P_l^0||^2 */
function quadratic(
  { config, anchor, gammas }: LiftedProblem,
  layer: LayerParameters,
  l: number,
): tf.Scalar {
  const { weights, bias } = anchor[l];
  const distance = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.squaredDifference(a, b));
  const proximal = [distance(layer.weights, weights)];
  if (config.proximalBias) proximal.push(distance(layer.bias, bias));
  return tf.add(
    tf.mul(tf.sum(tf.square(layer.weights)), layerValue(config.rho, l)),
    tf.mul(tf.addN(proximal), gammas[l]),
  );
}
