import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../compile.js';
import { initializeParameters } from '../../network/initialize.js';
import { accuracyValue, losses, lossValue, smoothLabels } from '../../network/loss.js';
import { forwardLayers, type Layers, smoothedNetwork } from '../../network/network.js';
import type { Parameters } from '../../network/parameters.js';
import {
  type Draws,
  drawNoise,
  type HardwareConfig,
  hardwareOf,
  type NoiseTape,
  noiseTape,
  readInputs,
} from '../hardware.js';
import type { Method, MethodContext, Step } from '../method.js';
import { scalars } from '../scalars.js';
import { smoothingAt } from '../schedule.js';
import { gradientOf, learningSignals, type SignalRule, type Signals } from '../signals.js';
import {
  type Averaging,
  averaged,
  averagingOf,
  nextAverage,
  noAverage,
  type WeightAverage,
} from '../weight-average.js';
import { batchInverses, isThin, thinStep } from './batch-covariance.js';
import type { PreconditionedConfig } from './config.js';
import { checkFactors, type DenseInverse, movingShare } from './moments.js';
import {
  type Averages,
  initialAverages,
  limited,
  normalisedCoefficients,
  normalisedStep,
  stepped,
} from './normalised-step.js';
import {
  initialOperatorAverages,
  type OperatorAverages,
  operatorCoefficients,
  operatorStep,
} from './operator-step.js';
import {
  curvatureOf,
  firstLayerPreconditioner,
  initialCovariance,
  type LowRankInverse,
  type Preconditioner,
  precondition,
  type Renewal,
  type RunningCovariance,
  renewalOf,
  renewedCovariances,
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
 * the forward pass, the signals, and what is read of F_l: once a step, for G_l and H_l. With `stepNorm: operator` this is
 * the W-step of the output layer alone, with `outputChange` for `rmsChange`; operator-step.ts has that of hidden layers.
 *
 * @param signalOf rule of the learning signals
 * @param measure of {@link Step}, given the forward pass of the step, the parameters after it, and the noise of its
 *   signals
 */
export function preconditioned<Config extends PreconditionedConfig>(
  signalOf: (config: Config) => SignalRule,
  measure?: (
    context: MethodContext<Config>,
    before: ForwardPass,
    next: Parameters,
    draws: Draws,
  ) => ReturnType<NonNullable<Step<State>['measure']>>,
): Method<Config, Constants, State> {
  /** Forward pass, unless it is given, then signals and W-step of every layer, top down. */
  const update = compiled((context: MethodContext<Config>, { rows, ...input }: Update) => {
    const { config } = context;
    const network = smoothedNetwork(context.network, input.epsilon);
    const pass = input.pass ?? forwardPass(context, rows);
    const inputs = [rows.x, ...(pass.read ?? pass.hidden)];
    const { preActivations, between } = pass;
    const layers = { inputs, preActivations, between };
    const outputGradient = lossGradient(context, { y: rows.y, preActivations });
    const old = rows.parameters;
    const rule = signalOf(config);
    const hardware = hardwareOf(config, input.draws);
    const m = rows.x.shape[0];
    // Without 1 / m, but for the last batch of an epoch, which may be shorter.
    const factor = m === context.batchSize ? undefined : context.batchSize / m;
    const signals = scaledSignals(
      learningSignals(network, old, layers, outputGradient, rule, hardware),
      factor,
    );
    const renewed = input.renewal && renewedCovariances(context, input.renewal, inputs);
    const preconditioners = [
      ...input.preconditioners,
      ...(renewed?.covariances.map(({ inverse }) => inverse) ?? []),
    ];
    const parameters = [...old];
    const averages = [...input.averages];
    for (let l = network.activations.length; l >= 0; l--) {
      const { isFrozen } = network.stages[l];
      const memory = input.averages[l];
      if ('change' in memory) {
        const inverse = preconditioners[l - network.maps.length + preconditioners.length];
        const preconditionedStep = isThin(context, l, m)
          ? thinStep(context, l, inverse as DenseInverse, inputs[l], signals.gradients[l])
          : precondition(inverse, gradientOf(network, signals, inputs, l));
        const step = normalisedStep(config, preconditionedStep, {
          averages: memory,
          coefficients: input.coefficients,
          units: curvatureOf(context, l) * network.maps[l].outputs,
        });
        const change = limited(config, network.maps[l], step.change, layers, l);
        const next = stepped(old[l], change, input.coefficients[2]);
        parameters[l] = isFrozen ? { ...next, weights: tf.add(old[l].weights, 0) } : next;
        averages[l] = step.averages;
      } else {
        const step = operatorStep(config, network, l, {
          parameters: old[l],
          layers,
          gradient: gradientOf(network, signals, inputs, l),
          averages: memory,
          coefficients: input.operatorCoefficients,
        });
        parameters[l] = step.parameters;
        averages[l] = step.averages;
      }
    }
    const average = averaged(input.averaging, parameters);
    return { parameters, averages, average, scores: pass.scores, ...(renewed && { renewed }) };
  });

  return {
    async prepare(context) {
      const { config, network, train } = context;
      const isFixed =
        network.maps[0].positions === 1 &&
        firstPreconditioned(context) === 0 &&
        config.inputCovariance === 'average' &&
        !train.isStream;
      const first = isFixed ? await firstLayerPreconditioner(context) : undefined;
      return { first, tape: noiseTape(context) };
    },

    init({ network, config, random }, { first }) {
      const start = firstPreconditioned({ network, config });
      const covered = network.maps.slice(first ? 1 : start);
      return {
        t: 0,
        parameters: initializeParameters(network, config, random),
        averages: network.maps.map((map, l) =>
          l < start ? initialOperatorAverages(map) : initialAverages(map),
        ),
        covariances: config.inputCovariance === 'batch' ? [] : covered.map(initialCovariance),
        weightAverage: noAverage,
      };
    },

    async step(context, { first, tape }, { t, ...state }, { x, y }) {
      const { parameters, averages } = state;
      const { config } = context;
      const epsilon = scalars(smoothingAt(config.smoothing, t, context.totalBatches));
      const rows = { parameters, x, y, draws: drawNoise(context, tape, `forward/${t}`) };
      const isOfBatch = config.inputCovariance === 'batch';
      const renewal = isOfBatch ? undefined : renewalOf(context, t, state.covariances);
      // What the step itself does not renew needs the forward pass before the step.
      const isDue = isOfBatch || movingShare(config, t) !== undefined;
      const pass = isDue && !renewal ? forward(context, rows) : undefined;
      const covered = pass
        ? [x, ...(pass.read ?? pass.hidden)].slice(first ? 1 : firstPreconditioned(context))
        : [];
      const covariances =
        pass && !isOfBatch
          ? await updateCovariances(context, t, state.covariances, covered)
          : state.covariances;
      const known = renewal ? [] : covariances.map(({ inverse }) => inverse as Preconditioner);
      const preconditioners = isOfBatch ? await batchInverses(context, covered) : known;
      const sending = drawNoise(context, tape, `backward/${t}`);
      const { average, scores, renewed, ...next } = update(context, {
        rows,
        ...(pass && { pass }),
        ...(renewal && { renewal }),
        epsilon,
        averaging: averagingOf(context, state.weightAverage, parameters),
        draws: sending,
        averages,
        preconditioners: first ? [first, ...preconditioners] : preconditioners,
        ...coefficientsOf(context, t),
      });
      const weightAverage = nextAverage(context, state.weightAverage, average);
      const [loss, accuracy] = await scores.data();
      if (renewed) await checkFactors(renewed);
      const before = (): ForwardPass => {
        const { hidden, preActivations, between } = pass ?? forward(context, rows);
        return { y, inputs: [x, ...hidden], preActivations, between, parameters, epsilon };
      };
      return {
        state: {
          t: t + 1,
          ...next,
          covariances: renewed?.covariances ?? covariances,
          weightAverage,
        },
        metrics: { loss, accuracy },
        measure: measure && (() => measure(context, before(), next.parameters, sending)),
      };
    },

    parameters: ({ parameters, weightAverage }) => weightAverage.average ?? parameters,
  };
}

type Context = MethodContext<PreconditionedConfig>;

/** The layer from which on steps are preconditioned: those below take steps in the operator norm. */
const firstPreconditioned = ({ config, network }: Pick<Context, 'config' | 'network'>): number =>
  config.stepNorm === 'operator' ? network.activations.length : 0;

const coefficientsOf = (context: Context, t: number) =>
  context.config.stepNorm === 'operator'
    ? {
        coefficients: normalisedCoefficients(context, t, context.config.outputChange),
        operatorCoefficients: operatorCoefficients(context, t),
      }
    : { coefficients: normalisedCoefficients(context, t), operatorCoefficients: [] };

export type Constants = {
  /** Of a fully connected first layer, whose inputs never change. */
  readonly first: LowRankInverse | undefined;
  readonly tape: NoiseTape;
};

export type State = {
  /** Steps done. */
  readonly t: number;
  readonly parameters: Parameters;
  /** Of each layer: v and M before their correction, or what its steps in the operator norm average. */
  readonly averages: readonly (Averages | OperatorAverages)[];
  /** Of each layer whose steps are preconditioned, but a first one with constants of its own; none with that of the batch. */
  readonly covariances: readonly RunningCovariance[];
  readonly weightAverage: WeightAverage;
};

type Rows = {
  readonly parameters: Parameters;
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
  readonly draws: Draws;
};

/** Targets, F_l and U_l of a batch, the weights that they belong to, and the smoothing of the signals. */
export type ForwardPass = Layers & {
  readonly y: tf.Tensor2D;
  readonly parameters: Parameters;
  /** One number, or none. */
  readonly epsilon: readonly tf.Scalar[];
};

/** F_l above the first layer, what is read of them where they differ, U_l, and loss and accuracy [2]. */
const forwardPass = (
  {
    config,
    network,
    loss,
  }: Pick<Context, 'network' | 'loss'> & { readonly config: HardwareConfig },
  { parameters, x, y, draws }: Rows,
) => {
  const hardware = hardwareOf(config, draws);
  const { inputs, preActivations, between } = forwardLayers(network, parameters, x, hardware);
  const [, ...read] = readInputs(hardware, inputs);
  const output = preActivations[preActivations.length - 1];
  const scores = tf.stack([lossValue(loss, y, output), accuracyValue(y, output)]);
  const hidden = inputs.slice(1);
  return { hidden, ...(hardware.isIdeal ? {} : { read }), preActivations, between, scores };
};

export const forward = compiled(forwardPass);

type Update = {
  readonly rows: Rows;
  readonly pass?: ReturnType<typeof forwardPass>;
  readonly renewal?: Renewal;
  readonly epsilon: ForwardPass['epsilon'];
  readonly averages: State['averages'];
  /** Of the upper layers: all, or the output layer alone. */
  readonly preconditioners: readonly Preconditioner[];
  readonly coefficients: readonly tf.Scalar[];
  readonly operatorCoefficients: readonly tf.Scalar[];
  readonly draws: Draws;
  readonly averaging: Averaging;
};

/** Loss gradient [m, classes], scaled so that every loss has the cross-entropy's curvature bound of 1/2. */
export function lossGradient(
  {
    config,
    loss,
  }: {
    readonly config: Pick<PreconditionedConfig, 'labelSmoothing'>;
    readonly loss: Context['loss'];
  },
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
