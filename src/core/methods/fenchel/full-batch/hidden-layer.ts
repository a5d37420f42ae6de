import * as tf from '@tensorflow/tfjs';
import { relu } from '../../../network/activations/relu.js';
import type { LayerParameters, Parameters } from '../../../network/parameters.js';
import { penalty } from '../../../network/penalty.js';
import { splitBias, stackBias } from '../../../network/stacked.js';
import { dampedInverse } from '../../../solvers/damped-inverse.js';
import { relativeTo, type SolverReport } from '../../../solvers/solver.js';
import {
  affine,
  crossProduct,
  gram,
  mapChunks,
  type Rows,
  squaredDistance,
  sumChunks,
  sumScalars,
  type TrainingSet,
  trainingSet,
} from '../../full-batch/rows.js';
import type { MethodContext } from '../../method.js';
import { layerValue } from '../../per-layer.js';
import type { FenchelFullBatchConfig } from './config.js';

/** The hidden layer: P = [W_0; b_0] and U = [X_0, 1] P. */
export type Hidden = { readonly layer: LayerParameters; readonly u: tf.Tensor2D[] };

/** A W-update of the hidden layer, with the norm of its gradient under (C + delta I)^-1 before it. */
export type HiddenUpdate = SolverReport & { readonly hidden: Hidden; readonly norm: number };

/** Constants of both variants. */
export type Constants = {
  readonly set: TrainingSet;
  /**
   * (C + delta I)^-1 [p + 1, p + 1], with the input covariance C = [X_0, 1]^T [X_0, 1] / N of all
   * training images. Since phi' <= 1, C bounds the curvature of B(Z, U) / N in P; delta is a proximal
   * term and the curvature of the ridge beside B.
   */
  readonly preconditioner: tf.Tensor2D;
};

/** @throws NotPositiveDefiniteError when the images are not finite */
export async function prepare({
  config,
  network,
  train,
}: MethodContext<FenchelFullBatchConfig>): Promise<Constants> {
  const set = trainingSet(train, network.maps[1].outputs);
  const covariance = (await gram(set.x, { ones: true })).map((value) => value / set.rows);
  const delta = config.damping + ridgePull(config);
  const preconditioner = dampedInverse(covariance, set.x[0].shape[1] + 1, () => delta);
  return { set, preconditioner };
}

/**
 * P + stepSize (C + delta I)^-1 ([X_0, 1]^T D / N - 2 rho_0 / lambda [W_0; 0]) with D = Z - phi(U): a
 * preconditioned gradient step on B and the ridge.
 * @returns also the norm of the gradient under (C + delta I)^-1
 */
export async function stepHidden(
  config: FenchelFullBatchConfig,
  { set, preconditioner }: Constants,
  { layer, u }: Hidden,
  difference: Rows,
  stepSize: number,
): Promise<{ hidden: Hidden; norm: number }> {
  const { move, square } = tf.tidy(() => {
    const pull = stackBias({
      weights: tf.mul(layer.weights, ridgePull(config)) as tf.Tensor2D,
      bias: tf.zerosLike(layer.bias),
    });
    const weights = crossProduct(set.x, difference);
    const bias = sumChunks(difference, (chunk) => tf.sum(difference[chunk], 0, true));
    const descent = tf.sub(tf.div(tf.concat([weights, bias]), set.rows), pull) as tf.Tensor2D;
    const direction: tf.Tensor2D = tf.matMul(preconditioner, descent);
    return {
      move: splitBias(tf.mul(direction, stepSize)),
      square: tf.sum(tf.mul(direction, descent)),
    };
  });
  const [value] = await square.data();
  const hidden = {
    layer: {
      weights: tf.add(layer.weights, move.weights) as tf.Tensor2D,
      bias: tf.add(layer.bias, move.bias) as tf.Tensor1D,
    },
    u: mapChunks(u, (chunk) => tf.add(u[chunk], affine(set.x[chunk], move)) as tf.Tensor2D),
  };
  return { hidden, norm: Math.sqrt(Math.max(0, value)) };
}

/**
 * `weightSteps` steps of length 1, each the minimiser of a quadratic bound of the W-update (eq. 17) given Z: none raises it.
 * @returns what {@link solveHidden} does; the residual is that before the last step
 */
export async function majoriseHidden(
  config: FenchelFullBatchConfig,
  constants: Constants,
  start: Hidden,
  z: Rows,
): Promise<HiddenUpdate> {
  let hidden = start;
  const norms: number[] = [];
  for (let k = 0; k < config.weightSteps; k++) {
    const from = hidden;
    const difference = mapChunks(z, (chunk) => tf.sub(z[chunk], tf.relu(from.u[chunk])));
    const stepped = await stepHidden(config, constants, from, difference as tf.Tensor2D[], 1);
    tf.dispose(difference);
    if (from !== start) tf.dispose(from.u);
    hidden = stepped.hidden;
    norms.push(stepped.norm);
  }
  const residual = relativeTo(norms[norms.length - 1], norms[0]);
  return { hidden, iterations: norms.length, residual, norm: norms[0] };
}

/** 2 rho_0 / lambda: the ridge's curvature relative to that of B. */
export function ridgePull({ rho, lambda }: FenchelFullBatchConfig): number {
  return (2 * layerValue(rho, 0)) / lambda;
}

/**
 * The lifted objective over N training images (eq. 9), for one hidden layer and squared error:
 *
 *     G = (||Y - Z W_1 - b_1||^2 + lambda sum B(Z, U)) / N + rho_0 ||W_0||^2 + rho_1 ||W_1||^2
 */
export async function liftedObjective(
  config: FenchelFullBatchConfig,
  parameters: Parameters,
  { z, u, y }: { readonly z: Rows; readonly u: Rows; readonly y: Rows },
): Promise<number> {
  const { lambda } = config;
  const [, head] = parameters;
  const [fit, constraint, count] = await sumScalars(z, (chunk) => [
    squaredDistance(y[chunk], affine(z[chunk], head)),
    tf.sum(penalty(relu, z[chunk], u[chunk])),
    tf.scalar(z[chunk].shape[0]),
  ]);
  return (fit + lambda * constraint) / count + (await ridges(config, parameters));
}

/** rho_0 ||W_0||^2 + rho_1 ||W_1||^2 */
export async function ridges(
  { rho }: FenchelFullBatchConfig,
  [hidden, head]: Parameters,
): Promise<number> {
  const sum = tf.tidy(() =>
    tf.add(
      tf.mul(tf.sum(tf.square(hidden.weights)), layerValue(rho, 0)),
      tf.mul(tf.sum(tf.square(head.weights)), layerValue(rho, 1)),
    ),
  );
  const [value] = await sum.data();
  return value;
}
