import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../network/initialize.js';
import type { LayerParameters } from '../../network/parameters.js';
import { extrapolate } from '../../solvers/blend.js';
import type { NormalEquations } from '../../solvers/damped-inverse.js';
import { relativeLength } from '../../solvers/solver.js';
import { squaredNormBound } from '../../solvers/spectral-norm.js';
import {
  type FullBatchConstants,
  fitLayer,
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
  squaredNorm,
  sumScalars,
  weightedMean,
} from '../full-batch/rows.js';
import { measureLayers } from '../layer-metrics.js';
import type { Method } from '../method.js';
import { layerValue } from '../per-layer.js';
import type { LpomConfig } from './config.js';

/**
 * Lifted proximal operator machines of Li, Fang and Lin (2019), for ReLUs and a linear output:
 *
 *     ||Y - X_L||^2 + sum_{l<L} mu_l B(X_l, U_l) + mu_L/2 ||X_L - U_L||^2 + sum_l rho_l ||W_l||^2,   U_l = X_{l-1} W_l + b_l
 *
 * LPOM's penalty for the ReLU is the Fenchel penalty B, and for the linear output half a square. An
 * iteration updates the activations from the output down,
 *
 *     X_L = (2 Y + mu_L U_L) / (2 + mu_L)
 *     X_l <- relu(U_l - mu_{l+1}/mu_l (phi(U_{l+1}) - X_{l+1}) W_{l+1}^T),   `activationSteps` times,
 *
 * the fixed-point iteration of the paper, which contracts where kappa = mu_{l+1}/mu_l ||W_{l+1}||^2 is
 * below 1, and of which elsewhere only the fraction 1/kappa is taken; then the weights (`fitHidden`; the
 * output's by ridge regression). The objective never increases.
 *
 * The paper updates the activations from the input up, in mini-batches; docs/lifted-baselines.md has this
 * and the other departures.
 */
export const lpom: Method<LpomConfig, FullBatchConstants, State> = {
  columns: () => [positiveShare, 'x_residual', 'step_change'],

  prepare: (context) => prepareTraining(context, hiddenRidge(context.config, 0)),

  init({ network, config, random }, { set }) {
    const current = [...initializeParameters(network, config, random)];
    const state: State = { current, x: [], first: affineRows(set.x, current[0]) };
    for (const l of current.keys()) {
      state.x.push(mapChunks(set.x, (chunk) => phi(state, l, predicted(state, l, chunk))));
    }
    return state;
  },

  async step(context, { set, equations }, state) {
    const { config } = context;
    const { y } = set;
    const scores = await trainingScores(context, state.current, state.first, y);
    // Its blocks are replaced one after the other.
    const next = { ...state, current: [...state.current], x: [...state.x] };
    const { current, x } = next;
    const last = current.length - 1;
    const mu = layerValue(config.mu, last);
    x[last] = mapChunks(y, (chunk) =>
      weightedMean([2, y[chunk]], [mu, predicted(next, last, chunk)]),
    );
    let xResidual = 0;
    for (let l = last - 1; l >= 0; l--) {
      const updated = await updateActivations(config, next, l);
      x[l] = updated.x;
      xResidual = Math.max(xResidual, updated.residual);
    }
    const ridge = { weights: (2 * config.headRho) / mu, bias: 0 };
    const head = await fitLayer(x[last - 1], x[last], { biases: true, ridge });
    current[last] = head.layer;
    let change = 0;
    for (let l = last - 1; l >= 0; l--) {
      const inputs = l === 0 ? set.x : x[l - 1];
      const options = hiddenRidge(config, l);
      const start = {
        layer: current[l],
        u: l === 0 ? next.first : affineRows(inputs, current[l]),
      };
      const fitted = await fitHidden(
        {
          inputs,
          activations: x[l],
          options,
          equations: l === 0 ? equations : await layerEquations(inputs, options),
          steps: config.weightSteps,
        },
        start,
      );
      current[l] = fitted.layer;
      if (l === 0) next.first = fitted.u;
      else tf.dispose([start.u, fitted.u]);
      change = Math.max(change, fitted.change);
    }
    return {
      state: next,
      metrics: {
        ...scores,
        objective: await objective(config, next, y),
        residual: head.residual,
        extra: { ...scores.extra, x_residual: xResidual, step_change: change },
      },
      measure: async () => ({
        layers: await measureLayers(context.network, {
          x: set.x,
          before: { activations: state.x, parameters: state.current },
          after: { activations: x, parameters: current },
          residuals: current.map((_, l) => (l === last ? [head.residual] : [])),
        }),
      }),
    };
  },

  parameters: ({ current }) => current,
};

