import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../../network/initialize.js';
import type { LayerParameters } from '../../../network/parameters.js';
import { extrapolate } from '../../../solvers/blend.js';
import { lastResidual, relativeTo } from '../../../solvers/solver.js';
import { squaredNormBound } from '../../../solvers/spectral-norm.js';
import {
  fitLayer,
  fitNonNegative,
  positiveShare,
  trainingScores,
} from '../../full-batch/layers.js';
import { affine, affineRows, mapChunks, type Rows } from '../../full-batch/rows.js';
import { measureLayers } from '../../layer-metrics.js';
import type { Method } from '../../method.js';
import { layerValue } from '../../per-layer.js';
import type { FenchelFullBatchConfig } from './config.js';
import { solveHidden } from './conjugate-gradients.js';
import {
  type Constants,
  type Hidden,
  liftedObjective,
  majoriseHidden,
  prepare,
  ridges,
  stepHidden,
} from './hidden-layer.js';

/**
 * Fenchel training on all images at once (Algorithm 1), for one hidden layer of ReLUs and squared
 * error: `plain` with inexact W-updates, or `accelerated`.
 */
export const fenchelFullBatch: Variant<Network> = {
  columns: (config) => variant(config).columns(config),
  prepare,
  init: (context, constants) => variant(context.config).init(context, constants),
  step: (context, ...rest) => variant(context.config).step(context, ...rest),
  parameters: ({ current }) => current,
};

type Variant<S extends Network> = Method<FenchelFullBatchConfig, Constants, S> & {
  columns(config: FenchelFullBatchConfig): readonly string[];
};

/** The part of the state that holds the network to test with. */
type Network = { readonly current: readonly [LayerParameters, LayerParameters] };

function variant(config: FenchelFullBatchConfig): Variant<Network> {
  return config.variant === 'plain' ? plain : accelerated;
}

/**
 * Algorithm 1. With P = [W_0; b_0], U = [X_0, 1] P and `weightUpdate: solve`, an iteration is
 *
 *     Z          <- argmin over Z >= 0 of ||Y - Z W_1 - b_1||^2 + lambda B(Z, U)      (eq. 15)
 *     (W_1, b_1) <- argmin of ||Y - Z W_1 - b_1||^2 / N + rho_1 ||W_1||^2             (eq. 18)
 *     P          <- argmin of lambda sum B(Z, U) / N + rho_0 ||W_0||^2                (eq. 17)
 *
 * in at most `weightSteps` steps. With `weightUpdate: majorised-steps` these are instead
 *
 *     P          <- P + (C + delta I)^-1 ([X_0, 1]^T (Z - relu(U)) / N - 2 rho_0 / lambda [W_0; 0])
 *
 * with the input covariance C, which minimises a quadratic bound of eq. 17. No line increases the lifted objective.
 */
const plain: Variant<PlainState> = {
  columns: ({ weightUpdate }) => [
    positiveShare,
    'z_residual',
    'z_iterations',
    'hidden_gradient',
    ...(weightUpdate === 'solve' ? ['w_iterations', 'w_residual'] : []),
  ],

  init({ network, config, random }, { set }) {
    const [layer, head] = initializeParameters(network, config, random);
    return { current: [layer, head], u: affineRows(set.x, layer), firstGradient: undefined };
  },

  async step(context, constants, { current, u, firstGradient }) {
    const { config } = context;
    const { y } = constants.set;
    const scores = await trainingScores(context, current, u, y);
    // B(Z, U) = ||Z - U||^2 / 2 + const for Z >= 0.
    const { z, ...solved } = await fitNonNegative(
      { layer: current[1], weight: 2 / config.lambda, target: y, predicted: u },
      config,
    );
    const head = await fitHead(config, constants, z);
    const isSolved = config.weightUpdate === 'solve';
    const update = isSolved ? solveHidden : majoriseHidden;
    const { hidden, norm, ...weights } = await update(
      config,
      constants,
      { layer: current[0], u },
      z,
    );
    firstGradient ??= norm;
    const next: PlainState = { current: [hidden.layer, head.layer], u: hidden.u, firstGradient };
    return {
      state: next,
      metrics: {
        ...scores,
        objective: await liftedObjective(config, next.current, { z, u: next.u, y }),
        // Majorised steps do not solve their W-update.
        residual: lastResidual([
          solved.residual,
          head.residual,
          ...(isSolved ? [weights.residual] : []),
        ]),
        extra: {
          ...scores.extra,
          z_residual: solved.residual,
          z_iterations: solved.iterations,
          hidden_gradient: relativeTo(norm, firstGradient),
          ...(isSolved && { w_iterations: weights.iterations, w_residual: weights.residual }),
        },
      },
      measure: async () => ({
        layers: await measureLayers(context.network, {
          x: constants.set.x,
          before: {
            activations: [mapChunks(u, (chunk) => tf.relu(u[chunk]))],
            parameters: current,
          },
          after: { activations: [z], parameters: next.current },
          residuals: [[solved.residual, ...(isSolved ? [weights.residual] : [])], [head.residual]],
        }),
      }),
    };
  },

  parameters: ({ current }) => current,
};

type PlainState = Network & {
  /** U with the current weights. */
  readonly u: tf.Tensor2D[];
  /** Norm of the run's first gradient in P. */
  readonly firstGradient: number | undefined;
};

