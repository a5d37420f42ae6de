import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../network/initialize.js';
import type { LayerParameters } from '../../network/parameters.js';
import type { Random } from '../../random.js';
import { solveNormalEquations } from '../../solvers/damped-inverse.js';
import { quadraticActivations } from '../../solvers/quadratic-activations.js';
import { reluProx } from '../../solvers/relu-prox.js';
import { lastResidual } from '../../solvers/solver.js';
import {
  type FullBatchConstants,
  layerEquations,
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
  sumChunks,
  sumScalars,
  weightedMean,
} from '../full-batch/rows.js';
import { measureLayers } from '../layer-metrics.js';
import type { Method } from '../method.js';
import type { LauConfig } from './config.js';

/**
 * Proximal block-coordinate descent of Lau, Zeng, Wu and Yao (2018), "A proximal block coordinate
 * descent algorithm for deep neural network training", on
 *
 *     ||V_L - Y||^2 / 2 + gamma/2 sum_l ||V_l - phi_l(U_l)||^2 + rho/2 sum_l ||U_l - V_{l-1} W_l - b_l||^2
 *
 * with V_0 = X_0 and phi_L the identity. An iteration minimises over the blocks of each layer in turn, from
 * the output down, given all others; over V_L, the hidden U_l, W_l and b_l with a proximal term
 * alpha/2 ||. - old||^2:
 *
 *     V_L = (Y + gamma U_L + alpha V_L) / (1 + gamma + alpha),   U_L = (gamma V_L + rho (V_{L-1} W_L + b_L)) / (gamma + rho)
 *     V_l = (gamma relu(U_l) + rho (U_{l+1} - b_{l+1}) W_{l+1}^T) (gamma I + rho W_{l+1} W_{l+1}^T)^-1
 *     U_l = relu-prox(V_l, (rho (V_{l-1} W_l + b_l) + alpha U_l) / (rho + alpha), (rho + alpha) / gamma)
 *     W_l = (alpha I + rho V_{l-1}^T V_{l-1})^-1 (alpha W_l + rho V_{l-1}^T (U_l - b_l)),   then
 *     b_l = (alpha b_l + rho sum_rows(U_l - V_{l-1} W_l)) / (alpha + rho n)
 *
 * No block update increases the objective.
 */
export const lauBcd: Method<LauConfig, FullBatchConstants, State> = {
  columns: () => [positiveShare],

  prepare: (context) => prepareTraining(context, ridgeOptions(context.config)),

  init({ network, config, random }, { set }) {
    const { bias, weightScale } = config;
    const draw = (stream: Random) => weightScale * stream.normal();
    const current = [...initializeParameters(network, { initializer: draw, bias }, random)];
    const first = affineRows(set.x, current[0]);
    const u: tf.Tensor2D[][] = [];
    const v: tf.Tensor2D[][] = [];
    for (const [l, layer] of current.entries()) {
      const rows = l === 0 ? first : affineRows(v[l - 1], layer);
      u.push(rows);
      v.push(l < current.length - 1 ? mapChunks(rows, (chunk) => tf.relu(rows[chunk])) : rows);
    }
    return { current, u, v, first };
  },

  async step(context, constants, { current, u, v, first }) {
    const { config } = context;
    const { x, y } = constants.set;
    const scores = await trainingScores(context, current, first, y);
    // Its blocks are replaced one after the other.
    const next = { current: [...current], u: [...u], v: [...v], first };
    const residuals: number[] = [];
    for (let l = current.length - 1; l >= 0; l--) {
      await updateBlocks(config, next, l, y);
      const { layer, residual } = await updateLayer(config, constants, next, l);
      next.current[l] = layer;
      residuals.push(residual);
    }
    next.first = affineRows(x, next.current[0]);
    const metrics = {
      ...scores,
      objective: await objective(config, next, y),
      residual: lastResidual(residuals),
    };
    const measure = async () => ({
      layers: await measureLayers(context.network, {
        x,
        before: { activations: v, parameters: current },
        after: { activations: next.v, parameters: next.current },
        // From the output down.
        residuals: residuals.map((residual) => [residual]).reverse(),
      }),
    });
    return { state: next, metrics, measure };
  },

  parameters: ({ current }) => current,
};

