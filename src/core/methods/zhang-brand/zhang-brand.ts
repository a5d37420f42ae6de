import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../network/initialize.js';
import type { LayerParameters } from '../../network/parameters.js';
import { blend } from '../../solvers/blend.js';
import { lastResidual } from '../../solvers/solver.js';
import {
  type FullBatchConstants,
  fitLayer,
  layerEquations,
  positiveShare,
  prepareTraining,
  type RidgeOptions,
  trainingScores,
} from '../full-batch/layers.js';
import { affineRows, mapChunks, type Rows, squaredNorm, sumScalars } from '../full-batch/rows.js';
import { measureLayers } from '../layer-metrics.js';
import type { Method } from '../method.js';
import { layerValue } from '../per-layer.js';
import { fitActivations, misfits } from './activations.js';
import type { ZhangBrandConfig } from './config.js';

/**
 * Proximal block-coordinate descent of Zhang and Brand (2017), "Convergent block coordinate descent for
 * training Tikhonov regularized deep neural networks", for the squared error, on
 *
 *     ||V_{L-1} W_L + b_L - Y||^2 / 2 + sum_{l<L} gamma_l/2 ||V_l - U_l||^2 + rho/2 sum_l ||W_l||^2,   V_l >= 0,
 *
 * U_l = V_{l-1} W_l + b_l, V_0 = X_0, from relu(u) = argmin_{v >= 0} (v - u)^2. Its blocks are all V_l
 * together, then each (W_l, b_l); in each the objective is convex. With B* the minimiser of the objective plus
 * alpha/2 ||B - B_old||^2, a block becomes
 *
 *     B = B_old + relaxation (B* - B_old).
 *
 * The V of an image are a non-negative least-squares problem (`fitActivations`); the layers are ridge
 * regressions. The objective never increases.
 *
 * The paper's text was not at hand: docs/lifted-baselines.md says what is taken from where.
 */
export const zhangBrand: Method<ZhangBrandConfig, FullBatchConstants, State> = {
  columns: () => [positiveShare, 'z_residual', 'z_iterations'],

  prepare: (context) => prepareTraining(context, ridgeOptions(context.config, 0, false)),

  init({ network, config, random }, { set }) {
    const current = [...initializeParameters(network, config, random)];
    const first = affineRows(set.x, current[0]);
    const v: tf.Tensor2D[][] = [];
    for (const [l, layer] of current.slice(0, -1).entries()) {
      const u = l === 0 ? first : affineRows(v[l - 1], layer);
      v.push(mapChunks(u, (chunk) => tf.relu(u[chunk])));
      if (l > 0) tf.dispose(u);
    }
    return { current, v, first };
  },

  async step(context, constants, state) {
    const { config } = context;
    const { x, y } = constants.set;
    const scores = await trainingScores(context, state.current, state.first, y);
    const { relaxation } = config;
    const blendWeights = [1 - relaxation, relaxation] as const;
    const weights = weightsOf(config, state);
    const { v: solution, ...solved } = await fitActivations(
      {
        layers: state.current,
        weights,
        alpha: config.alpha,
        first: state.first,
        targets: y,
        old: state.v,
      },
      config,
    );
    const v = solution.map((rows, l) =>
      mapChunks(rows, (chunk) => blend(state.v[l][chunk], rows[chunk], blendWeights)),
    );
    tf.dispose(solution);
    const current: LayerParameters[] = [];
    const residuals: number[] = [];
    for (const [l, old] of state.current.entries()) {
      const isOutput = l === v.length;
      const inputs = l === 0 ? x : v[l - 1];
      const options = ridgeOptions(config, l, isOutput);
      const equations = l === 0 ? constants.equations : await layerEquations(inputs, options);
      const near = { layer: old, weight: options.ridge.bias };
      const fit = await fitLayer(inputs, isOutput ? y : v[l], options, equations, near);
      current.push(blend(old, fit.layer, blendWeights));
      residuals.push(fit.residual);
    }
    const next: State = { current, v, first: affineRows(x, current[0]) };
    return {
      state: next,
      metrics: {
        ...scores,
        objective: await objective(config, next, y),
        residual: lastResidual([solved.residual, ...residuals]),
        extra: { ...scores.extra, z_residual: solved.residual, z_iterations: solved.iterations },
      },
      measure: async () => ({
        layers: await measureLayers(context.network, {
          x,
          before: { activations: state.v, parameters: state.current },
          after: { activations: v, parameters: current },
          residuals: residuals.map((own, l) => (l < v.length ? [solved.residual, own] : [own])),
        }),
      }),
    };
  },

  parameters: ({ current }) => current,
};

type State = {
  readonly current: readonly LayerParameters[];
  /** V_l of the hidden layers: from a forward pass at first. */
  readonly v: readonly tf.Tensor2D[][];
  /** U_1 with the current weights, the most expensive product of a forward pass. */
  readonly first: tf.Tensor2D[];
};

/** gamma_l of the hidden layers, and 1, the weight of the loss. */
const weightsOf = ({ gamma }: ZhangBrandConfig, { v }: State): number[] => [
  ...v.map((_, l) => layerValue(gamma, l)),
  1,
];

async function objective(config: ZhangBrandConfig, state: State, y: Rows): Promise<number> {
  const { current, v, first } = state;
  const weights = weightsOf(config, state);
  const [fit] = await sumScalars(y, (chunk) => {
    const rows = { layers: current, first: first[chunk], y: y[chunk] };
    const distances = misfits(
      rows,
      v.map((chunks) => chunks[chunk]),
    );
    return [tf.addN(distances.map((d, l) => tf.mul(tf.sum(tf.square(d)), weights[l] / 2)))];
  });
  return fit + (config.rho / 2) * (await squaredNorm(...current.map((layer) => layer.weights)));
}

/** (rho + alpha)/2 ||W||^2 + alpha/2 ||b||^2 beside gamma_l/2 ||.||^2 or, of the output, the loss. */
function ridgeOptions(
  { gamma, rho, alpha }: ZhangBrandConfig,
  l: number,
  isOutput: boolean,
): RidgeOptions {
  const weight = isOutput ? 1 : layerValue(gamma, l);
  return { biases: true, ridge: { weights: (rho + alpha) / weight, bias: alpha / weight } };
}
