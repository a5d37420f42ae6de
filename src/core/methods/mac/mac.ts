import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../network/initialize.js';
import type { LayerParameters } from '../../network/parameters.js';
import { quadraticActivations } from '../../solvers/quadratic-activations.js';
import { relativeLength } from '../../solvers/solver.js';
import {
  type FullBatchConstants,
  fitLayer,
  positiveShare,
  prepareTraining,
  type RidgeOptions,
  trainingScores,
} from '../full-batch/layers.js';
import {
  affine,
  affineRows,
  mapChunks,
  type Rows,
  squaredDistance,
  squaredNorm,
  sumScalars,
} from '../full-batch/rows.js';
import type { Method } from '../method.js';
import type { MacConfig } from './config.js';

/**
 * Method of auxiliary coordinates of Carreira-Perpinan and Wang (2014), "Distributed optimization of
 * deeply nested systems", with a quadratic penalty, for one hidden layer of ReLUs:
 *
 *     ||Y - Z W_2 - b_2||^2 + mu/2 ||Z - relu(X_0 W_1 + b_1)||^2 + rho ||W_2||^2
 *
 * Unlike in the other lifted networks the activation stays inside the penalty, which is not convex in
 * W_1. An iteration takes
 *
 *     Z = (2 (Y - b_2) W_2^T + mu relu(P)) (2 W_2 W_2^T + mu I)^-1,   P = X_0 W_1 + b_1,
 *
 * then (W_2, b_2) by ridge regression, then (W_1, b_1) by `steps` damped Gauss-Newton steps on the
 * penalty, with [X_0, 1]^T [X_0, 1] for the Hessian of the active units (an upper bound of it, factored
 * once) and backtracking: P moves along a line, so that trying a shorter step costs no product. The
 * objective never increases.
 *
 * mu is fixed, where the paper lets it grow; docs/lifted-baselines.md has this and the other departures.
 */
export const mac: Method<MacConfig, FullBatchConstants, State> = {
  columns: () => [positiveShare, 'step_length', 'step_change'],

  prepare: (context) => prepareTraining(context, metricOptions(context.config)),

  init({ network, config, random }, { set }) {
    const [first, second] = initializeParameters(network, config, random);
    const predicted = affineRows(set.x, first);
    const z = mapChunks(predicted, (chunk) => tf.relu(predicted[chunk]));
    return { current: [first, second], predicted, z };
  },

  async step(context, constants, state) {
    const { mu, rho, steps } = context.config;
    const { y } = constants.set;
    const scores = await trainingScores(context, state.current, state.predicted, y);
    const above = await quadraticActivations(state.current[1], 2 / mu);
    const z = mapChunks(y, (chunk) => above.solve(y[chunk], tf.relu(state.predicted[chunk])));
    const head = await fitLayer(z, y, { biases: true, ridge: { weights: rho, bias: 0 } });
    let hidden: Hidden = { layer: state.current[0], predicted: state.predicted };
    let report = { change: 0, length: 0 };
    for (let k = 0; k < steps; k++) {
      const { next, ...made } = await gaussNewtonStep(context.config, constants, z, hidden);
      if (k > 0) tf.dispose(hidden.predicted);
      [hidden, report] = [next, made];
    }
    const next: State = { current: [hidden.layer, head.layer], predicted: hidden.predicted, z };
    return {
      state: next,
      metrics: {
        ...scores,
        objective: await objective(context.config, next, y),
        residual: head.residual,
        extra: { ...scores.extra, step_length: report.length, step_change: report.change },
      },
    };
  },

  parameters: ({ current }) => current,
};

type State = {
  readonly current: readonly [LayerParameters, LayerParameters];
  /** P = X_0 W_1 + b_1 with the current weights, and Z: from a forward pass at first. */
  readonly predicted: tf.Tensor2D[];
  readonly z: tf.Tensor2D[];
};

/** (W_1, b_1) and P. */
type Hidden = { readonly layer: LayerParameters; readonly predicted: tf.Tensor2D[] };

/** Shortest part of a Gauss-Newton step that is tried. */
const shortest = 1 / 64;

/**
 * One Gauss-Newton step on (W_1, b_1), 0 long when no length tried decreases the penalty.
 * @returns its length, and what it would move P by in full, ||X_0 dW + db|| / ||P||, too
 */
async function gaussNewtonStep(
  config: MacConfig,
  { set, equations }: FullBatchConstants,
  z: Rows,
  { layer, predicted }: Hidden,
): Promise<{ next: Hidden; change: number; length: number }> {
  const slope = mapChunks(set.x, (chunk) => {
    const p = predicted[chunk];
    return tf.mul(tf.step(p), tf.sub(p, z[chunk])) as tf.Tensor2D;
  });
  const { layer: direction } = await fitLayer(set.x, slope, metricOptions(config), equations);
  tf.dispose(slope);
  const image = affineRows(set.x, direction);
  const [before, move, size] = await sumScalars(set.x, (chunk) => [
    penalty(z[chunk], predicted[chunk]),
    tf.sum(tf.square(image[chunk])),
    tf.sum(tf.square(predicted[chunk])),
  ]);

  let length = 1;
  for (; length >= shortest; length /= 2) {
    const [after] = await sumScalars(set.x, (chunk) => [
      penalty(z[chunk], moved(predicted[chunk], image[chunk], length)),
    ]);
    if (after < before) break;
  }
  if (length < shortest) length = 0;
  const next = {
    layer: {
      weights: moved(layer.weights, direction.weights, length),
      bias: moved(layer.bias, direction.bias, length),
    },
    predicted: mapChunks(predicted, (chunk) => moved(predicted[chunk], image[chunk], length)),
  };
  tf.dispose(image);
  return { next, change: relativeLength(move, size), length };
}

/** ||Z - relu(P)||^2 */
function penalty(z: tf.Tensor2D, predicted: tf.Tensor2D): tf.Scalar {
  return squaredDistance(z, tf.relu(predicted));
}

async function objective(
  { mu, rho }: MacConfig,
  { current: [, head], predicted, z }: State,
  y: Rows,
): Promise<number> {
  const [fit, apart] = await sumScalars(y, (chunk) => [
    squaredDistance(y[chunk], affine(z[chunk], head)),
    penalty(z[chunk], predicted[chunk]),
  ]);
  return fit + (mu / 2) * apart + rho * (await squaredNorm(head.weights));
}

function metricOptions({ damping }: MacConfig): RidgeOptions {
  return { biases: true, ridge: { weights: damping, bias: damping } };
}

function moved<T extends tf.Tensor>(from: T, direction: T, length: number): T {
  return tf.sub(from, tf.mul(direction, length));
}