/**
 * Algorithm 1 with momentum. With P = [W_0; b_0] and U = [X_0, 1] P, an iteration is
 *
 *     V, U_V     =  P + beta (P - P_old), U + beta (U - U_old),   beta = min(momentum, k / (k + 3))
 *     F          =  relu(U_V)
 *     (W_1, b_1) =  argmin of ||Y - F W_1 - b_1||^2 / N + rho_1 ||W_1||^2            (eq. 18)
 *     Z          <- F, then `activationSteps` accelerated proximal gradient steps on eq. 15
 *     P          <- V + eta (C + delta I)^-1 ([X_0, 1]^T (Z - F) / N - 2 rho_0 / lambda [W_0; 0])
 *
 * A forward pass in every iteration puts every penalty at zero, so that the head is fitted to the
 * network's own activations, and G at Z = F is the network's regularised loss; k is reset to 0 when
 * that rises. U is linear in P: extrapolating it costs no product, and an iteration has two large ones.
 * The network that is tested is (V, W_1): the head belongs to it.
 */
const accelerated: Variant<AcceleratedState> = {
  columns: () => [positiveShare, 'restarts', 'hidden_gradient'],

  async init(context, { set }) {
    const [layer, head] = initializeParameters(context.network, context.config, context.random);
    const hidden = { layer, u: affineRows(set.x, layer) };
    const current = [layer, head] as const;
    const { loss, accuracy } = await trainingScores(context, current, hidden.u, set.y);
    return {
      current,
      scores: { loss, accuracy },
      hidden,
      previous: hidden,
      age: 0,
      restarts: 0,
      regularised: Number.POSITIVE_INFINITY,
      firstGradient: undefined,
    };
  },

  async step(context, constants, state) {
    const { config } = context;
    const { y } = constants.set;
    const beta = Math.min(config.momentum, state.age / (state.age + 3));
    const point = extrapolate(state.hidden, state.previous, beta);
    const f = mapChunks(point.u, (chunk) => tf.relu(point.u[chunk]));
    const { layer: head, residual } = await fitHead(config, constants, f);
    const current = [point.layer, head] as const;
    const { loss, accuracy, extra } = await trainingScores(context, current, point.u, y);
    const regularised = loss + (await ridges(config, current));
    const rises = regularised > state.regularised;
    const z = await proximalSteps(config, head, { f, u: point.u, y });
    const objective = await liftedObjective(config, current, { z, u: point.u, y });
    const difference = mapChunks(z, (chunk) => tf.sub(z[chunk], f[chunk]) as tf.Tensor2D);
    tf.dispose([z, f]);
    const { hidden, norm } = await stepHidden(
      config,
      constants,
      point,
      difference,
      config.stepSize,
    );
    tf.dispose(difference);
    const next: AcceleratedState = {
      current,
      scores: { loss, accuracy },
      hidden,
      previous: state.hidden,
      age: rises ? 0 : state.age + 1,
      restarts: state.restarts + (rises ? 1 : 0),
      regularised,
      firstGradient: state.firstGradient ?? norm,
    };
    return {
      state: next,
      metrics: {
        ...state.scores,
        objective,
        residual: lastResidual([residual]),
        extra: {
          ...extra,
          restarts: next.restarts,
          hidden_gradient: relativeTo(norm, state.firstGradient ?? norm),
        },
      },
      async measure() {
        // Z once more, rather than keep it during the step.
        const forward = mapChunks(point.u, (chunk) => tf.relu(point.u[chunk]));
        const activations = await proximalSteps(config, head, { f: forward, u: point.u, y });
        return {
          layers: await measureLayers(context.network, {
            x: constants.set.x,
            before: { activations: [forward], parameters: state.current },
            after: { activations: [activations], parameters: current },
            residuals: [[], [residual]],
          }),
        };
      },
    };
  },

  parameters: ({ current }) => current,
};

type AcceleratedState = Network & {
  /** Of the current network, (V, W_1): what the next step reports. */
  readonly scores: { readonly loss: number; readonly accuracy: number };
  /** P and U of the last two iterations. */
  readonly hidden: Hidden;
  readonly previous: Hidden;
  /** k: iterations since the momentum was last reset. */
  readonly age: number;
  readonly restarts: number;
  /** Regularised loss of the current network; infinite before the first step. */
  readonly regularised: number;
  /** Norm of the run's first gradient in P. */
  readonly firstGradient: number | undefined;
};

/** FISTA on eq. 15 from Z = F: step 1/L with L = 2 ||W_1||^2, momentum for the lambda-strongly convex B. */
async function proximalSteps(
  { lambda, activationSteps }: FenchelFullBatchConfig,
  head: LayerParameters,
  { f, u, y }: { readonly f: Rows; readonly u: Rows; readonly y: Rows },
): Promise<tf.Tensor2D[]> {
  const smoothness = Math.max(2 * (await squaredNormBound(head.weights)), 1e-12);
  const q = Math.sqrt(lambda / (smoothness + lambda));
  const momentum = (1 - q) / (1 + q);
  return mapChunks(f, (chunk) => {
    let z: tf.Tensor2D = f[chunk];
    let at: tf.Tensor2D = z;
    for (let k = 0; k < activationSteps; k++) {
      const misfit = tf.sub(affine(at, head), y[chunk]);
      const gradient = tf.mul(tf.matMul(misfit, head.weights, false, true), 2);
      const moved = tf.add(tf.sub(tf.mul(at, smoothness), gradient), tf.mul(u[chunk], lambda));
      const next = tf.relu(tf.div(moved, smoothness + lambda)) as tf.Tensor2D;
      at = tf.add(next, tf.mul(tf.sub(next, z), momentum));
      z = next;
    }
    return z;
  });
}

/** (W_1, b_1) of eq. 18. */
function fitHead({ rho }: FenchelFullBatchConfig, { set }: Constants, activations: Rows) {
  const ridge = { weights: set.rows * layerValue(rho, 1), bias: 0 };
  return fitLayer(activations, set.y, { biases: true, ridge });
}
