import * as tf from '@tensorflow/tfjs';
import { type Compiled, compile } from '../../../compile.js';
import { initializeParameters } from '../../../network/initialize.js';
import { accuracyValue, losses, lossValue, smoothLabels } from '../../../network/loss.js';
import { forwardLayers } from '../../../network/network.js';
import type { LayerParameters, Parameters } from '../../../network/parameters.js';
import type { State as TrainerState } from '../../../tree.js';
import { disposeTree, type Tree } from '../../../tree.js';
import { type AverageState, LegacyWeightAverage as WeightAverage } from '../../legacy.js';
import type { Batch, LegacyMethod, MethodContext, StepMetrics, Trainer } from '../../method.js';
import { scalars } from '../../scalars.js';
import { scheduleFactor } from '../../schedule.js';
import type { FenchelConvolutionConfig, FenchelGramConfig } from './config.js';
import type { LayerStep } from './layer-step.js';
import { normalisedSteps } from './normalised.js';
import { trustRegionSteps } from './trust-region.js';

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
export const fenchelGram: LegacyMethod<FenchelGramConfig> = {
  init: async (context) => {
    const parameters = initializeParameters(context.network, context.config, context.random);
    return new GramTrainer(context, parameters, await trustRegionSteps(context));
  },
};

/** The same for networks with convolutions, whose W-steps are normalised. */
export const fenchelConvolution: LegacyMethod<FenchelConvolutionConfig> = {
  init: (context) => {
    const parameters = initializeParameters(context.network, context.config, context.random);
    return new GramTrainer(context, parameters, normalisedSteps(context));
  },
};

type GramConfig = Pick<
  FenchelGramConfig,
  'activationStep' | 'schedule' | 'warmup' | 'labelSmoothing' | 'weightAverage'
>;

/** What one batch changes. */
type State = {
  readonly parameters: readonly LayerParameters[];
  /** Of each layer's steps. */
  readonly averages: readonly Tree[];
};

type Saved = {
  readonly batches: number;
  readonly state: State;
  readonly average: AverageState;
  /** Of the metric of each layer. */
  readonly steps: readonly TrainerState[];
};

type ForwardInput = {
  readonly parameters: Parameters;
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
};

/** What the forward pass leaves for the two steps. */
type Forward = {
  /** F_l of the layers above the first, whose input is the batch. */
  readonly hidden: readonly tf.Tensor2D[];
  readonly preActivations: readonly tf.Tensor2D[];
  /** Loss and accuracy, [2]. */
  readonly scores: tf.Tensor;
};

type UpdateInput = State &
  Omit<Forward, 'scores'> & {
    readonly x: tf.Tensor2D;
    readonly y: tf.Tensor2D;
    readonly metrics: readonly Tree[];
    readonly coefficients: readonly (readonly tf.Scalar[])[];
  };

class GramTrainer implements Trainer {
  readonly columns = [];
  readonly #average: WeightAverage;
  readonly #forward: Compiled<ForwardInput, Forward>;
  readonly #update: Compiled<UpdateInput, State>;
  #state: State;
  #batches = 0;

  constructor(
    private readonly context: MethodContext<GramConfig>,
    parameters: readonly LayerParameters[],
    private readonly steps: readonly LayerStep[],
  ) {
    this.#state = { parameters, averages: steps.map((step) => step.initialAverages()) };
    this.#average = new WeightAverage(context.config.weightAverage);
    this.#forward = compile((input: ForwardInput) => this.#layers(input));
    this.#update = compile((input: UpdateInput) => this.#updated(input));
  }

  async step({ x, y }: Batch): Promise<StepMetrics> {
    const { config, totalBatches } = this.context;
    const rate = scheduleFactor(config.schedule, this.#batches++, totalBatches, config.warmup);
    const coefficients = this.steps.map((step) => scalars(step.coefficients(this.#batches, rate)));
    const forward = this.#forward.run({ parameters: this.#state.parameters, x, y });
    try {
      const { hidden, preActivations, scores } = forward;
      for (const [l, step] of this.steps.entries()) await step.observe(l === 0 ? x : hidden[l - 1]);
      const metrics = this.steps.map((step) => step.metric);
      const layers = { x, y, hidden, preActivations };
      const next = this.#update.run({ ...this.#state, ...layers, metrics, coefficients });
      disposeTree(this.#state);
      this.#state = next;
      this.#average.update(next.parameters);
      const [loss, accuracy] = await scores.data();
      return { loss, accuracy };
    } finally {
      disposeTree([forward, coefficients]);
    }
  }

  #layers({ parameters, x, y }: ForwardInput): Forward {
    const { network, loss } = this.context;
    const { inputs, preActivations } = forwardLayers(network, parameters, x);
    const output = preActivations[preActivations.length - 1];
    const scores = tf.stack([lossValue(loss, y, output), accuracyValue(y, output)]);
    return { hidden: inputs.slice(1), preActivations, scores };
  }

  #updated(input: UpdateInput): State {
    const { config, network } = this.context;
    const { y, parameters, preActivations } = input;
    const inputs = [input.x, ...input.hidden];
    const head = network.activations.length;
    const next: LayerParameters[] = new Array(parameters.length);
    const averages: Tree[] = new Array(parameters.length);
    let slope = this.#headSlope(y, preActivations[head]);
    for (let l = head; l >= 0; l--) {
      const layer = parameters[l];
      const advanced = this.steps[l].advance({
        layer,
        inputs: inputs[l],
        preActivations: preActivations[l],
        slope,
        metric: input.metrics[l],
        averages: input.averages[l],
        coefficients: input.coefficients[l],
      });
      next[l] = advanced.layer;
      averages[l] = advanced.averages;
      if (l === 0) break;
      // X-step: the activations that the layer above asks for, and how far they are from today's.
      const { phi } = network.activations[l - 1];
      const upper = network.maps[l].adjoint(slope, layer.weights);
      const pull = l === head ? tf.mul(upper, config.activationStep) : upper;
      slope = tf.sub(inputs[l], phi(tf.sub(preActivations[l - 1], pull)));
    }
    return { parameters: next, averages };
  }

  /** Loss gradient, scaled so that every loss has the cross-entropy's curvature bound of 1/2. */
  #headSlope(y: tf.Tensor2D, output: tf.Tensor2D): tf.Tensor2D {
    const { config, loss } = this.context;
    const { gradient, curvature } = losses[loss];
    const value = gradient(smoothLabels(y, config.labelSmoothing), output);
    return curvature === 0.5 ? value : tf.mul(value, 0.5 / curvature);
  }

  get state(): Saved {
    return {
      batches: this.#batches,
      state: this.#state,
      average: this.#average.state,
      steps: this.steps.map((step) => step.state),
    };
  }

  set state({ batches, state, average, steps }: Saved) {
    this.#batches = batches;
    this.#state = state;
    this.#average.state = average;
    for (const [l, saved] of steps.entries()) this.steps[l].state = saved;
  }

  parameters(): Parameters {
    return this.#average.parameters(this.#state.parameters);
  }

  dispose(): void {
    disposeTree(this.#state);
    this.#average.dispose();
    this.#forward.dispose();
    this.#update.dispose();
    for (const step of this.steps) step.dispose();
  }
}
