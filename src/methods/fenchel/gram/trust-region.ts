import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../../../network/network.js';
import { splitBias } from '../../../network/stacked.js';
import type { MethodContext } from '../../method.js';
import { layerValue } from '../../per-layer.js';
import type { FenchelGramConfig } from './config.js';
import { exactInputMetric } from './exact-input-metric.js';
import { lowRankMetric } from './low-rank-metric.js';
import type { Metric } from './metric.js';
import { RunningMetric } from './running-metric.js';
import type { LayerState, WeightStep } from './weight-step.js';

/**
 * Steps of a given length within a trust region, for fully connected networks:
 *
 *     P_l -= t_l D_l,   D_l = (C_l + delta_l I)^-1 G_l,   G_l = [F_l, 1]^T g_l
 *     t_l = min(rate eta_l / (m sup phi'), radius ||U_l|| / (sqrt(m) <G_l, D_l>^(1/2)))
 */
export async function trustRegionStep(
  context: MethodContext<FenchelGramConfig>,
): Promise<WeightStep> {
  const { config, network } = context;
  const metrics = await buildMetrics(context);
  const head = network.activations.length;
  const stepSize = (l: number, rows: number, rate: number) =>
    l === head
      ? (rate * config.headStepSize) / rows
      : (rate * layerValue(config.stepSize, l)) / (rows * network.activations[l].maxSlope);
  return {
    observe: (l, inputs) => metrics[l].observe(inputs),
    advance: (l, { layer, inputs, preActivations, residual }: LayerState, rate) => {
      const gradient = network.maps[l].gradient(inputs, residual);
      const direction = metrics[l].apply(gradient);
      const step = tf.minimum(
        stepSize(l, inputs.shape[0], rate),
        trustedStep(gradient, direction, preActivations, config.trustRegion),
      );
      return moved(layer, splitBias(tf.mul(direction, step)));
    },
    dispose: () => {
      for (const metric of metrics) metric.dispose();
    },
  };
}

function buildMetrics(context: MethodContext<FenchelGramConfig>): Promise<Metric[]> {
  const { config, network } = context;
  const hidden = network.activations.length;
  const running = { average: config.gramAverage, refresh: config.gramRefresh };
  return Promise.all(
    network.maps.map((_, l): Metric | Promise<Metric> => {
      const damping = l === hidden ? config.headDamping : layerValue(config.damping, l);
      return l === 0 ? inputMetric(context, damping) : new RunningMetric({ ...running, damping });
    }),
  );
}

function inputMetric(
  { config, train, random }: MethodContext<FenchelGramConfig>,
  damping: number,
): Promise<Metric> {
  switch (config.inputMetric) {
    case 'low-rank':
      return lowRankMetric(train, { damping, rank: config.inputRank }, random);
    case 'exact':
      return exactInputMetric(train, damping);
  }
}

/**
 * The step at which the W-step would change the pre-activations by `radius` times their size, in the
 * root mean square over the batch. With D = M G and M = (C + delta I)^-1,
 *
 *     ||[F, 1] D||^2 / m  ~  tr(D^T C D)  <=  <G, D>,
 *
 * so no product with the batch is needed (the norm constraint of Ba, Grosse and Martens 2017).
 *
 * @returns a scalar on the device: nothing is read back
 */
function trustedStep(
  gradient: tf.Tensor2D,
  direction: tf.Tensor2D,
  preActivations: tf.Tensor2D,
  radius: number,
): tf.Scalar {
  const size = tf.div(tf.sum(tf.square(preActivations)), preActivations.shape[0]);
  const change = tf.add(tf.sum(tf.mul(gradient, direction)), 1e-30);
  return tf.mul(radius, tf.sqrt(tf.div(size, change)));
}

/** P - step, as new tensors. */
function moved(layer: LayerParameters, step: LayerParameters): LayerParameters {
  return {
    weights: tf.sub(layer.weights, step.weights),
    bias: tf.sub(layer.bias, step.bias),
  };
}
