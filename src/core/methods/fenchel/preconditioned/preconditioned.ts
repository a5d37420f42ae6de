import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../../compile.js';
import { initializeParameters } from '../../../network/initialize.js';
import { accuracyValue, losses, lossValue, smoothLabels } from '../../../network/loss.js';
import { forwardLayers } from '../../../network/network.js';
import type { LayerParameters, Parameters } from '../../../network/parameters.js';
import { splitBias } from '../../../network/stacked.js';
import { blend } from '../../../solvers/blend.js';
import { measureLayers } from '../../layer-metrics.js';
import type { Method, MethodContext, StepMeasurements } from '../../method.js';
import { scalars } from '../../scalars.js';
import { scheduleFactor } from '../../schedule.js';
import { averageWeights, noAverage, type WeightAverage } from '../../weight-average.js';
import type { FenchelPreconditionedConfig } from './config.js';
import {
  curvatureOf,
  firstLayerPreconditioner,
  initialCovariance,
  type LowRankInverse,
  type Preconditioner,
  precondition,
  type RunningCovariance,
  updateCovariances,
} from './preconditioner.js';

/**
 * Fast Fenchel training: Algorithm 2 with every block replaced by one step, the W-blocks' preconditioned
 * by the covariance of the layer's inputs, and of a normalised length.
 *
 * Rows are data points, F_0 the batch, U_l = A_l(F_l; W_l) + b_l, F_{l+1} = phi(U_l). Per batch:
 *
 *     X-step, top down:   g_L = loss gradient at U_L,
 *                         V_l = phi(U_{l-1} - c_l A_l^T(g_l; W_l)),   g_{l-1} = F_l - V_l
 *     W-step, all layers: D = (H_l + delta I)^-1 G_l,                 G_l = [P(F_l), 1]^T g_l / m
 *                         v <- 0.99 v + 0.01 tr(D^T H_l D) / (h_l outputs)
 *                         M <- momentum M + (1 - momentum) D          (both corrected for their start at 0)
 *                         [W_l; b_l] -= rate rmsChange (M / sqrt(v) + weightDecay [W_l; 0])
 *
 * with c_L = `targetStep` and c_l = 1 below: g_{l-1} is dB/du at the new activations V_l, so that D is
 * a preconditioned gradient of the penalty B(V_l, U_{l-1}) (eq. 17). v estimates the mean square change of a
 * pre-activation by D: layers whose weights are shared by many positions have covariances of very different
 * sizes, and each layer's step is scaled to change its pre-activations by `rmsChange`, whatever the units.
 * preconditioner.ts has H_l, and whose idea it is.
 */
export const fenchelPreconditioned: Method<FenchelPreconditionedConfig, Constants, State> = {
  async prepare(context) {
    const isConvolution = context.network.maps[0].positions > 1;
    return { first: isConvolution ? undefined : await firstLayerPreconditioner(context) };
  },

  init({ network, config, random }, { first }) {
    const covered = first ? network.maps.slice(1) : network.maps;
    return {
      t: 0,
      parameters: initializeParameters(network, config, random),
      averages: network.maps.map(({ weightShape: [patch, channels] }) => ({
        change: tf.scalar(0),
        direction: tf.zeros<tf.Rank.R2>([patch + 1, channels]),
      })),
      covariances: covered.map(initialCovariance),
      weightAverage: noAverage,
    };
  },

  async step(context, { first }, { t, ...state }, { x, y }) {
    const { parameters, averages } = state;
    const { hidden, preActivations, scores } = forward(context, { parameters, x, y });
    const inputs = first ? hidden : [x, ...hidden];
    const covariances = await updateCovariances(context, t, state.covariances, inputs);
    const preconditioners = covariances.map(({ inverse }) => inverse as Preconditioner);
    const next = update(context, {
      parameters,
      averages,
      x,
      y,
      hidden,
      preActivations,
      preconditioners: first ? [first, ...preconditioners] : preconditioners,
      coefficients: coefficients(context, t),
    });
    const weightAverage = averageWeights(context, state.weightAverage, next.parameters);
    const [loss, accuracy] = await scores.data();
    return {
      state: { t: t + 1, ...next, covariances, weightAverage },
      metrics: { loss, accuracy },
      measure: () =>
        measure(context, { x, y, hidden, preActivations, parameters }, next.parameters),
    };
  },

  parameters: ({ parameters, weightAverage }) => weightAverage.average ?? parameters,
};

