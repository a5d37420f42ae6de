import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../compile.js';
import { initializeParameters } from '../../network/initialize.js';
import { accuracyValue, losses, lossValue, smoothLabels } from '../../network/loss.js';
import type { LinearMap } from '../../network/maps/linear-map.js';
import { forwardLayers, type Layers, smoothedNetwork } from '../../network/network.js';
import type { LayerParameters, Parameters } from '../../network/parameters.js';
import { blend } from '../../solvers/blend.js';
import { leavesOf, type Tree, withLeaves, zipTrees } from '../../tree.js';
import {
  type Draws,
  drawNoise,
  type Hardware,
  type HardwareConfig,
  hardwareOf,
  type NoiseTape,
  noiseTape,
  readInputs,
} from '../hardware.js';
import type { Method, MethodContext, Step } from '../method.js';
import { scalars } from '../scalars.js';
import { scheduleFactor, smoothingAt } from '../schedule.js';
import { gradientOf, learningSignals, type SignalRule, type Signals } from '../signals.js';
import {
  type Averaging,
  averaged,
  averagingOf,
  nextAverage,
  noAverage,
  type WeightAverage,
} from '../weight-average.js';
import type { PreconditionedConfig } from './config.js';
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
 * Training whose steps are preconditioned by the covariance of each layer's inputs, and of a normalised length, from
 * the learning signals g_l of a rule (../signals.ts). Rows are data points, F_0 the batch,
 * U_l = A_l(F_l; W_l) + b_l, F_{l+1} = phi(U_l). Per batch:
 *
 *     signals:            g_L = loss gradient at U_L, g_{l-1} from A_l^T(g_l; W_l)
 *     W-step, all layers: D = (H_l + delta I)^-1 G_l,                 G_l = [P(F_l), 1]^T g_l / m
 *                         v <- 0.99 v + 0.01 tr(D^T H_l D) / (h_l outputs)
 *                         M <- momentum M + (1 - momentum) D          (both corrected for their start at 0)
 *                         [W_l; b_l] -= rate rmsChange (M / sqrt(v) + weightDecay [W_l; 0])
 *
 * M / sqrt(v) does not depend on the scale of G_l or D, so that the code leaves out 1 / m and a constant delta, and
 * 1 - momentum is part of the rate: each would be a pass over the weights.
 *
 * v estimates the mean square change of a pre-activation by D: layers whose weights are shared by many positions have
 * covariances of very different sizes, and each layer's step is scaled to change its pre-activations by `rmsChange`,
 * whatever the units. preconditioner.ts has H_l, and whose idea it is. `noise` and `quantize` (../hardware.ts) change
 * the forward pass, the signals, and what is read of F_l: once a step, for G_l and H_l.
 *
 * @param signalOf rule of the learning signals
 * @param measure of {@link Step}, given the forward pass of the step, the parameters after it, and the hardware of its
 *   signals
 */