type State = {
  readonly current: LayerParameters[];
  /** Pre-activations and activations of each layer; from a forward pass at first. */
  readonly u: tf.Tensor2D[][];
  readonly v: tf.Tensor2D[][];
  /** X_0 W_0 + b_0 with the current weights, the most expensive product of a forward pass. */
  readonly first: tf.Tensor2D[];
};

/** V_l, then U_l. */
async function updateBlocks(
  { gamma, rho, alpha }: LauConfig,
  state: State,
  l: number,
  y: Rows,
): Promise<void> {
  const { current, u, v } = state;
  const [oldU, oldV] = [u[l], v[l]];
  if (l === current.length - 1) {
    v[l] = mapChunks(y, (chunk) =>
      weightedMean([1, y[chunk]], [gamma, oldU[chunk]], [alpha, oldV[chunk]]),
    );
    u[l] = mapChunks(y, (chunk) =>
      weightedMean([gamma, v[l][chunk]], [rho, predicted(state, l, chunk)]),
    );
    return;
  }
  const solve = await quadraticActivations(current[l + 1], rho / gamma);
  v[l] = mapChunks(y, (chunk) => solve(u[l + 1][chunk], tf.relu(oldU[chunk])));
  u[l] = mapChunks(y, (chunk) =>
    reluProx(
      v[l][chunk],
      weightedMean([rho, predicted(state, l, chunk)], [alpha, oldU[chunk]]),
      (rho + alpha) / gamma,
    ),
  );
}

/** W_l, then b_l; and the relative residual of the normal equations. */
async function updateLayer(
  config: LauConfig,
  constants: FullBatchConstants,
  { current, u, v }: State,
  l: number,
): Promise<{ layer: LayerParameters; residual: number }> {
  const ridge = config.alpha / config.rho;
  const { set } = constants;
  const inputs = l === 0 ? set.x : v[l - 1];
  const equations =
    l === 0 ? constants.equations : await layerEquations(inputs, ridgeOptions(config));
  const [old, targets] = [current[l], u[l]];
  const right = tf.tidy(() => {
    const product = sumChunks(inputs, (chunk) =>
      tf.matMul(inputs[chunk], tf.sub(targets[chunk], old.bias) as tf.Tensor2D, true, false),
    );
    return tf.add(product, tf.mul(old.weights, ridge)) as tf.Tensor2D;
  });
  const { solution: weights, residual } = await solveNormalEquations(equations, right);
  const bias = tf.tidy(() => {
    const misfit = sumChunks(inputs, (chunk) =>
      tf.sub(tf.sum(targets[chunk], 0, true), tf.matMul(tf.sum(inputs[chunk], 0, true), weights)),
    );
    const sum = tf.add(misfit, tf.mul(old.bias, ridge));
    return tf.reshape(tf.div(sum, ridge + set.rows), [-1]) as tf.Tensor1D;
  });
  return { layer: { weights, bias }, residual };
}

/** V_{l-1} W_l + b_l, from the weights that are current when layer l is updated. */
function predicted({ current, v, first }: State, l: number, chunk: number): tf.Tensor2D {
  return l === 0 ? first[chunk] : affine(v[l - 1][chunk], current[l]);
}

async function objective({ gamma, rho }: LauConfig, state: State, y: Rows): Promise<number> {
  const { current, u, v } = state;
  const last = current.length - 1;
  const [fit, activation, layer] = await sumScalars(y, (chunk) => {
    const phi = (l: number) => (l < last ? tf.relu(u[l][chunk]) : u[l][chunk]);
    return [
      squaredDistance(v[last][chunk], y[chunk]),
      tf.addN(current.map((_, l) => squaredDistance(v[l][chunk], phi(l)))),
      tf.addN(current.map((_, l) => squaredDistance(u[l][chunk], predicted(state, l, chunk)))),
    ];
  });
  return (fit + gamma * activation + rho * layer) / 2;
}

/** V_{l-1}^T V_{l-1} + (alpha / rho) I; biases have their own update. */
function ridgeOptions({ alpha, rho }: LauConfig): RidgeOptions {
  return { biases: false, ridge: { weights: alpha / rho, bias: 0 } };
}