type Context = MethodContext<FenchelPreconditionedConfig>;

type Constants = {
  /** Of a fully connected first layer, whose inputs never change. */
  readonly first: LowRankInverse | undefined;
};

type State = {
  /** Steps done. */
  readonly t: number;
  readonly parameters: Parameters;
  /** Of each layer: v and M before their correction. */
  readonly averages: readonly Averages[];
  /** Of each layer, but a first one with constants of its own. */
  readonly covariances: readonly RunningCovariance[];
  readonly weightAverage: WeightAverage;
};

type Averages = { readonly change: tf.Scalar; readonly direction: tf.Tensor2D };

type Rows = { readonly x: tf.Tensor2D; readonly y: tf.Tensor2D };

/** F_l above the first layer, U_l, and loss and accuracy [2]. */
const forward = compiled(
  ({ network, loss }: Context, { parameters, x, y }: Rows & { parameters: Parameters }) => {
    const { inputs, preActivations } = forwardLayers(network, parameters, x);
    const output = preActivations[preActivations.length - 1];
    const scores = tf.stack([lossValue(loss, y, output), accuracyValue(y, output)]);
    return { hidden: inputs.slice(1), preActivations, scores };
  },
);

type Update = Rows &
  Pick<State, 'parameters' | 'averages'> & {
    readonly hidden: readonly tf.Tensor2D[];
    readonly preActivations: readonly tf.Tensor2D[];
    readonly preconditioners: readonly Preconditioner[];
    readonly coefficients: readonly tf.Scalar[];
  };

/** X-step and W-step of every layer, top down. */
const update = compiled((context: Context, input: Update) => {
  const { config, network } = context;
  const inputs = [input.x, ...input.hidden];
  const { gradients } = activationStep(context, input);
  const parameters = [...input.parameters];
  const averages = [...input.averages];
  for (let l = network.activations.length; l >= 0; l--) {
    const map = network.maps[l];
    const sum = map.gradient(inputs[l], gradients[l]);
    const gradient = tf.div(sum, input.x.shape[0]) as tf.Tensor2D;
    const step = weightStep(config, gradient, {
      preconditioner: input.preconditioners[l],
      averages: input.averages[l],
      coefficients: input.coefficients,
      units: curvatureOf(context, l) * map.outputs,
    });
    parameters[l] = stepped(input.parameters[l], step.change, input.coefficients);
    averages[l] = step.averages;
  }
  return { parameters, averages };
});

type Forward = Rows & Pick<Update, 'parameters' | 'hidden' | 'preActivations'>;

/** g_l of every layer, and V_l of every hidden one, [m, units]. */
function activationStep(
  context: Context,
  { y, parameters, hidden, preActivations }: Forward,
): { readonly gradients: tf.Tensor2D[]; readonly activations: tf.Tensor2D[] } {
  const { config, network } = context;
  const head = network.activations.length;
  let g = lossGradient(context, y, preActivations[head]);
  const gradients = [g];
  const activations: tf.Tensor2D[] = [];
  for (let l = head; l > 0; l--) {
    const back = network.maps[l].adjoint(g, parameters[l].weights);
    const move = l === head ? tf.mul(back, config.targetStep) : back;
    const moved = network.activations[l - 1].phi(tf.sub(preActivations[l - 1], move));
    g = tf.sub(hidden[l - 1], moved);
    gradients.unshift(g);
    activations.unshift(moved);
  }
  return { gradients, activations };
}

