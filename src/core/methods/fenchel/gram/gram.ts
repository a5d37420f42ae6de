import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../../compile.js';
import { initializeParameters } from '../../../network/initialize.js';
import { accuracyValue, losses, lossValue, smoothLabels } from '../../../network/loss.js';
import { forwardLayers } from '../../../network/network.js';
import type { LayerParameters, Parameters } from '../../../network/parameters.js';
import { splitBias } from '../../../network/stacked.js';
import { blend } from '../../../solvers/blend.js';
import type { Tree } from '../../../tree.js';
import type { Method, MethodContext } from '../../method.js';
import { layerValue } from '../../per-layer.js';
import { scalars } from '../../scalars.js';
import { scheduleFactor } from '../../schedule.js';
import { averageWeights, noAverage, type WeightAverage } from '../../weight-average.js';
import type { FenchelConvolutionConfig, FenchelGramConfig } from './config.js';
import {
  type DenseInverse,
  exactInverse,
  gramMatrix,
  initialGram,
  lowRankInverse,
  type Preconditioner,
  precondition,
  type RunningGram,
  type RunningOptions,
  runningGrams,
} from './preconditioner.js';

/**
 * Fast Fenchel training: Algorithm 2 with every block replaced by one linearised proximal step, the
 * W-blocks' preconditioned by the layer's averaged input covariance (preconditioner.ts).
 *
 * Rows are data points, F_0 the batch, U_l = A_l(F_l; W_l) + b_l, F_{l+1} = phi(U_l). Per batch:
 *
 *     X-step, top down:   g_L = loss gradient at U_L,
 *                         V_l = phi(U_{l-1} - c_l A_l^T(g_l; W_l)),  g_{l-1} = F_l - V_l
 *     W-step, all layers: from the gradient [F_l, 1]^T g_l, by one of the two rules below
 *
 * with c_L = c (`activationStep`) and c_l = 1 below: g_{l-1} is dB/du at the new activations V_l, so
 * the W-step is the proximal gradient step of eq. 17 on the penalty B(V_l, U_{l-1}).
 */
function fastFenchel<Config extends SharedConfig>(
  rule: WeightRule<Config>,
): Method<Config, Constants, State> {
  const updateGrams = runningGrams(rule.grams);
  const update = compiled((context: MethodContext<Config>, { x, y, hidden, ...input }: Update) => {
    const { config, network } = context;
    const { preActivations } = input;
    const inputs = [x, ...hidden];
    const head = network.activations.length;
    const parameters = [...input.parameters];
    const averages = [...input.averages];
    let slope = headSlope(context, y, preActivations[head]);
    for (let l = head; l >= 0; l--) {
      const layer = input.parameters[l];
      const next = rule.step(context, l, {
        layer,
        inputs: inputs[l],
        preActivations: preActivations[l],
        slope,
        preconditioner: input.preconditioners[l],
        averages: input.averages[l],
        coefficients: input.coefficients[l],
      });
      parameters[l] = next.layer;
      averages[l] = next.averages;
      if (l === 0) break;
      // X-step: the activations that the layer above asks for, and how far they are from today's.
      const { phi } = network.activations[l - 1];
      const upper = network.maps[l].adjoint(slope, layer.weights);
      const pull = l === head ? tf.mul(upper, config.activationStep) : upper;
      slope = tf.sub(inputs[l], phi(tf.sub(preActivations[l - 1], pull)));
    }
    return { parameters, averages };
  });

  return {
    prepare: rule.prepare,

    init(context, { first }) {
      const { network, config, random } = context;
      const running = first ? network.maps.slice(1) : network.maps;
      return {
        t: 0,
        parameters: initializeParameters(network, config, random),
        averages: network.maps.map((_, l) => rule.initialAverages(context, l)),
        grams: running.map(({ weightShape }) => initialGram(weightShape[0] + 1)),
        weightAverage: noAverage,
      };
    },

    async step(context, { first }, { t, ...state }, { x, y }) {
      const { config, totalBatches, network } = context;
      const rate = scheduleFactor(config.schedule, t, totalBatches, config.warmup);
      const { parameters, averages } = state;
      const { hidden, preActivations, scores } = forward(context, { parameters, x, y });
      const grams = await updateGrams(context, t, state.grams, first ? hidden : [x, ...hidden]);
      const inverses = grams.map(({ inverse }) => inverse as Preconditioner);
      const next = update(context, {
        parameters,
        averages,
        x,
        y,
        hidden,
        preActivations,
        preconditioners: first ? [first, ...inverses] : inverses,
        coefficients: network.maps.map((_, l) =>
          scalars(rule.coefficients(context, l, t + 1, rate)),
        ),
      });
      const weightAverage = averageWeights(context, state.weightAverage, next.parameters);
      const [loss, accuracy] = await scores.data();
      return { state: { t: t + 1, ...next, grams, weightAverage }, metrics: { loss, accuracy } };
    },

    parameters: ({ parameters, weightAverage }) => weightAverage.average ?? parameters,
  };
}

