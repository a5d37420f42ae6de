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
import type { Batch, Method, MethodContext, StepMetrics, Trainer } from '../../method.js';
import { scheduleFactor } from '../../schedule.js';
import { WeightAverage } from '../../weight-average.js';
import type { FenchelConvolutionConfig, FenchelGramConfig } from './config.js';
import { normalisedStep } from './normalised.js';
import { trustRegionStep } from './trust-region.js';
import type { WeightStep } from './weight-step.js';

/**
 * Fast Fenchel training: Algorithm 2 with every block replaced by one linearised proximal step, the
 * W-blocks' in the metric of the layer's averaged input Gram matrix.
 *
 * Rows are data points, F_0 the batch, U_l = A_l(F_l; W_l) + b_l, F_{l+1} = phi(U_l). Per batch:
 *
 *     X-step, top down:   g_L = loss gradient at U_L,
 *                         V_l = phi(U_{l-1} - c_l A_l^T(g_l; W_l)),  g_{l-1} = F_l - V_l
 *     W-step, all layers: from the gradient [F_l, 1]^T g_l; see trust-region.ts and normalised.ts
 *
 * with c_L = c (`activationStep`) and c_l = 1 below: g_{l-1} is dB/du at the new activations V_l, so
 * the W-step is the proximal gradient step of eq. 17 on the penalty B(V_l, U_{l-1}).
 */
export const fenchelGram: Method<FenchelGramConfig> = {
  init: async (context) => {
    const parameters = initializeParameters(context.network, context.config, context.random);
    return new GramTrainer(context, parameters, await trustRegionStep(context));
  },
};

/** The same for networks with convolutions, whose W-steps are normalised. */
export const fenchelConvolution: Method<FenchelConvolutionConfig> = {
  init: (context) => {
    const parameters = initializeParameters(context.network, context.config, context.random);
    return new GramTrainer(context, parameters, normalisedStep(context));
  },
};

type GramConfig = Pick<
  FenchelGramConfig,
  'activationStep' | 'schedule' | 'warmup' | 'labelSmoothing' | 'weightAverage'
>;

/** What the forward pass leaves for the two steps. */
interface Forward extends Layers {
  /** Loss and accuracy, [2]. */
  readonly scores: tf.Tensor;
}

class GramTrainer implements Trainer {
  readonly columns = [];
  readonly #average: WeightAverage;
  #batches = 0;

  constructor(
    private readonly context: MethodContext<GramConfig>,
    private current: Parameters,
    private readonly weightStep: WeightStep,
  ) {
    this.#average = new WeightAverage(context.config.weightAverage);
  }

  async step(batch: Batch): Promise<StepMetrics> {
    const forward = this.#forward(batch);
    try {
      for (const [l, inputs] of forward.inputs.entries()) await this.weightStep.observe(l, inputs);
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
    const { config, network, totalBatches } = this.context;
    const rate = scheduleFactor(config.schedule, this.#batches, totalBatches, config.warmup);
    const head = network.activations.length;
    const next: LayerParameters[] = new Array(this.current.length);
    let residual = this.#headResidual(y, preActivations[head]);
    for (let l = head; l >= 0; l--) {
      const layer = this.current[l];
      const state = { layer, inputs: inputs[l], preActivations: preActivations[l], residual };
      next[l] = this.weightStep.advance(l, state, rate);
      if (l === 0) break;
      // X-step: the activations that the layer above asks for, and how far they are from today's.
      const { phi } = network.activations[l - 1];
      const upper = network.maps[l].adjoint(residual, layer.weights);
      const pull = l === head ? tf.mul(upper, config.activationStep) : upper;
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

  parameters(): Parameters {
    return this.#average.parameters(this.current);
  }

  dispose(): void {
    disposeParameters(this.current);
    this.#average.dispose();
    this.weightStep.dispose();
  }
}
