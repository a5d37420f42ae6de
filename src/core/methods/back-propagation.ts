import * as tf from '@tensorflow/tfjs';
import type { z } from 'zod';
import { compiled } from '../compile.js';
import { initializeParameters } from '../network/initialize.js';
import { accuracyValue, lossValue, smoothLabels } from '../network/loss.js';
import { predict } from '../network/network.js';
import type { LayerParameters, Parameters } from '../network/parameters.js';
import type * as fields from './fields.js';
import type { Method, MethodContext } from './method.js';
import { scalars } from './scalars.js';
import { scheduleFactor } from './schedule.js';
import { averageWeights, noAverage, type WeightAverage } from './weight-average.js';

/** Config that the methods which train by back-propagation have in common. */
export type BackPropagationConfig = z.output<z.ZodObject<typeof fields.backPropagation>> & {
  readonly learningRate: number;
};

/**
 * How a method turns gradients into steps, for each parameter tensor P on its own. It is part of the
 * compiled step, which the tensor library's optimizers cannot be: they keep variables and plain numbers.
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

type State = {
  /** Steps done. */
  readonly t: number;
  readonly parameters: Parameters;
  /** Of each parameter tensor, weights and bias of each layer in turn. */
  readonly averages: readonly (readonly tf.Tensor[])[];
  readonly weightAverage: WeightAverage;
};

/**
 * Trains the feed-forward network by back-propagation:
 *
 *     P <- P - learningRate schedule(t) (direction(grad_P loss(smoothed Y, network(X; P))) + weightDecay W),
 *
 * where the update rule turns gradients into directions, and the decay stays apart from it (Loshchilov
 * and Hutter 2019). Loss and accuracy come from the same forward pass as the gradient.
 */
export function backPropagation<Config extends BackPropagationConfig>(
  ruleOf: (config: Config) => UpdateRule,
): Method<Config, undefined, State> {
  const update = compiled(
    ({ network, config, loss }: MethodContext<Config>, input: Input): Output => {
      const { x, y, parameters, averages, coefficients, decay } = input;
      const rule = ruleOf(config);
      const targets = smoothLabels(y, config.labelSmoothing);
      const tensors = parameters.flatMap(tensorsOf);
      let outputs = y;
      const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
        outputs = tf.keep(predict(network, layersOf(values), x));
        return lossValue(loss, targets, outputs);
      })(tensors);

      const steps = grads.map((gradient, i) => rule.step(gradient, averages[i], coefficients));
      const next = tensors.map((tensor, i) => {
        const isWeights = i % 2 === 0;
        const kept = isWeights && decay.length > 0 ? tf.mul(tensor, decay[0]) : tensor;
        return tf.sub(kept, steps[i].step);
      });
      const trueLoss = targets === y ? value : lossValue(loss, y, outputs);
      const scores = tf.stack([trueLoss, accuracyValue(y, outputs)]);
      outputs.dispose();
      return { parameters: layersOf(next), averages: steps.map((step) => step.averages), scores };
    },
  );

  return {
    init({ network, config, random }) {
      const parameters = initializeParameters(network, config, random);
      const averages = parameters
        .flatMap(tensorsOf)
        .map((tensor) =>
          Array.from({ length: ruleOf(config).averages }, () => tf.zerosLike(tensor)),
        );
      return { t: 0, parameters, averages, weightAverage: noAverage };
    },

    async step(context, _, state, { x, y }) {
      const { config, totalBatches } = context;
      const t = state.t + 1;
      const rate =
        config.learningRate * scheduleFactor(config.schedule, state.t, totalBatches, config.warmup);
      const { scores, ...next } = update(context, {
        parameters: state.parameters,
        averages: state.averages,
        x,
        y,
        coefficients: scalars(ruleOf(config).coefficients(t, rate)),
        decay: scalars(config.weightDecay > 0 ? [1 - rate * config.weightDecay] : []),
      });
      const weightAverage = averageWeights(context, state.weightAverage, next.parameters);
      const [loss, accuracy] = await scores.data();
      return { state: { t, ...next, weightAverage }, metrics: { loss, accuracy } };
    },

    parameters: ({ parameters, weightAverage }) => weightAverage.average ?? parameters,
  };
}

type Input = Pick<State, 'parameters' | 'averages'> & {
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
  readonly coefficients: readonly tf.Scalar[];
  /** Factor of the weights, not the biases; empty without weight decay. */
  readonly decay: readonly tf.Scalar[];
};

type Output = Pick<State, 'parameters' | 'averages'> & {
  /** Loss and accuracy, [2]. */
  readonly scores: tf.Tensor;
};

const tensorsOf = ({ weights, bias }: LayerParameters): tf.Tensor[] => [weights, bias];

/** The layers whose {@link tensorsOf} are, in turn, `tensors`. */
function layersOf(tensors: readonly tf.Tensor[]): LayerParameters[] {
  return Array.from({ length: tensors.length / 2 }, (_, l) => ({
    weights: tensors[2 * l] as tf.Tensor2D,
    bias: tensors[2 * l + 1] as tf.Tensor1D,
  }));
}