type SharedConfig = FenchelGramConfig | FenchelConvolutionConfig;

type Constants = {
  /** Of the input layer, where its preconditioner is fixed. */
  readonly first: Preconditioner | undefined;
};

type State = {
  /** Steps done. */
  readonly t: number;
  readonly parameters: Parameters;
  /** What each layer's rule averages over steps. */
  readonly averages: readonly Tree[];
  /** Of each layer whose preconditioner is not fixed. */
  readonly grams: readonly RunningGram[];
  readonly weightAverage: WeightAverage;
};

type Rows = { readonly x: tf.Tensor2D; readonly y: tf.Tensor2D };

type Update = Rows &
  Pick<State, 'parameters' | 'averages'> & {
    /** F_l of the layers above the first, whose input is the batch. */
    readonly hidden: readonly tf.Tensor2D[];
    readonly preActivations: readonly tf.Tensor2D[];
    readonly preconditioners: readonly Preconditioner[];
    /** Of each layer. */
    readonly coefficients: readonly (readonly tf.Scalar[])[];
  };

/** F_l above the first layer, U_l, and loss and accuracy [2]. */
const forward = compiled(
  (
    { network, loss }: MethodContext<SharedConfig>,
    { parameters, x, y }: Rows & { readonly parameters: Parameters },
  ) => {
    const { inputs, preActivations } = forwardLayers(network, parameters, x);
    const output = preActivations[preActivations.length - 1];
    const scores = tf.stack([lossValue(loss, y, output), accuracyValue(y, output)]);
    return { hidden: inputs.slice(1), preActivations, scores };
  },
);

/** Loss gradient, scaled so that every loss has the cross-entropy's curvature bound of 1/2. */
function headSlope(
  { config, loss }: MethodContext<SharedConfig>,
  y: tf.Tensor2D,
  output: tf.Tensor2D,
): tf.Tensor2D {
  const { gradient, curvature } = losses[loss];
  const value = gradient(smoothLabels(y, config.labelSmoothing), output);
  return curvature === 0.5 ? value : tf.mul(value, 0.5 / curvature);
}

/** How a layer's W-step is taken. */
interface WeightRule<Config> {
  prepare(context: MethodContext<Config>): Promise<Constants>;
  /** Of the layers whose preconditioner is not fixed: the upper ones, or all. */
  grams(context: MethodContext<Config>): readonly RunningOptions[];
  initialAverages(context: MethodContext<Config>, l: number): Tree;
  /**
   * Numbers of step t (from 1) that change from batch to batch.
   * @param rate factor of the schedule
   */
  coefficients(context: MethodContext<Config>, l: number, t: number, rate: number): number[];
  /** New parameters of layer l, and new averages; inside a compiled function. */
  step(
    context: MethodContext<Config>,
    l: number,
    input: LayerInput,
  ): { readonly layer: LayerParameters; readonly averages: Tree };
}

