import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../../../network/parameters.js';
import { splitBias } from '../../../network/stacked.js';
import type { MethodContext } from '../../method.js';
import { layerValue } from '../../per-layer.js';
import type { FenchelGramConfig } from './config.js';
import { exactInputMetric } from './exact-input-metric.js';
import { gramMatrix } from './gram-matrix.js';
import type { LayerStep } from './layer-step.js';
import { lowRankMetric } from './low-rank-metric.js';
import type { Metric } from './metric.js';
import { runningInverse } from './running-inverse.js';

/**
 * Steps of a given length within a trust region, for fully connected networks:
 *
 *     P_l -= t_l D_l,   D_l = (C_l + delta_l I)^-1 G_l,   G_l = [F_l, 1]^T g_l
 *     t_l = min(rate eta_l / (m sup phi'), radius ||U_l|| / (sqrt(m) <G_l, D_l>^(1/2)))
 */
export function trustRegionSteps(
  context: MethodContext<FenchelGramConfig>,
): Promise<readonly LayerStep[]> {
  return Promise.all(context.network.maps.map((_, l) => trustRegionStep(context, l)));
}

async function trustRegionStep(
  context: MethodContext<FenchelGramConfig>,
  l: number,
): Promise<LayerStep> {
  const { config, network, batchSize } = context;
  const isHead = l === network.activations.length;
  const metric = (await metricOf(context, l)) as Metric;
  const stepSize = isHead
    ? config.headStepSize / batchSize
    : layerValue(config.stepSize, l) / (batchSize * network.activations[l].maxSlope);
  return {
    observe: (inputs) => metric.observe(inputs),
    get metric() {
      return metric.applied;
    },
    get state() {
      return metric.state;
    },
    set state(saved) {
      metric.state = saved;
    },
    initialAverages: () => [],
    coefficients: (_, rate) => [rate * stepSize],
    advance: ({ layer, inputs, preActivations, slope, coefficients, ...before }) => {
      const gradient = network.maps[l].gradient(inputs, slope);
      const direction = metric.apply(before.metric, gradient);
      const step = tf.minimum(
        coefficients[0],
        trustedStep(gradient, direction, preActivations, config.trustRegion),
      );
      return { layer: moved(layer, splitBias(tf.mul(direction, step))), averages: [] };
    },
    dispose: () => metric.dispose(),
  };
}

function metricOf(context: MethodContext<FenchelGramConfig>, l: number) {
  const { config, network, train, random } = context;
  const isHead = l === network.activations.length;
  const damping = isHead ? config.headDamping : layerValue(config.damping, l);
  if (l > 0) {
    const { gramAverage: average, gramRefresh: refresh } = config;
    const size = network.maps[l].weightShape[0] + 1;
    return runningInverse({ average, refresh, damping, size, gram: gramMatrix });
  }
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
