import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../network/initialize.js';
import type { LayerParameters } from '../../network/parameters.js';
import { lastResidual } from '../../solvers/solver.js';
import {
  type FullBatchConstants,
  fitLayer,
  fitNonNegative,
  positiveShare,
  prepareTraining,
  type RidgeOptions,
  trainingScores,
} from '../full-batch/layers.js';
import {
  affine,
  affineRows,
  mapChunks,
  squaredDistance,
  squaredNorm,
  sumScalars,
} from '../full-batch/rows.js';
import { measureLayers } from '../layer-metrics.js';
import type { Method } from '../method.js';
import type { AskariConfig } from './config.js';

/**
 * Block-coordinate descent of Askari, Negiar, Sambharya and El Ghaoui (2018), "Lifted neural
 * networks", for one hidden layer of ReLUs:
 *
 *     ||Y - Z W_2 - b_2||^2 + lambda ||Z - X_0 W_1 - b_1||^2 + rho (||W_1||^2 + ||W_2||^2),   Z >= 0
 *
 * from relu(u) = argmin_{z >= 0} (z - u)^2. An iteration minimises it over Z (each row a non-negative
 * least-squares problem), then over (W_2, b_2) and (W_1, b_1) (ridge regressions; biases are not
 * penalised). The objective never increases.
 */
export const askariBcd: Method<AskariConfig, FullBatchConstants, State> = {
  columns: () => [positiveShare, 'z_residual', 'z_iterations'],

  prepare: (context) =>
    prepareTraining(context, ridgeOptions(context.config.rho / context.config.lambda)),

  init({ network, config, random }, { set }) {
    const [first, second] = initializeParameters(network, config, random);
    const predicted = affineRows(set.x, first);
    const z = mapChunks(predicted, (chunk) => tf.relu(predicted[chunk]));
    return { current: [first, second], predicted, z };
  },

  async step(context, { set, equations }, state) {
    const { config } = context;
    const { lambda, rho } = config;
    const { x, y } = set;
    const scores = await trainingScores(context, state.current, state.predicted, y);
    const { z, ...solved } = await fitNonNegative(
      { layer: state.current[1], weight: 1 / lambda, target: y, predicted: state.predicted },
      config,
    );
    const head = await fitLayer(z, y, ridgeOptions(rho));
    const first = await fitLayer(x, z, ridgeOptions(rho / lambda), equations);
    const next: State = {
      current: [first.layer, head.layer],
      predicted: affineRows(x, first.layer),
      z,
    };
    return {
      state: next,
      metrics: {
        ...scores,
        objective: await objective(config, next, y),
        residual: lastResidual([solved.residual, head.residual, first.residual]),
        extra: { ...scores.extra, z_residual: solved.residual, z_iterations: solved.iterations },
      },
      measure: async () => ({
        layers: await measureLayers(context.network, {
          x,
          before: { activations: [state.z], parameters: state.current },
          after: { activations: [z], parameters: next.current },
          residuals: [[solved.residual, first.residual], [head.residual]],
        }),
      }),
    };
  },

  parameters: ({ current }) => current,
};

type State = {
  readonly current: readonly [LayerParameters, LayerParameters];
  /** X_0 W_1 + b_1 with the current weights, and Z: from a forward pass at first. */
  readonly predicted: tf.Tensor2D[];
  readonly z: tf.Tensor2D[];
};

async function objective(
  { lambda, rho }: AskariConfig,
  { current, predicted, z }: State,
  y: tf.Tensor2D[],
): Promise<number> {
  const [fit, penalty] = await sumScalars(y, (chunk) => [
    squaredDistance(y[chunk], affine(z[chunk], current[1])),
    squaredDistance(z[chunk], predicted[chunk]),
  ]);
  const norms = await squaredNorm(...current.map(({ weights }) => weights));
  return fit + lambda * penalty + rho * norms;
}

function ridgeOptions(ridge: number): RidgeOptions {
  return { biases: true, ridge: { weights: ridge, bias: 0 } };
}