/** What a layer's W-step is taken from. */
interface LayerInput {
  /** P_l = [W_l; b_l] before the step. */
  readonly layer: LayerParameters;
  /** F_l [m, inputs] */
  readonly inputs: tf.Tensor2D;
  /** U_l [m, outputs] */
  readonly preActivations: tf.Tensor2D;
  /** g_l [m, outputs]: dB/du at the new activations, or the loss gradient in the last layer. */
  readonly slope: tf.Tensor2D;
  readonly preconditioner: Preconditioner;
  readonly averages: Tree;
  readonly coefficients: readonly tf.Scalar[];
}

/**
 * For fully connected networks, steps of a given length under a norm constraint (Ba, Grosse and Martens 2017):
 *
 *     P_l -= t_l D_l,   D_l = (C_l + delta_l I)^-1 G_l,   G_l = [F_l, 1]^T g_l
 *     t_l = min(rate eta_l / (m sup phi'), radius ||U_l|| / (sqrt(m) <G_l, D_l>^(1/2)))
 *
 * The second is the step at which pre-activations would change by `trustRegion` times their size, in
 * the root mean square over the batch: ||[F, 1] D||^2 / m ~ tr(D^T C D) <= <G, D>, so that no product with
 * the batch is needed, and nothing is read back.
 */
export const fenchelGram = fastFenchel<FenchelGramConfig>({
  async prepare(context) {
    const { config, network, train } = context;
    const damping = layerDamping(context, 0);
    if (config.inputMetric === 'exact') {
      const matrix = await exactInverse(train, damping);
      return { first: { matrix, delta: tf.scalar(damping) } };
    }
    // The numbers after those of the initial weights.
    const random = context.random.copy();
    initializeParameters(network, config, random);
    return { first: await lowRankInverse(train, { damping, rank: config.inputRank }, random) };
  },
  grams: (context) =>
    context.network.maps.slice(1).map((_, i) => ({
      damping: layerDamping(context, i + 1),
      average: context.config.gramAverage,
      refresh: context.config.gramRefresh,
      gram: gramMatrix,
    })),
  initialAverages: () => [],
  coefficients({ config, network, batchSize }, l, _, rate) {
    const isHead = l === network.activations.length;
    const stepSize = isHead
      ? config.headStepSize / batchSize
      : layerValue(config.stepSize, l) / (batchSize * network.activations[l].maxSlope);
    return [rate * stepSize];
  },
  step({ config, network }, l, { layer, inputs, preActivations, slope, ...input }) {
    const gradient = network.maps[l].gradient(inputs, slope);
    const isExact = l === 0 && config.inputMetric === 'exact';
    const direction = isExact
      ? tf.matMul<tf.Tensor2D>((input.preconditioner as DenseInverse).matrix, gradient)
      : precondition(input.preconditioner, gradient);
    const size = tf.div(tf.sum(tf.square(preActivations)), preActivations.shape[0]);
    const change = tf.add(tf.sum(tf.mul(gradient, direction)), 1e-30);
    const constrained = tf.mul(config.trustRegion, tf.sqrt(tf.div(size, change)));
    const length = tf.minimum(input.coefficients[0], constrained);
    const step = splitBias(tf.mul(direction, length));
    const weights: tf.Tensor2D = tf.sub(layer.weights, step.weights);
    return { layer: { weights, bias: tf.sub(layer.bias, step.bias) }, averages: [] };
  },
});

function layerDamping({ config, network }: MethodContext<FenchelGramConfig>, l: number): number {
  const isHead = l === network.activations.length;
  return isHead ? config.headDamping : layerValue(config.damping, l);
}

