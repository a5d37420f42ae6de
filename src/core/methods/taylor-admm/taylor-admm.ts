import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../../network/parameters.js';
import type { Random } from '../../random.js';
import { quadraticActivations } from '../../solvers/quadratic-activations.js';
import { reluProx } from '../../solvers/relu-prox.js';
import { lastResidual } from '../../solvers/solver.js';
import {
  type FullBatchConstants,
  fitLayer,
  positiveShare,
  prepareTraining,
  trainingScores,
} from '../full-batch/layers.js';
import {
  affine,
  affineRows,
  mapChunks,
  type Rows,
  squaredDistance,
  sumScalars,
  weightedMean,
} from '../full-batch/rows.js';
import { measureLayers } from '../layer-metrics.js';
import type { Method } from '../method.js';
import type { TaylorConfig } from './config.js';

/**
 * ADMM of Taylor, Burmeister, Xu, Singh, Patel and Goldstein (2016), "Training neural networks
 * without gradients: a scalable ADMM approach", on
 *
 *     ||Z_L - Y||^2 / 2 + <Lambda, Z_L> + beta/2 sum_l ||Z_l - A_{l-1} W_l||^2 + gamma/2 sum_{l<L} ||A_l - relu(Z_l)||^2
 *
 * with A_0 = X_0. An iteration updates the layers from the input up; each hidden one by
 *
 *     W_l = pinv(A_{l-1}) Z_l
 *     A_l = (beta Z_{l+1} W_{l+1}^T + gamma relu(Z_l)) (beta W_{l+1} W_{l+1}^T + gamma I)^-1
 *     Z_l = argmin  gamma (A_l - relu(z))^2 + beta (z - A_{l-1} W_l)^2
 *
 * and the output by
 *
 *     W_L = pinv(A_{L-1}) Z_L,   Z_L = (Y - Lambda + beta M) / (1 + beta),   Lambda += beta (Z_L - M),   M = A_{L-1} W_L.
 *
 * Biases, where there are any, are weights of a column of ones. Only the output has a multiplier: the
 * authors found more of them unstable.
 */
export const taylorAdmm: Method<TaylorConfig, FullBatchConstants, State> = {
  columns: () => [positiveShare],

  prepare: (context) => prepareTraining(context, ridgeOptions(context.config)),

  init({ network, config, random }, { set: { x, y } }) {
    const units = network.maps.map(({ outputs }) => outputs);
    const z = units.map((count) => uniformRows(x, count, random));
    return {
      iteration: 0,
      // The algorithm starts from Z alone: the first A-update uses W_{l+1} = 0.
      current: network.maps.map(({ inputs, outputs }) => ({
        weights: tf.zeros([inputs, outputs]),
        bias: tf.zeros([outputs]),
      })),
      z,
      a: z.slice(0, -1).map((rows) => mapChunks(rows, (chunk) => tf.relu(rows[chunk]))),
      multiplier: mapChunks(y, (chunk) => tf.fill(y[chunk].shape, config.initialMultiplier)),
      first: mapChunks(x, (chunk) => tf.zeros([x[chunk].shape[0], units[0]])),
    };
  },

  async step(context, { set: { x, y }, equations }, state) {
    const { config } = context;
    const scores = await trainingScores(context, state.current, state.first, y);
    // Its blocks are replaced one after the other.
    const next = {
      ...state,
      iteration: state.iteration + 1,
      current: [...state.current],
      z: [...state.z],
      a: [...state.a],
    };
    const last = next.current.length - 1;
    const residuals: number[] = [];
    for (let l = 0; l <= last; l++) {
      const { layer, residual } = await fitLayer(
        l === 0 ? x : next.a[l - 1],
        next.z[l],
        ridgeOptions(config),
        l === 0 ? equations : undefined,
      );
      next.current[l] = layer;
      residuals.push(residual);
      if (l === 0) next.first = affineRows(x, layer);
      if (l < last) await updateHidden(config, next, l);
      else next.multiplier = updateOutput(config, next, y);
    }
    const metrics = {
      ...scores,
      objective: await objective(config, next, y),
      residual: lastResidual(residuals),
    };
    const measure = async () => ({
      layers: await measureLayers(context.network, {
        x,
        before: { activations: [...state.a, state.z[last]], parameters: state.current },
        after: { activations: [...next.a, next.z[last]], parameters: next.current },
        residuals: residuals.map((residual) => [residual]),
      }),
    });
    return { state: next, metrics, measure };
  },

  parameters: ({ current }) => current,
};