type State = {
  readonly current: LayerParameters[];
  /** X_l above each layer: from a forward pass at first. */
  readonly x: tf.Tensor2D[][];
  /** U_1 with the current weights, the most expensive product of a forward pass. */
  readonly first: tf.Tensor2D[];
};

/** The activations above hidden layer l, and the relative length of the last fixed-point step. */
async function updateActivations(
  { mu, activationSteps }: LpomConfig,
  state: State,
  l: number,
): Promise<{ x: tf.Tensor2D[]; residual: number }> {
  const layer = state.current[l + 1];
  const ratio = layerValue(mu, l + 1) / layerValue(mu, l);
  const share = Math.min(1, 1 / (ratio * (await squaredNormBound(layer.weights))));
  const above = state.x[l + 1];
  const updated = mapChunks(above, (chunk) => {
    const u = predicted(state, l, chunk);
    let x = state.x[l][chunk];
    let norms: tf.Scalar[] = [];
    for (let k = 0; k < activationSteps; k++) {
      const gap = tf.sub(phi(state, l + 1, affine(x, layer)), above[chunk]) as tf.Tensor2D;
      const pull = tf.matMul(gap, layer.weights, false, true);
      const move = tf.sub(tf.relu(tf.sub(u, tf.mul(pull, ratio))), x);
      norms = k + 1 < activationSteps ? [] : [tf.sum(tf.square(move)), tf.sum(tf.square(x))];
      x = tf.add(x, tf.mul(move, share));
    }
    return { x, norms };
  });
  const [distance, size] = await sumScalars(updated, (chunk) => updated[chunk].norms);
  return { x: updated.map(({ x }) => x), residual: relativeLength(distance, size) };
}

/**
 * W-update of a ReLU layer,
 *
 *     min_{W, b}  sum relu(U)^2/2 - U V + ridge/2 ||W||^2,   U = A W + b,
 *
 * by steps that minimise a quadratic bound: relu is 1-Lipschitz, so that the least-squares fit of the
 * targets U - (relu(U) - V) never increases the objective. Nesterov momentum over the steps; a step that
 * increases the objective is not taken, and the momentum restarts.
 */
interface HiddenWeightProblem {
  /** A [n, p] */
  readonly inputs: Rows;
  /** V [n, q], non-negative */
  readonly activations: Rows;
  readonly options: RidgeOptions;
  /** Of the inputs, with the ridge. */
  readonly equations: NormalEquations;
  readonly steps: number;
}

/** A layer and its pre-activations, U = A W + b. */
type FittedLayer = { readonly layer: LayerParameters; readonly u: tf.Tensor2D[] };

