import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../compile.js';
import { initializeParameters } from '../../network/initialize.js';
import { losses, smoothLabels } from '../../network/loss.js';
import { smoothedNetwork } from '../../network/network.js';
import type { Parameters } from '../../network/parameters.js';
import { splitBias } from '../../network/stacked.js';
import { type Draws, drawNoise, hardwareOf, noiseTape } from '../hardware.js';
import type { Method, MethodContext } from '../method.js';
import { applyInverse } from '../preconditioned/moments.js';
import {
  type Averages,
  normalisedCoefficients,
  normalisedStep,
  stepped,
} from '../preconditioned/normalised-step.js';
import { type ForwardPass, forward } from '../preconditioned/preconditioned.js';
import { energyOf } from '../preconditioned/preconditioner.js';
import { scalars } from '../scalars.js';
import { scheduleFactor, smoothingAt } from '../schedule.js';
import { learningSignals } from '../signals.js';
import {
  type Averaging,
  averaged,
  averagingOf,
  nextAverage,
  noAverage,
  type WeightAverage,
} from '../weight-average.js';
import type { KfacConfig } from './config.js';
import {
  applyInputs,
  type FactorConstants,
  fixedInputs,
  type Inverses,
  initialFactors,
  type KroneckerFactors,
  type Subspace,
  updateFactors,
} from './factors.js';

/**
 * K-FAC (Martens and Grosse 2015; convolutions: Grosse and Martens 2016). The block of the Fisher matrix that belongs to
 * the weights P = [W; b] of a layer U = [x, 1] P with T output positions t is approximated by a Kronecker product,
 *
 *     F ~ A (x) S,   A = E sum_t [x_t, 1] [x_t, 1]^T,   S = E sum_t g_t g_t^T / T,
 *
 * with x_t the patch at position t and g_t the back-propagated signal there for a label that is sampled from the
 * network's own predictions. A and S are exponential averages (factors.ts). Per batch, with the gradient
 * G of the loss against the true labels:
 *
 *     pi = sqrt(mean diag A / mean diag S)
 *     D  = (A + sqrt(damping) pi I)^-1 G (S + sqrt(damping) / pi I)^-1
 *     nu = min(1, sqrt(klClip / (rate^2 sum over layers <D, G>)))
 *     M <- momentum M + nu D,   P <- P - rate (M + weightDecay [W; 0]),   rate = learningRate schedule(t)
 *
 * or, with `stepRule: normalised`, M and the length of the step are those of `foof` (preconditioned/preconditioned.ts)
 * with G (S + sqrt(damping) / pi I)^-1 in place of its gradient.
 */
export const kfac: Method<KfacConfig, FactorConstants, State> = {
  async prepare(context) {
    const isFixed = context.network.maps[0].positions === 1 && !context.train.isStream;
    const first = isFixed ? await fixedInputs(context) : undefined;
    return { first, tape: noiseTape(context) };
  },

  init({ network, config, random }, constants) {
    return {
      t: 0,
      parameters: initializeParameters(network, config, random),
      averages: network.maps.map(({ weightShape: [patch, channels] }) => {
        const direction = tf.zeros<tf.Rank.R2>([patch + 1, channels]);
        return config.stepRule === 'normalised'
          ? { change: tf.scalar(0), direction }
          : { direction };
      }),
      factors: initialFactors({ network }, constants),
      weightAverage: noAverage,
    };
  },

  async step(context, constants, { t, ...state }, { x, y }) {
    const { config, totalBatches } = context;
    const { first, tape } = constants;
    const { parameters, averages } = state;
    const draws = drawNoise(context, tape, `forward/${t}`);
    const epsilon = scalars(smoothingAt(config.smoothing, t, totalBatches));
    const rows = { parameters, x, y, draws };
    const { hidden, read, preActivations, between, scores } = forward(context, rows);
    const inputs = [x, ...(read ?? hidden)];
    const pass = { y, parameters, inputs, preActivations, between, epsilon };
    const factors = await updateFactors(context, constants, t, state.factors, pass);
    const rate =
      config.learningRate * scheduleFactor(config.schedule, t, totalBatches, config.warmup);
    const { average, ...next } = update(context, {
      ...pass,
      averages,
      averaging: averagingOf(context, state.weightAverage, parameters),
      draws: drawNoise(context, tape, `backward/${t}`),
      inverses: factors.inverses as readonly Inverses[],
      subspace: first?.subspace ? [first.subspace] : [],
      coefficients:
        config.stepRule === 'normalised'
          ? normalisedCoefficients(context, t)
          : scalars([rate, config.klClip / rate ** 2, 1 - rate * config.weightDecay]),
    });
    const weightAverage = nextAverage(context, state.weightAverage, average);
    const [loss, accuracy] = await scores.data();
    return {
      state: { t: t + 1, ...next, factors, weightAverage },
      metrics: { loss, accuracy },
    };
  },

  parameters: ({ parameters, weightAverage }) => weightAverage.average ?? parameters,
};

