import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../../compile.js';
import { losses, lossValue, smoothLabels } from '../../../network/loss.js';
import { type Network, preActivation, smoothedNetwork } from '../../../network/network.js';
import type { Parameters } from '../../../network/parameters.js';
import { type Draws, type Hardware, hardwareOf, ideal } from '../../hardware.js';
import { measureLayers, passedOn } from '../../layer-metrics.js';
import type { LayerMetrics, MethodContext, StepMeasurements } from '../../method.js';
import {
  type ForwardPass,
  lossGradient,
  preconditioned,
} from '../../preconditioned/preconditioned.js';
import { learningSignals, type SignalRule } from '../../signals.js';
import type { FenchelPreconditionedConfig } from './config.js';

/**
 * Fast Fenchel training: Algorithm 2 with every block replaced by one step, the W-blocks' preconditioned
 * by the covariance of the layer's inputs, and of a normalised length (../../preconditioned).
 *
 * Rows are data points, F_0 the batch, U_l = A_l(F_l; W_l) + b_l, F_{l+1} = phi(U_l). The step of the X-blocks, top
 * down, gives the learning signals of the W-steps (../../signals.ts):
 *
 *     g_L = loss gradient at U_L,   V_l = phi(U_{l-1} - r),   r = c_l A_l^T(g_l; W_l),
 *     g_{l-1} = F_l - V_l,   or two-sided (phi(U_{l-1} + r) - V_l) / 2
 *
 * with c_L = `targetStep` and c_l = 1 below. One-sided, g_{l-1} is dB/du at the new activations V_l, so that the
 * W-step is along a preconditioned gradient of the penalty B(V_l, U_{l-1}) (eq. 17).
 */
export const fenchelPreconditioned = preconditioned<FenchelPreconditionedConfig>(signalOf, measure);

function signalOf({ nudge, targetStep }: FenchelPreconditionedConfig): SignalRule {
  return { rule: nudge, targetStep };
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
  context: MethodContext<FenchelPreconditionedConfig>,
  before: ForwardPass,
  parameters: Parameters,
  draws: Draws,
): Promise<StepMeasurements> {
  const { config, loss } = context;
  const { inputs, y } = before;
  const network = smoothedNetwork(context.network, before.epsilon);
  const [x] = inputs;
  const { lowered: activations, sums } = signals(context, { ...before, draws });
  const kept = before.between.map((values) => values.kept);
  const signalColumns = await compareSignals(sums);
  const measured = await measureLayers(network, {
    x: [x],
    before: {
      activations: activationsOf(context.network, before).map((rows) => [rows]),
      parameters: before.parameters,
    },
    after: { activations: activations.map((rows) => [rows]), parameters },
    kept,
  });
  const head = network.activations.length;
  const layers = measured.map((layer, l) => ({ ...layer, ...(l < head && signalColumns[l]) }));
  // The variables of norms are not measured, and so neither is the objective.
  if (network.stages.some(({ norm }) => norm)) return { layers };
  const fit = tf.tidy(() => {
    const lifted = activations.map((v, l) => passedOn(network.stages[l], v, kept[l]));
    const { u: output } = preActivation(network, head, [x, ...lifted], parameters[head]);
    return lossValue(loss, smoothLabels(y, config.labelSmoothing), output);
  });
  const lambda = (2 * losses[loss].curvature) / config.targetStep;
  const penalties = measured.reduce((sum, { penalty = 0 }) => sum + penalty, 0);
  return { layers, objective: (await fit.data())[0] + lambda * penalties };
}

/** phi(U_l) of the hidden layers, before dropout and pooling. */
const activationsOf = (
  { activations }: Pick<Network, 'activations'>,
  { inputs, preActivations, between }: ForwardPass,
): tf.Tensor2D[] =>
  inputs.slice(1).map((value, l) => {
    const { kept, activations: unpooled } = between[l];
    return kept ? activations[l].phi(preActivations[l]) : (unpooled ?? value);
  });

/** V_l, and of each layer what {@link compareSignals} takes, [5 layers]; compiled, so that few of the signals exist at once. */
const signals = compiled(
  (context: MethodContext<FenchelPreconditionedConfig>, input: ForwardPass & { draws: Draws }) => {
    const network = smoothedNetwork(context.network, input.epsilon);
    const signalsOf = (rule: SignalRule, hardware: Hardware) =>
      tf.tidy(() => {
        const g = lossGradient(context, input);
        return learningSignals(network, input.parameters, input, g, rule, hardware);
      });
    const own = signalsOf(signalOf(context.config), hardwareOf(context.config, input.draws));
    const exact = signalsOf({ rule: 'back-propagation' }, ideal);
    const sums = own.mapGradients.flatMap((g, l) => {
      const other = exact.mapGradients[l];
      return [
        tf.mean(tf.mul(g, other)),
        ...[g, other].flatMap((each) => [tf.mean(each), tf.sqrt(tf.mean(tf.square(each)))]),
      ];
    });
    return { lowered: own.lowered, sums: tf.stack(sums) };
  },
);

/** How the signal of each layer differs from the back-propagated one, whatever its scale; absent where one is 0. */
async function compareSignals(
  sums: tf.Tensor,
): Promise<Pick<LayerMetrics, 'signalCosine' | 'signalBias'>[]> {
  const values = await sums.data();
  return Array.from({ length: values.length / 5 }, (_, l) => {
    const [product, mean, rms, exactMean, exactRms] = values.subarray(5 * l, 5 * l + 5);
    if (!(rms > 0 && exactRms > 0)) return {};
    return {
      signalCosine: product / (rms * exactRms),
      signalBias: mean / rms - exactMean / exactRms,
    };
  });
}
