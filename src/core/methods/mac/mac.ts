import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../network/initialize.js';
import type { LayerParameters } from '../../network/parameters.js';
import { quadraticActivations } from '../../solvers/quadratic-activations.js';
import { relativeLength } from '../../solvers/solver.js';
import { type Tree, zipTrees } from '../../tree.js';
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
import { measureLayers } from '../layer-metrics.js';
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
 * penalty, preconditioned by [X_0, 1]^T [X_0, 1], an upper bound of the Hessian, factored once, with
 * backtracking: P is linear in the step, so that a shorter step costs no product. The objective never
 * increases.
 *
 * mu is fixed, where the paper lets it grow; docs/lifted-baselines.md has this and the other departures.
 */
export const mac: Method<MacConfig, FullBatchConstants, State> = {
  columns: () => [positiveShare, 'step_length', 'step_change'],

  prepare: (context) => prepareTraining(context, hiddenRidge(context.config)),

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
    const solveAbove = await quadraticActivations(state.current[1], 2 / mu);
    const z = mapChunks(y, (chunk) => solveAbove(y[chunk], tf.relu(state.predicted[chunk])));
    const head = await fitLayer(z, y, { biases: true, ridge: { weights: rho, bias: 0 } });
    let hidden: Hidden = { layer: state.current[0], predicted: state.predicted };
    let report = { change: 0, length: 0 };
    for (let k = 0; k < steps; k++) {
      const { next, ...step } = await gaussNewtonStep(context.config, constants, z, hidden);
      if (k > 0) tf.dispose(hidden.predicted);
      [hidden, report] = [next, step];
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
      measure: async () => ({
        layers: await measureLayers(context.network, {
          x: constants.set.x,
          before: { activations: [state.z], parameters: state.current },
          after: { activations: [z], parameters: next.current },
          residuals: [[], [head.residual]],
        }),
      }),
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

/** Smallest step length of the backtracking. */
const shortest = 1 / 64;

/**
 * One Gauss-Newton step on (W_1, b_1), of length 0 when no length tried decreases the penalty.
 * @returns also the length, and the relative change of P at length 1, ||X_0 dW + db|| / ||P||
 */
async function gaussNewtonStep(
  config: MacConfig,
  { set, equations }: FullBatchConstants,
  z: Rows,
  { layer, predicted }: Hidden,
): Promise<{ next: Hidden; change: number; length: number }> {
  const gradient = mapChunks(set.x, (chunk) => {
    const p = predicted[chunk];
    return tf.mul(tf.step(p), tf.sub(p, z[chunk])) as tf.Tensor2D;
  });
  const { layer: direction } = await fitLayer(set.x, gradient, hiddenRidge(config), equations);
  tf.dispose(gradient);
  const image = affineRows(set.x, direction);
  const [before, move, size] = await sumScalars(set.x, (chunk) => [
    penalty(z[chunk], predicted[chunk]),
    tf.sum(tf.square(image[chunk])),
    tf.sum(tf.square(predicted[chunk])),
  ]);

  let length = 1;
  for (; length >= shortest; length /= 2) {
    const [after] = await sumScalars(set.x, (chunk) => [
      penalty(z[chunk], descend(predicted[chunk], image[chunk], length)),
    ]);
    if (after < before) break;
  }
  if (length < shortest) length = 0;
  const next = descend({ layer, predicted }, { layer: direction, predicted: image }, length);
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
  const [fit, distance] = await sumScalars(y, (chunk) => [
    squaredDistance(y[chunk], affine(z[chunk], head)),
    penalty(z[chunk], predicted[chunk]),
  ]);
  return fit + (mu / 2) * distance + rho * (await squaredNorm(head.weights));
}

/** Ridge of the hidden layer's normal equations. */
function hiddenRidge({ damping }: MacConfig): RidgeOptions {
  return { biases: true, ridge: { weights: damping, bias: damping } };
}

/** from - length direction */
function descend<T extends Tree>(from: T, direction: T, length: number): T {
  return zipTrees(from, direction, (a, b) => tf.tidy(() => tf.sub(a, tf.mul(b, length))));
}