/**
 * For networks with convolutions, steps of a normalised length. Layers whose weights are shared by many
 * positions have covariances of very different sizes: each layer's step is scaled so that it changes
 * the layer's pre-activations by a given root mean square, whatever the units.
 *
 * With C_l the average of patches(F_l)^T patches(F_l), summed over positions, h_l the curvature of
 * the term above (sup phi', or 1/2 for the loss) and H_l = h_l C_l:
 *
 *     D = (H_l + delta I)^-1 G,   G = [patches(F_l), 1]^T g_l / m,   delta = damping mean(diag H_l)
 *     v <- 0.99 v + 0.01 tr(D^T C_l D) / units       (mean square change of a pre-activation)
 *     M <- momentum M + (1 - momentum) D             (both corrected for their start at 0)
 *     P_l -= rate change (M / sqrt(v) + weightDecay W_l)
 */
export const fenchelConvolution = fastFenchel<FenchelConvolutionConfig>({
  prepare: async () => ({ first: undefined }),
  grams: (context) =>
    context.network.maps.map((map, l) => ({
      damping: context.config.damping,
      relative: true,
      average: context.config.gramAverage,
      refresh: context.config.gramRefresh,
      ramp: true,
      gram: (inputs) => {
        const { positions } = map;
        const images = positions > 1 ? context.config.gramImages : Number.POSITIVE_INFINITY;
        const rows = Math.min(inputs.shape[0], images);
        const seen = tf.slice(inputs, [0, 0], [rows, inputs.shape[1]]);
        return tf.mul(gramMatrix(map.patches(seen)), positions * curvatureOf(context, l));
      },
    })),
  initialAverages: ({ network }, l): Averages => {
    const [patch, channels] = network.maps[l].weightShape;
    return { change: tf.scalar(0), direction: tf.zeros([patch + 1, channels]) };
  },
  /** The length of a step, what v is short of, and what is left of the weights. */
  coefficients({ config: { momentum, change, weightDecay } }, _, t, rate) {
    const length = (rate * change) / (1 - momentum ** t);
    return [length, 1 - changeAverage ** t, 1 - rate * change * weightDecay];
  },
  step(context, l, { layer, inputs, slope, preconditioner, coefficients, ...input }) {
    const { momentum } = context.config;
    const map = context.network.maps[l];
    const [length, correction, kept] = coefficients;
    const previous = input.averages as Averages;
    const gradient = tf.div(map.gradient(inputs, slope), inputs.shape[0]) as tf.Tensor2D;
    const direction = precondition(preconditioner, gradient);
    // tr(D^T H D) = <G, D> - delta ||D||^2
    const energy = tf.sub(
      tf.sum(tf.mul(gradient, direction)),
      tf.mul(tf.sum(tf.square(direction)), preconditioner.delta),
    );
    const units = curvatureOf(context, l) * map.outputs;
    const squared = tf.relu(tf.div(energy, units)) as tf.Scalar;
    const averages = {
      change: blend(previous.change, squared, [changeAverage, 1 - changeAverage]),
      direction: blend(previous.direction, direction, [momentum, 1 - momentum]),
    };
    const size = tf.sqrt(tf.div(averages.change, correction));
    const scale = tf.div(length, tf.add(size, 1e-12)) as tf.Scalar;
    const step = splitBias(tf.mul(averages.direction, scale));
    const weights: tf.Tensor2D = tf.sub(tf.mul(layer.weights, kept), step.weights);
    return { layer: { weights, bias: tf.sub(layer.bias, step.bias) as tf.Tensor1D }, averages };
  },
});

/** Factor of the average of squared changes, per batch. */
const changeAverage = 0.99;

/** v and M before their correction. */
type Averages = { readonly change: tf.Scalar; readonly direction: tf.Tensor2D };

function curvatureOf(
  { network, loss }: Pick<MethodContext<unknown>, 'network' | 'loss'>,
  l: number,
): number {
  const isHead = l === network.activations.length;
  return isHead ? Math.min(0.5, losses[loss].curvature) : network.activations[l].maxSlope;
}
