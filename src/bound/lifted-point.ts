import * as tf from '@tensorflow/tfjs';
import type { Blocks } from '../core/methods/fenchel/exact/objective.js';
import type { ActivationName, LossName } from '../core/network/names.js';
import { disposeParameters, forwardLayers, type Network } from '../core/network/network.js';
import type { Parameters } from '../core/network/parameters.js';
import { affine64, loss64, penalty64, squares64 } from './float64.js';

/** The problem that all values of lambda share. */
export interface BoundProblem {
  readonly network: Network;
  readonly activations: readonly ActivationName[];
  readonly loss: LossName;
  /** [m, features] and [m, classes], of all training images. */
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
  /** One a layer, > 0. */
  readonly rho: readonly number[];
}

/** Blocks of the forward pass, where every penalty is zero. The parameters are copied. */
export function forwardPoint({ network, x }: BoundProblem, parameters: Parameters): Blocks {
  const { hidden, preimages } = tf.tidy(() => {
    const { inputs, preActivations } = forwardLayers(network, parameters, x);
    return { hidden: inputs.slice(1), preimages: preActivations.slice(0, -1) };
  });
  return {
    inputs: [x, ...hidden],
    preimages: [undefined, ...preimages],
    parameters: copyParameters(parameters),
  };
}

export function copyPoint({ inputs, preimages, parameters }: Blocks): Blocks {
  return {
    inputs: [inputs[0], ...inputs.slice(1).map((values) => values.clone())],
    preimages: preimages.map((values) => values?.clone()),
    parameters: copyParameters(parameters),
  };
}

/** Frees everything but X_0, which is the problem's. */
export function disposePoint({ inputs, preimages, parameters }: Blocks): void {
  tf.dispose([inputs.slice(1), preimages.filter((values) => values !== undefined)]);
  disposeParameters(parameters);
}

export function copyParameters(parameters: Parameters): Parameters {
  return parameters.map(({ weights, bias }) => ({ weights: weights.clone(), bias: bias.clone() }));
}

/** The terms of the lifted objective at a point, from which it follows for every lambda. */
export interface PointTerms {
  /** loss(Y, U_L) / m + sum_l rho_l ||W_l||^2 */
  readonly base: number;
  /** sum_l B(X_{l+1}, U_l) / m */
  readonly penalty: number;
}

/**
 * Evaluates a point in float64: exactly the values that its float32 blocks stand for. At a forward
 * point `base` is the primal objective p of the feed-forward network.
 */
export async function evaluatePoint(
  { network, activations, loss, y, rho }: BoundProblem,
  { inputs, parameters }: Blocks,
): Promise<PointTerms> {
  const rows = y.shape[0];
  let base = 0;
  let penalty = 0;
  for (const [l, { weights, bias }] of parameters.entries()) {
    const patches = network.maps[l].patches(inputs[l]);
    const [seen, w, b] = [await patches.data(), await weights.data(), await bias.data()];
    patches.dispose();
    const u = affine64(seen, w, b);
    base += rho[l] * squares64(w);
    if (l < activations.length) {
      penalty += penalty64(activations[l], await inputs[l + 1].data(), u) / rows;
    } else {
      base += loss64(loss, await y.data(), u, y.shape[1]) / rows;
    }
  }
  return { base, penalty };
}

/** p of the feed-forward network with these weights. */
export async function primalObjective(
  problem: BoundProblem,
  parameters: Parameters,
): Promise<number> {
  const point = forwardPoint(problem, parameters);
  const { base } = await evaluatePoint(problem, point);
  disposePoint(point);
  return base;
}
