import * as tf from '@tensorflow/tfjs';
import type { LossName } from '../../../network/names.js';
import type { Network } from '../../../network/network.js';
import type { Parameters } from '../../../network/parameters.js';
import { lossTerm, penaltyTerm, type SmoothTerm } from '../../../network/smooth-term.js';
import { layerValue } from '../../per-layer.js';
import type { FenchelExactConfig } from './config.js';

/**
 * The block variables of one batch. Layer l maps inputs[l] = X_l to U_l = X_l W_l + b_l; X_0 is the
 * batch, and X_l = phi(preimages[l]) for l >= 1.
 */
export interface Blocks {
  readonly inputs: tf.Tensor2D[];
  /** S_l of the hidden layers' activations; preimages[0] is unused. */
  readonly preimages: (tf.Tensor2D | undefined)[];
  parameters: Parameters;
}

/**
 * The lifted objective of one batch (eq. 9 and 13)
 *
 *     G = a loss(Y, U_L) + sum_l p_l B(X_{l+1}, U_l) + sum_l rho_l ||W_l||^2 + sum_l gamma_l ||P_l - P_l^0||^2
 *
 * with a = 1 and p_l = penaltyScale lambda_l, both divided by the batch size where `lossReduction`
 * is `mean`; P = [W; b], or W alone where `proximalBias` is off.
 */
export class LiftedObjective {
  readonly lossWeight: number;

  constructor(
    private readonly config: FenchelExactConfig,
    private readonly network: Network,
    private readonly loss: LossName,
    private readonly y: tf.Tensor2D,
    /** P^0: the weights before the batch, or what the momentum makes of them. */
    private readonly anchor: Parameters,
    /** gamma_l of each layer on this batch. */
    private readonly proximal: readonly number[] = anchor.map((_, l) =>
      layerValue(config.gamma, l),
    ),
  ) {
    this.lossWeight = config.lossReduction === 'mean' ? 1 / y.shape[0] : 1;
  }

  /** p_l, the weight of the penalty between X_{l+1} and U_l. */
  penaltyWeight(l: number): number {
    return this.lossWeight * this.config.penaltyScale * layerValue(this.config.lambda, l);
  }

  rho(l: number): number {
    return layerValue(this.config.rho, l);
  }

  gamma(l: number): number {
    return this.proximal[l];
  }

  /** What sits above layer l: its penalty, or the loss; unweighted. */
  term({ inputs, preimages }: Blocks, l: number): SmoothTerm {
    if (l === this.network.activations.length) return lossTerm(this.loss, this.y);
    return penaltyTerm(this.network.activations[l], preimages[l + 1]!, inputs[l + 1]);
  }

  /** Weight of `term` in the objective. */
  termWeight(l: number): number {
    return l === this.network.activations.length ? this.lossWeight : this.penaltyWeight(l);
  }

  /** G, a scalar. */
  value(blocks: Blocks): tf.Scalar {
    return tf.tidy(() => {
      const parts = blocks.parameters.map((layer, l) => {
        const u = this.network.maps[l].apply(blocks.inputs[l], layer);
        const fit = tf.mul(this.term(blocks, l).value(u), this.termWeight(l));
        return tf.add(fit, this.#quadratic(layer, l));
      });
      return tf.addN(parts) as tf.Scalar;
    });
  }

  #quadratic(layer: Parameters[number], l: number): tf.Scalar {
    const { weights, bias } = this.anchor[l];
    const distance = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.squaredDifference(a, b));
    const proximal = [distance(layer.weights, weights)];
    if (this.config.proximalBias) proximal.push(distance(layer.bias, bias));
    return tf.add(
      tf.mul(tf.sum(tf.square(layer.weights)), this.rho(l)),
      tf.mul(tf.addN(proximal), this.gamma(l)),
    );
  }
}