export function preconditioned<Config extends PreconditionedConfig>(
  signalOf: (config: Config) => SignalRule,
  measure?: (
    context: MethodContext<Config>,
    before: ForwardPass,
    next: Parameters,
    hardware: Hardware,
  ) => ReturnType<NonNullable<Step<State>['measure']>>,
): Method<Config, Constants, State> {
  /** Signals and W-step of every layer, top down. */
  const update = compiled((context: MethodContext<Config>, input: Update) => {
    const { config } = context;
    const network = smoothedNetwork(context.network, input.epsilon);
    const outputGradient = lossGradient(context, input);
    const { parameters: old, inputs } = input;
    const rule = signalOf(config);
    const hardware = hardwareOf(config, input.draws);
    const m = inputs[0].shape[0];
    // Without 1 / m, but for the last batch of an epoch, which may be shorter.
    const factor = m === context.batchSize ? undefined : context.batchSize / m;
    const signals = scaledSignals(
      learningSignals(network, old, input, outputGradient, rule, hardware),
      factor,
    );
    const parameters = [...old];
    const averages = [...input.averages];
    for (let l = network.activations.length; l >= 0; l--) {
      const map = network.maps[l];
      const gradient = gradientOf(network, signals, inputs, l);
      const step = normalisedStep(config, precondition(input.preconditioners[l], gradient), {
        averages: input.averages[l],
        coefficients: input.coefficients,
        units: curvatureOf(context, l) * map.outputs,
      });
      const next = stepped(old[l], step.change, input.coefficients[2]);
      const { isFrozen } = network.stages[l];
      parameters[l] = isFrozen ? { ...next, weights: tf.add(old[l].weights, 0) } : next;
      averages[l] = step.averages;
    }
    return { parameters, averages, average: averaged(input.averaging, parameters) };
  });

  return {
    async prepare(context) {
      const isConvolution = context.network.maps[0].positions > 1;
      const first = isConvolution ? undefined : await firstLayerPreconditioner(context);
      return { first, tape: noiseTape(context) };
    },

    init({ network, config, random }, { first }) {
      const covered = first ? network.maps.slice(1) : network.maps;
      return {
        t: 0,
        parameters: initializeParameters(network, config, random),
        averages: network.maps.map(initialAverages),
        covariances: covered.map(initialCovariance),
        weightAverage: noAverage,
      };
    },

    async step(context, { first, tape }, { t, ...state }, { x, y }) {
      const { parameters, averages } = state;
      const epsilon = scalars(smoothingAt(context.config.smoothing, t, context.totalBatches));
      const draws = drawNoise(context, tape, `forward/${t}`);
      const rows = { parameters, x, y, draws };
      const { hidden, read, preActivations, between, scores } = forward(context, rows);
      const seen = read ?? hidden;
      const covered = first ? seen : [x, ...seen];
      const covariances = await updateCovariances(context, t, state.covariances, covered);
      const preconditioners = covariances.map(({ inverse }) => inverse as Preconditioner);
      const before = { y, inputs: [x, ...hidden], preActivations, between, parameters, epsilon };
      const sending = drawNoise(context, tape, `backward/${t}`);
      const { average, ...next } = update(context, {
        ...before,
        inputs: [x, ...seen],
        averaging: averagingOf(context, state.weightAverage, parameters),
        draws: sending,
        averages,
        preconditioners: first ? [first, ...preconditioners] : preconditioners,
        coefficients: normalisedCoefficients(context, t),
      });
      const weightAverage = nextAverage(context, state.weightAverage, average);
      const [loss, accuracy] = await scores.data();
      return {
        state: { t: t + 1, ...next, covariances, weightAverage },
        metrics: { loss, accuracy },
        measure:
          measure &&
          (() => measure(context, before, next.parameters, hardwareOf(context.config, sending))),
      };
    },

    parameters: ({ parameters, weightAverage }) => weightAverage.average ?? parameters,
  };
}

type Context = MethodContext<PreconditionedConfig>;

export type Constants = {
  /** Of a fully connected first layer, whose inputs never change. */
  readonly first: LowRankInverse | undefined;
  readonly tape: NoiseTape;
};

export type State = {
  /** Steps done. */
  readonly t: number;
  readonly parameters: Parameters;
  /** Of each layer: v and M before their correction. */
  readonly averages: readonly Averages[];
  /** Of each layer, but a first one with constants of its own. */
  readonly covariances: readonly RunningCovariance[];
  readonly weightAverage: WeightAverage;
};

/** Of a layer, before their correction: v, and M / (1 - momentum). */
export type Averages<T extends Tree = LayerParameters> = {
  readonly change: tf.Scalar;
  readonly direction: T;
};

const initialAverages = ({ weightShape: [patch, channels] }: LinearMap): Averages => ({
  change: tf.scalar(0),
  direction: { weights: tf.zeros([patch, channels]), bias: tf.zeros([channels]) },
});

type Rows = { readonly x: tf.Tensor2D; readonly y: tf.Tensor2D; readonly draws: Draws };

/** Targets, F_l and U_l of a batch, the weights that they belong to, and the smoothing of the signals. */
export type ForwardPass = Layers & {
  readonly y: tf.Tensor2D;
  readonly parameters: Parameters;
  /** One number, or none. */
  readonly epsilon: readonly tf.Scalar[];
};

