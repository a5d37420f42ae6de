import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../network/initialize.js';
import { accuracyValue, lossValue, smoothLabels } from '../network/loss.js';
import type { InitializerName } from '../network/names.js';
import { type Parameters, predict } from '../network/network.js';
import type { Batch, MethodContext, StepMetrics, Trainer } from './method.js';
import { type ScheduleName, scheduleFactor } from './schedule.js';
import { WeightAverage } from './weight-average.js';

/** What every method that follows the gradient of the plain network is configured by. */
export interface BackPropagationConfig {
  readonly learningRate: number;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly labelSmoothing: number;
  readonly weightAverage: number;
  readonly initializer: InitializerName | readonly InitializerName[];
  readonly bias: number;
}

/** The part of the tensor library's optimizers that training needs; one per model. */
export interface GradientOptimizer {
  setLearningRate(rate: number): void;
  /** One entry per variable, always in the same order: Adam keeps its averages by position. */
  applyGradients(gradients: { name: string; tensor: tf.Tensor }[]): void;
  dispose(): void;
}

/**
 * Trains the plain network by back-propagation:
 *
 *     P <- P - learningRate schedule(t) direction(grad_P loss(smoothed Y, network(X; P))),
 *
 * where the optimizer turns gradients into directions. Loss and accuracy come from the same forward
 * pass as the gradient.
 */
export class BackPropagation implements Trainer {
  readonly columns: readonly string[] = [];
  #t = 0;
  readonly #layers: readonly { readonly weights: Matrix; readonly bias: Vector }[];
  readonly #variables: readonly tf.Variable[];
  readonly #average: WeightAverage;

  constructor(
    readonly context: MethodContext<BackPropagationConfig>,
    readonly optimizer: GradientOptimizer,
  ) {
    const { network, config, random } = context;
    this.#layers = initializeParameters(network, config, random).map(({ weights, bias }) => ({
      weights: toVariable(weights) as Matrix,
      bias: toVariable(bias) as Vector,
    }));
    this.#variables = this.#layers.flatMap(({ weights, bias }) => [weights, bias]);
    this.#average = new WeightAverage(config.weightAverage);
  }

  async step({ x, y }: Batch): Promise<StepMetrics> {
    const { network, config, loss, totalBatches } = this.context;
    const factor = scheduleFactor(config.schedule, this.#t++, totalBatches, config.warmup);
    this.optimizer.setLearningRate(config.learningRate * factor);

    const metrics = tf.tidy(() => {
      const targets = smoothLabels(y, config.labelSmoothing);
      let outputs = y;
      const { value, grads } = tf.variableGrads(() => {
        outputs = tf.keep(predict(network, this.#layers, x));
        return lossValue(loss, targets, outputs);
      }, [...this.#variables]);
      this.optimizer.applyGradients(
        this.#variables.map(({ name }) => ({ name, tensor: grads[name] })),
      );
      const trueLoss = targets === y ? value : lossValue(loss, y, outputs);
      const result = tf.stack([trueLoss, accuracyValue(y, outputs)]);
      outputs.dispose();
      return result;
    });
    this.#average.update(this.#layers);

    const [batchLoss, accuracy] = await metrics.data();
    metrics.dispose();
    return { loss: batchLoss, accuracy };
  }

  parameters(): Parameters {
    return this.#average.parameters(this.#layers);
  }

  dispose(): void {
    this.#average.dispose();
    this.optimizer.dispose();
    tf.dispose([...this.#variables]);
  }
}

type Matrix = tf.Variable<tf.Rank.R2>;
type Vector = tf.Variable<tf.Rank.R1>;

function toVariable(initial: tf.Tensor): tf.Variable {
  const variable = tf.variable(initial);
  initial.dispose();
  return variable;
}