type State = {
  readonly iteration: number;
  readonly current: LayerParameters[];
  /** Z_l of every layer, and A_l of the hidden ones. */
  readonly z: tf.Tensor2D[][];
  readonly a: tf.Tensor2D[][];
  readonly multiplier: tf.Tensor2D[];
  /** X_0 W_1 with the current weights, the most expensive product of a forward pass. */
  readonly first: tf.Tensor2D[];
};

/** A_l, with the old W_{l+1}, then Z_l. */
async function updateHidden(
  { beta, gamma, branchWeight }: TaylorConfig,
  state: State,
  l: number,
): Promise<void> {
  const { current, z, a } = state;
  const [old, above] = [z[l], z[l + 1]];
  const solve = await quadraticActivations(current[l + 1], beta / gamma);
  a[l] = mapChunks(old, (chunk) => solve(above[chunk], tf.relu(old[chunk])));
  const selection = branchWeight === 'gamma2' ? gamma : 1;
  z[l] = mapChunks(old, (chunk) =>
    reluProx(a[l][chunk], predicted(state, l, chunk), beta / gamma, selection),
  );
}

/** Z_L; returns the next multiplier. */
function updateOutput(
  { beta, dual, dualWarmup }: TaylorConfig,
  state: State,
  y: Rows,
): tf.Tensor2D[] {
  const { z, multiplier, iteration } = state;
  const l = z.length - 1;
  const m = mapChunks(y, (chunk) => predicted(state, l, chunk));
  z[l] = mapChunks(y, (chunk) => {
    const shifted = tf.sub(y[chunk], multiplier[chunk]) as tf.Tensor2D;
    return weightedMean([1, shifted], [beta, m[chunk]]);
  });
  if (iteration <= dualWarmup) return multiplier;
  return mapChunks(y, (chunk) => {
    const gap = tf.mul(tf.sub(z[l][chunk], m[chunk]), beta);
    return (dual === 'replace' ? gap : tf.add(multiplier[chunk], gap)) as tf.Tensor2D;
  });
}

/** A_{l-1} W_l */
function predicted({ current, a, first }: State, l: number, chunk: number): tf.Tensor2D {
  return l === 0 ? first[chunk] : affine(a[l - 1][chunk], current[l]);
}

async function objective({ beta, gamma }: TaylorConfig, state: State, y: Rows): Promise<number> {
  const [fit, dual, layers, hidden] = await sumScalars(y, (chunk) => {
    const z = state.z.map((rows) => rows[chunk]);
    const output = z[z.length - 1];
    return [
      squaredDistance(output, y[chunk]),
      tf.sum(tf.mul(state.multiplier[chunk], output)),
      tf.addN(z.map((rows, l) => squaredDistance(rows, predicted(state, l, chunk)))),
      tf.addN(state.a.map((rows, l) => squaredDistance(rows[chunk], tf.relu(z[l])))),
    ];
  });
  return fit / 2 + dual + (beta * layers + gamma * hidden) / 2;
}

function ridgeOptions({ ridge, biases }: TaylorConfig) {
  return { biases, ridge: { weights: ridge, bias: ridge } };
}

/** Entries uniform in [0, 1): `units` columns for every row. */
function uniformRows(rows: Rows, units: number, random: Random): tf.Tensor2D[] {
  return mapChunks(rows, (chunk) => {
    const count = rows[chunk].shape[0];
    const values = Float32Array.from({ length: count * units }, () => random.uniform());
    return tf.tensor2d(values, [count, units]);
  });
}