/** F_l above the first layer, what is read of them where they differ, U_l, and loss and accuracy [2]. */
export const forward = compiled(
  (
    {
      config,
      network,
      loss,
    }: Pick<Context, 'network' | 'loss'> & { readonly config: HardwareConfig },
    { parameters, x, y, draws }: Rows & { parameters: Parameters },
  ) => {
    const hardware = hardwareOf(config, draws);
    const layers = forwardLayers(network, parameters, x, hardware);
    const { inputs, preActivations, between } = layers;
    const [, ...read] = readInputs(hardware, inputs);
    const output = preActivations[preActivations.length - 1];
    const scores = tf.stack([lossValue(loss, y, output), accuracyValue(y, output)]);
    return {
      hidden: inputs.slice(1),
      ...(hardware.isIdeal ? {} : { read }),
      preActivations,
      between,
      scores,
    };
  },
);

type Update = ForwardPass & {
  readonly averages: readonly Averages[];
  readonly preconditioners: readonly Preconditioner[];
  readonly coefficients: readonly tf.Scalar[];
  readonly draws: Draws;
  readonly averaging: Averaging;
};

/** Loss gradient [m, classes], scaled so that every loss has the cross-entropy's curvature bound of 1/2. */
export function lossGradient(
  { config, loss }: Context,
  { y, preActivations }: Pick<ForwardPass, 'y' | 'preActivations'>,
): tf.Tensor2D {
  const { gradient, curvature } = losses[loss];
  const output = preActivations[preActivations.length - 1];
  const value = gradient(smoothLabels(y, config.labelSmoothing), output);
  return curvature === 0.5 ? value : tf.mul(value, 0.5 / curvature);
}

type Gradients = Pick<Signals, 'gradients' | 'mapGradients'>;

const scaledSignals = (signals: Gradients, factor: number | undefined): Gradients => {
  if (factor === undefined) return signals;
  const scaled = (g: tf.Tensor2D): tf.Tensor2D => tf.mul(g, factor);
  return {
    gradients: signals.gradients.map(scaled),
    mapGradients: signals.mapGradients.map(scaled),
  };
};

/** Factor of the average of squared changes, per batch. */
const changeDecay = 0.99;

type LengthConfig = Pick<
  PreconditionedConfig,
  'schedule' | 'warmup' | 'momentum' | 'rmsChange' | 'weightDecay'
>;

/** Of step t from 0: rate rmsChange over M's correction, v's correction, and what is left of the weights. */
export function normalisedCoefficients(
  { config, totalBatches }: Pick<MethodContext<LengthConfig>, 'config' | 'totalBatches'>,
  t: number,
): tf.Scalar[] {
  const { schedule, warmup, momentum, rmsChange, weightDecay } = config;
  const change = scheduleFactor(schedule, t, totalBatches, warmup) * rmsChange;
  return scalars([
    (change * (1 - momentum)) / (1 - momentum ** (t + 1)),
    1 - changeDecay ** (t + 1),
    1 - change * weightDecay,
  ]);
}

/**
 * The change of [W; b] by a direction D, before decay and of a normalised length, and the next averages.
 * @param energy tr(D^T H D)
 * @param units outputs of the layer, times what H is a multiple of
 */
export function normalisedStep<T extends Tree>(
  { momentum }: Pick<PreconditionedConfig, 'momentum'>,
  { direction, energy }: { readonly direction: T; readonly energy: tf.Scalar },
  layer: {
    readonly averages: Averages<T>;
    readonly coefficients: readonly tf.Scalar[];
    readonly units: number;
  },
): { readonly change: T; readonly averages: Averages<T> } {
  const [length, correction] = layer.coefficients;
  const squared: tf.Scalar = tf.relu(tf.div(energy, layer.units));
  const averages = {
    change: blend(layer.averages.change, squared, [changeDecay, 1 - changeDecay]),
    direction: zipTrees(layer.averages.direction, direction, (sum, d) =>
      tf.add(tf.mul(sum, momentum), d),
    ),
  };
  const size = tf.sqrt(tf.div(averages.change, correction));
  const scale = tf.div(length, tf.add(size, 1e-12));
  const scaled = leavesOf(averages.direction).map((sum) => tf.mul(sum, scale));
  return { change: withLeaves(averages.direction, scaled), averages };
}

/** @param kept what is left of the weights, 1 without weight decay */
export const stepped = (
  { weights, bias }: LayerParameters,
  change: LayerParameters,
  kept: tf.Scalar,
): LayerParameters => ({
  weights: tf.sub(tf.mul(weights, kept), change.weights),
  bias: tf.sub(bias, change.bias),
});