type Context = MethodContext<KfacConfig>;

type State = {
  /** Steps done. */
  readonly t: number;
  readonly parameters: Parameters;
  /** Of each layer: M, and what the normalised step averages. */
  readonly averages: readonly (Averages<tf.Tensor2D> | Momentum)[];
  readonly factors: KroneckerFactors;
  readonly weightAverage: WeightAverage;
};

type Momentum = { readonly direction: tf.Tensor2D };

type Update = ForwardPass & {
  readonly averages: State['averages'];
  readonly inverses: readonly Inverses[];
  /** Of the first layer, or none. */
  readonly subspace: readonly Subspace[];
  readonly coefficients: readonly tf.Scalar[];
  readonly draws: Draws;
  readonly averaging: Averaging;
};

const update = compiled((context: Context, input: Update) => {
  const { config, loss } = context;
  const network = smoothedNetwork(context.network, input.epsilon);
  const { parameters, averages, inverses, subspace, coefficients } = input;
  const outputs = input.preActivations[parameters.length - 1];
  const g = losses[loss].gradient(smoothLabels(input.y, config.labelSmoothing), outputs);
  const rule = { rule: 'back-propagation' } as const;
  const hardware = hardwareOf(config, input.draws);
  const { gradients } = learningSignals(network, parameters, input, g, rule, hardware);
  const directions = network.maps.map((map, l) => {
    const gradient: tf.Tensor2D = tf.div(map.gradient(input.inputs[l], gradients[l]), g.shape[0]);
    const half: tf.Tensor2D = tf.transpose(
      applyInverse(inverses[l].signals, tf.transpose(gradient)),
    );
    const direction = applyInputs(inverses[l].inputs, half, l === 0 ? subspace[0] : undefined);
    return { gradient, half, direction };
  });
  const steps =
    config.stepRule === 'normalised'
      ? directions.map(({ half, direction }, l) => {
          const { delta } = inverses[l].inputs;
          const energy = energyOf({ gradient: half, direction, delta });
          return normalisedStep(
            config,
            { direction, energy },
            {
              averages: averages[l] as Averages<tf.Tensor2D>,
              coefficients,
              units: network.maps[l].outputs,
            },
          );
        })
      : clippedSteps(config, directions, averages, coefficients);
  const next = parameters.map((layer, l) =>
    stepped(layer, splitBias(steps[l].change), coefficients[2]),
  );
  return {
    parameters: next,
    average: averaged(input.averaging, next),
    averages: steps.map((step) => step.averages),
  };
});

/** @param coefficients rate, klClip / rate^2, and what is left of the weights */
function clippedSteps(
  { momentum }: KfacConfig,
  directions: readonly { readonly gradient: tf.Tensor2D; readonly direction: tf.Tensor2D }[],
  old: readonly Momentum[],
  [rate, bound]: readonly tf.Scalar[],
): { readonly change: tf.Tensor2D; readonly averages: Momentum }[] {
  const energies = directions.map(({ gradient, direction }) => tf.sum(tf.mul(gradient, direction)));
  const energy = tf.maximum(tf.sum(tf.stack(energies)), 1e-20);
  const nu = tf.minimum(1, tf.sqrt(tf.div(bound, energy)));
  return directions.map((layer, l) => {
    const direction: tf.Tensor2D = tf.add(
      tf.mul(old[l].direction, momentum),
      tf.mul(layer.direction, nu),
    );
    return { change: tf.mul(direction, rate), averages: { direction } };
  });
}
