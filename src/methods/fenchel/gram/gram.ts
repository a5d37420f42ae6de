import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../../network/initialize.js';
import { accuracyValue, losses, lossValue, smoothLabels } from '../../../network/loss.js';
import {
  disposeParameters,
  forwardLayers,
  type LayerParameters,
  type Layers,
  type Parameters,
} from '../../../network/network.js';
import { splitBias, withOnes } from '../../../network/stacked.js';
import type { Batch, Method, MethodContext, StepMetrics, Trainer } from '../../method.js';
import { scheduleFactor } from '../../schedule.js';
import { WeightAverage } from '../../weight-average.js';
import { layerValue } from '../per-layer.js';
import type { FenchelGramConfig } from './config.js';
import { exactInputMetric } from './exact-input-metric.js';
import { lowRankMetric } from './low-rank-metric.js';
import type { Metric } from './metric.js';
import { RunningMetric } from './running-metric.js';

/**
 * Fast Fenchel training: Algorithm 2 with every block replaced by one linearised proximal step, the
 * W-blocks' in the metric of the layer's averaged input Gram matrix A_l.
 *
 * Rows are data points, F_0 the batch, U_l = F_l W_l + b_l, F_{l+1} = phi(U_l). Per batch of m rows:
 *
 *     X-step, top down:   g_L = loss gradient at U_L,
 *                         V_l = phi(U_{l-1} - c_l g_l W_l^T),  g_{l-1} = F_l - V_l
 *     W-step, all layers: P_l -= eta_l / (m sup phi') (A_l + delta_l I)^-1 [F_l, 1]^T g_l,  P_l = [W_l; b_l]
 *
 * with c_L = c (`activationStep`) and c_l = 1 below: g_{l-1} is dB/du at the new activations V_l, so
 * the W-step is the proximal gradient step of eq. 17 on the penalty B(V_l, U_{l-1}).
 */
export const fenchelGram: Method<FenchelGramConfig> = {
  init: async (context) => {
    const parameters = initializeParameters(context.network, context.config, context.random);
    return new FenchelGramTrainer(context, parameters, await buildMetrics(context));
  },
};

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

/** What the forward pass leaves for the two steps. */
interface Forward extends Layers {
  /** Loss and accuracy, [2]. */
  readonly scores: tf.Tensor;
}

class FenchelGramTrainer implements Trainer {
  readonly columns = [];
  readonly #average: WeightAverage;
  #batches = 0;

  constructor(
    private readonly context: MethodContext<FenchelGramConfig>,
    private current: Parameters,
    private readonly metrics: readonly Metric[],
  ) {
    this.#average = new WeightAverage(context.config.weightAverage);
  }

  async step(batch: Batch): Promise<StepMetrics> {
    const forward = this.#forward(batch);
    try {
      for (const [l, metric] of this.metrics.entries()) await metric.observe(forward.inputs[l]);
      const next = tf.tidy(() => this.#update(batch, forward));
      disposeParameters(this.current);
      this.current = next;
      this.#average.update(next);
      this.#batches++;
      const [loss, accuracy] = await forward.scores.data();
      return { loss, accuracy };
    } finally {
      // inputs[0] is the batch, which belongs to the caller.
      tf.dispose([forward.inputs.slice(1), forward.preActivations, forward.scores]);
    }
  }

  #forward({ x, y }: Batch): Forward {
    const { network, loss } = this.context;
    return tf.tidy(() => {
      const { inputs, preActivations } = forwardLayers(network, this.current, x);
      const output = preActivations[preActivations.length - 1];
      const scores = tf.stack([lossValue(loss, y, output), accuracyValue(y, output)]);
      return { inputs, preActivations, scores };
    });
  }

  #update({ y }: Batch, { inputs, preActivations }: Forward): LayerParameters[] {
    const { config, network } = this.context;
    const next: LayerParameters[] = new Array(this.current.length);
    let residual = this.#headResidual(y, preActivations[this.current.length - 1]);
    for (let l = this.current.length - 1; l >= 0; l--) {
      const isHead = l === network.activations.length;
      const gradient = tf.matMul(withOnes(inputs[l]), residual, true, false) as tf.Tensor2D;
      const direction = this.metrics[l].apply(gradient);
      const step = tf.minimum(
        this.#stepSize(l, y.shape[0]),
        trustedStep(gradient, direction, preActivations[l], config.trustRegion),
      );
      next[l] = moved(this.current[l], splitBias(tf.mul(direction, step)));
      if (l === 0) break;
      // X-step: the activations that the layer above asks for, and how far they are from today's.
      const { phi } = network.activations[l - 1];
      const upper = tf.matMul(residual, this.current[l].weights, false, true) as tf.Tensor2D;
      const pull = isHead ? tf.mul(upper, config.activationStep) : upper;
      residual = tf.sub(inputs[l], phi(tf.sub(preActivations[l - 1], pull)));
    }
    return next;
  }

  /** Loss gradient, scaled so that every loss has the cross-entropy's curvature bound of 1/2. */
  #headResidual(y: tf.Tensor2D, output: tf.Tensor2D): tf.Tensor2D {
    const { config, loss } = this.context;
    const { gradient, curvature } = losses[loss];
    const value = gradient(smoothLabels(y, config.labelSmoothing), output);
    return curvature === 0.5 ? value : tf.mul(value, 0.5 / curvature);
  }

  #stepSize(l: number, rows: number): number {
    const { config, network, totalBatches } = this.context;
    const rate = scheduleFactor(config.schedule, this.#batches, totalBatches, config.warmup);
    if (l === network.activations.length) return (rate * config.headStepSize) / rows;
    return (rate * layerValue(config.stepSize, l)) / (rows * network.activations[l].maxSlope);
  }

  parameters(): Parameters {
    return this.#average.parameters(this.current);
  }

  dispose(): void {
    disposeParameters(this.current);
    this.#average.dispose();
    for (const metric of this.metrics) metric.dispose();
  }
}

/**
 * The step at which the W-step would change the pre-activations by `radius` times their size, in the
 * root mean square over the batch. With D = M G and M = (A + delta I)^-1,
 *
 *     ||[F, 1] D||^2 / m  ~  tr(D^T A D)  <=  <G, D>,
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
