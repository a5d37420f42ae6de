import * as tf from '@tensorflow/tfjs';
import { type Compiled, compile } from '../compile.js';
import { initializeParameters } from '../network/initialize.js';
import { accuracyValue, lossValue, smoothLabels } from '../network/loss.js';
import type { InitializerName } from '../network/names.js';
import { predict } from '../network/network.js';
import type { LayerParameters, Parameters } from '../network/parameters.js';
import { disposeTree } from '../tree.js';
import type { Batch, MethodContext, StepMetrics, Trainer } from './method.js';
import { scalars } from './scalars.js';
import { type ScheduleName, scheduleFactor } from './schedule.js';
import { type AverageState, WeightAverage } from './weight-average.js';

/** What every method that follows the gradient of the plain network is configured by. */
export interface BackPropagationConfig {
  readonly learningRate: number;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly labelSmoothing: number;
  readonly weightDecay: number;
  readonly weightAverage: number;
  readonly initializer: InitializerName | readonly InitializerName[];
  readonly bias: number;
}

/**
 * How a method turns gradients into steps, for each parameter tensor P on its own. It is part of the
 * compiled step: the tensor library's optimizers, which keep variables and plain numbers of their own,
 * cannot be.
 */
export interface UpdateRule {
  /** Averages kept for each parameter; all start at 0. */
  readonly averages: number;
  /**
   * Numbers of step t that are the same for all parameters.
   * @param t from 1
   * @param rate learning rate of this step
   */
  coefficients(t: number, rate: number): readonly number[];
  /** @returns what to subtract from P, and the next averages */
  step(
    gradient: tf.Tensor,
    averages: readonly tf.Tensor[],
    coefficients: readonly tf.Scalar[],
  ): { readonly step: tf.Tensor; readonly averages: readonly tf.Tensor[] };
}

/** What one batch changes. */
type State = {
  readonly parameters: Parameters;
  /** Of each parameter tensor, weights and bias of each layer in turn. */
  readonly averages: readonly (readonly tf.Tensor[])[];
};

type Saved = { readonly t: number; readonly state: State; readonly average: AverageState };

type Input = State & {
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
  readonly coefficients: readonly tf.Scalar[];
  /** Factor of the weights, not the biases; empty without weight decay. */
  readonly decay: readonly tf.Scalar[];
};

/**
 * Trains the plain network by back-propagation:
 *
 *     P <- P - learningRate schedule(t) (direction(grad_P loss(smoothed Y, network(X; P))) + weightDecay W),
 *
 * where the update rule turns gradients into directions, and the decay stays apart from it (Loshchilov
 * and Hutter 2019). Loss and accuracy come from the same forward pass as the gradient.
 */
export class BackPropagation implements Trainer {
  readonly columns: readonly string[] = [];
  #t = 0;
  #state: State;
  readonly #average: WeightAverage;
  readonly #step: Compiled<Input, { readonly state: State; readonly scores: tf.Tensor }>;

  constructor(
    readonly context: MethodContext<BackPropagationConfig>,
    readonly rule: UpdateRule,
  ) {
    const { network, config, random } = context;
    const parameters = initializeParameters(network, config, random);
    const averages = parameters
      .flatMap(tensorsOf)
      .map((tensor) => Array.from({ length: rule.averages }, () => tf.zerosLike(tensor)));
    this.#state = { parameters, averages };
    this.#average = new WeightAverage(config.weightAverage);
    this.#step = compile((input: Input) => this.#update(input));
  }

  async step({ x, y }: Batch): Promise<StepMetrics> {
    const { config, totalBatches } = this.context;
    const factor = scheduleFactor(config.schedule, this.#t++, totalBatches, config.warmup);
    const rate = config.learningRate * factor;
    const coefficients = scalars(this.rule.coefficients(this.#t, rate));
    const decay = scalars(config.weightDecay > 0 ? [1 - rate * config.weightDecay] : []);

    const { state, scores } = this.#step.run({ ...this.#state, x, y, coefficients, decay });
    disposeTree([coefficients, decay, this.#state]);
    this.#state = state;
    this.#average.update(state.parameters);

    const [loss, accuracy] = await scores.data();
    scores.dispose();
    return { loss, accuracy };
  }

  #update({ x, y, parameters, averages, coefficients, decay }: Input) {
    const { network, config, loss } = this.context;
    const targets = smoothLabels(y, config.labelSmoothing);
    const tensors = parameters.flatMap(tensorsOf);
    let outputs = y;
    const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
      outputs = tf.keep(predict(network, layersOf(values), x));
      return lossValue(loss, targets, outputs);
    })(tensors);

    const steps = grads.map((gradient, i) => this.rule.step(gradient, averages[i], coefficients));
    const next = tensors.map((tensor, i) => {
      const isWeights = i % 2 === 0;
      const kept = isWeights && decay.length > 0 ? tf.mul(tensor, decay[0]) : tensor;
      return tf.sub(kept, steps[i].step);
    });
    const trueLoss = targets === y ? value : lossValue(loss, y, outputs);
    const scores = tf.stack([trueLoss, accuracyValue(y, outputs)]);
    outputs.dispose();
    const state = { parameters: layersOf(next), averages: steps.map((step) => step.averages) };
    return { state, scores };
  }

  get state(): Saved {
    return { t: this.#t, state: this.#state, average: this.#average.state };
  }

  set state({ t, state, average }: Saved) {
    this.#t = t;
    this.#state = state;
    this.#average.state = average;
  }

  parameters(): Parameters {
    return this.#average.parameters(this.#state.parameters);
  }

  dispose(): void {
    disposeTree(this.#state);
    this.#average.dispose();
    this.#step.dispose();
  }
}

const tensorsOf = ({ weights, bias }: LayerParameters): tf.Tensor[] => [weights, bias];

/** The layers whose {@link tensorsOf} are, in turn, `tensors`. */
function layersOf(tensors: readonly tf.Tensor[]): LayerParameters[] {
  return Array.from({ length: tensors.length / 2 }, (_, l) => ({
    weights: tensors[2 * l] as tf.Tensor2D,
    bias: tensors[2 * l + 1] as tf.Tensor1D,
  }));
}