/** @returns also the relative length of the last step, ||U_next - U|| / ||U|| */
async function fitHidden(
  problem: HiddenWeightProblem,
  start: FittedLayer,
): Promise<FittedLayer & { change: number }> {
  const { inputs, activations, options, equations, steps } = problem;
  let best = start;
  let bestValue = await valueAt(problem, best);
  /** Where the next step starts: `best`, or the extrapolation from it. */
  let point = best;
  let age = 0;
  let change = 0;
  const free = (fitted: FittedLayer) => {
    if (fitted !== start) tf.dispose(fitted.u);
  };
  for (let k = 0; k < steps; k++) {
    const { u } = point;
    const targets = mapChunks(u, (chunk) =>
      tf.sub(u[chunk], tf.sub(tf.relu(u[chunk]), activations[chunk])),
    ) as tf.Tensor2D[];
    const { layer } = await fitLayer(inputs, targets, options, equations);
    tf.dispose(targets);
    const next = { layer, u: affineRows(inputs, layer) };
    change = await relativeDistance(next.u, u);
    const value = await valueAt(problem, next);
    // After a step from `best` itself the objective can only rise by rounding errors.
    const rises = point !== best && !(value <= bestValue);
    if (point !== best) free(point);
    age = rises ? 0 : age + 1;
    if (rises) {
      free(next);
      point = best;
      continue;
    }
    const momentum = (age - 1) / (age + 2);
    point = k + 1 < steps && momentum > 0 ? extrapolate(next, best, momentum) : next;
    free(best);
    [best, bestValue] = [next, value];
  }
  return { ...best, change };
}

async function valueAt(
  { activations, options }: HiddenWeightProblem,
  { layer, u }: FittedLayer,
): Promise<number> {
  const [fit] = await sumScalars(u, (chunk) => [reluPart(activations[chunk], u[chunk])]);
  return fit + (options.ridge.weights / 2) * (await squaredNorm(layer.weights));
}

async function relativeDistance(a: Rows, b: Rows): Promise<number> {
  const [distance, size] = await sumScalars(a, (chunk) => [
    squaredDistance(a[chunk], b[chunk]),
    tf.sum(tf.square(b[chunk])),
  ]);
  return relativeLength(distance, size);
}

/** U_l */
function predicted({ current, x, first }: State, l: number, chunk: number): tf.Tensor2D {
  return l === 0 ? first[chunk] : affine(x[l - 1][chunk], current[l]);
}

/** The ReLU; the identity at the output. */
function phi({ current }: State, l: number, u: tf.Tensor2D): tf.Tensor2D {
  return l < current.length - 1 ? tf.relu(u) : u.clone();
}

async function objective({ mu, rho, headRho }: LpomConfig, state: State, y: Rows): Promise<number> {
  const { current, x } = state;
  const last = current.length - 1;
  const [value] = await sumScalars(y, (chunk) => {
    const terms = x.map((rows, l) => {
      const u = predicted(state, l, chunk);
      const penalty =
        l < last ? reluPenalty(rows[chunk], u) : tf.mul(squaredDistance(rows[chunk], u), 0.5);
      return tf.mul(penalty, layerValue(mu, l)) as tf.Scalar;
    });
    return [tf.addN([squaredDistance(x[last][chunk], y[chunk]), ...terms])];
  });
  const [norms] = await sumScalars(current, (l) => [
    tf.mul(tf.sum(tf.square(current[l].weights)), l < last ? rho : headRho),
  ]);
  return value + norms;
}

/**
 * The proximal penalty of one ReLU layer, entry by entry, for v >= 0:
 *
 *     v^2/2 + relu(u)^2/2 - u v  =  B(v, u),
 *
 * LPOM's penalty, which is the Fenchel penalty of the ReLU: zero iff v = relu(u).
 */
function reluPenalty(v: tf.Tensor2D, u: tf.Tensor2D): tf.Scalar {
  return tf.add(tf.mul(tf.sum(tf.square(v)), 0.5), reluPart(v, u));
}

/** The terms that depend on u. */
function reluPart(v: tf.Tensor2D, u: tf.Tensor2D): tf.Scalar {
  return tf.sum(tf.sub(tf.mul(tf.square(tf.relu(u)), 0.5), tf.mul(u, v)));
}

/** rho ||W||^2 beside mu B, as a ridge of the least-squares steps on B. */
function hiddenRidge({ mu, rho }: LpomConfig, l: number): RidgeOptions {
  return { biases: true, ridge: { weights: (2 * rho) / layerValue(mu, l), bias: 0 } };
}