/**
 * The layers after the step, and the lifted objective that its X-steps decrease,
 *
 *     G = loss(smoothed Y, U_L) / m + lambda sum_l B(X_l, U_l) / m,   lambda = 1 / (targetStep s),
 *
 * at X_l = V_l and the new weights, where s is the scale of the loss in {@link lossGradient}. V is computed once
 * more: a compiled step that returned it would cost more.
 */
async function measure(
  context: Context,
  forward: Forward,
  parameters: Parameters,
): Promise<StepMeasurements> {
  const { config, network, loss } = context;
  const { x, y, hidden } = forward;
  const activations = tf.tidy(() => activationStep(context, forward).activations);
  const layers = await measureLayers(network, {
    x: [x],
    before: { activations: hidden.map((rows) => [rows]), parameters: forward.parameters },
    after: { activations: activations.map((rows) => [rows]), parameters },
  });
  const head = network.activations.length;
  const fit = tf.tidy(() => {
    const output = network.maps[head].apply(activations[head - 1] ?? x, parameters[head]);
    return lossValue(loss, smoothLabels(y, config.labelSmoothing), output);
  });
  const lambda = (2 * losses[loss].curvature) / config.targetStep;
  const penalties = layers.reduce((sum, { penalty = 0 }) => sum + penalty, 0);
  return { layers, objective: (await fit.data())[0] + lambda * penalties };
}

/** Loss gradient [m, classes], scaled so that every loss has the cross-entropy's curvature bound of 1/2. */
function lossGradient({ config, loss }: Context, y: tf.Tensor2D, output: tf.Tensor2D): tf.Tensor2D {
  const { gradient, curvature } = losses[loss];
  const value = gradient(smoothLabels(y, config.labelSmoothing), output);
  return curvature === 0.5 ? value : tf.mul(value, 0.5 / curvature);
}

/** Factor of the average of squared changes, per batch. */
const changeDecay = 0.99;

/** Of step t from 0: rate rmsChange over M's correction, v's correction, and what is left of the weights. */
function coefficients({ config, totalBatches }: Context, t: number): tf.Scalar[] {
  const { schedule, warmup, momentum, rmsChange, weightDecay } = config;
  const change = scheduleFactor(schedule, t, totalBatches, warmup) * rmsChange;
  return scalars([
    change / (1 - momentum ** (t + 1)),
    1 - changeDecay ** (t + 1),
    1 - change * weightDecay,
  ]);
}

/** The change of [W; b] before decay, and the next averages. */
function weightStep(
  { momentum }: FenchelPreconditionedConfig,
  gradient: tf.Tensor2D,
  layer: {
    readonly preconditioner: Preconditioner;
    readonly averages: Averages;
    readonly coefficients: readonly tf.Scalar[];
    readonly units: number;
  },
): { readonly change: tf.Tensor2D; readonly averages: Averages } {
  const [length, correction] = layer.coefficients;
  const direction = precondition(layer.preconditioner, gradient);
  // tr(D^T H D) = <G, D> - delta ||D||^2
  const energy = tf.sub(
    tf.sum(tf.mul(gradient, direction)),
    tf.mul(tf.sum(tf.square(direction)), layer.preconditioner.delta),
  );
  const squared = tf.relu(tf.div(energy, layer.units)) as tf.Scalar;
  const averages = {
    change: blend(layer.averages.change, squared, [changeDecay, 1 - changeDecay]),
    direction: blend(layer.averages.direction, direction, [momentum, 1 - momentum]),
  };
  const size = tf.sqrt(tf.div(averages.change, correction));
  return { change: tf.mul(averages.direction, tf.div(length, tf.add(size, 1e-12))), averages };
}

function stepped(
  { weights, bias }: LayerParameters,
  change: tf.Tensor2D,
  [, , kept]: readonly tf.Scalar[],
): LayerParameters {
  const step = splitBias(change);
  return { weights: tf.sub(tf.mul(weights, kept), step.weights), bias: tf.sub(bias, step.bias) };
}
