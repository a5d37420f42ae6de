import * as tf from '@tensorflow/tfjs';
import type { z } from 'zod';
import { compiled } from '../compile.js';
import { initializeParameters } from '../network/initialize.js';
import { accuracyValue, losses, lossValue, smoothLabels } from '../network/loss.js';
import type { LinearMap } from '../network/maps/linear-map.js';
import { forwardLayers, type Network } from '../network/network.js';
import type { LayerParameters, Parameters } from '../network/parameters.js';
import type { Tree } from '../tree.js';
import type * as fields from './fields.js';
import {
  type Draws,
  drawNoise,
  hardwareOf,
  type NoiseTape,
  noiseTape,
  readInputs,
} from './hardware.js';
import type { Method, MethodContext } from './method.js';
import { scalars } from './scalars.js';
import { scheduleFactor } from './schedule.js';
import { gradientOf, learningSignals } from './signals.js';
import {
  type Averaging,
  averaged,
  averagingOf,
  nextAverage,
  noAverage,
  type WeightAverage,
} from './weight-average.js';

/** Config that the methods which train by back-propagation have in common. */
export type BackPropagationConfig = z.output<z.ZodObject<typeof fields.backPropagation>> & {
  readonly learningRate: number;
};

/** A parameter tensor: the weights [patch, channels] of a layer, or its bias [channels]. */
export interface Place {
  readonly isWeights: boolean;
  readonly layer: number;
  readonly isLastLayer: boolean;
  /** Whether the layer has a norm, which removes the size of its weights. */
  readonly isNormalised: boolean;
  readonly map: LinearMap;
}

/**
 * How a method turns gradients into steps, for each parameter tensor P on its own. `step` is part of the
 * compiled step, which the tensor library's optimizers cannot be: they keep variables and plain numbers.
 */
export interface UpdateRule<Averages extends Tree = readonly tf.Tensor[]> {
  /** What is kept of a parameter tensor from step to step, before the first one. */
  init(tensor: tf.Tensor, place: Place): Averages;
  /**
   * Numbers of step t that are the same for all parameters.
   * @param t from 1
   * @param rate learning rate of this step
   */
  coefficients(t: number, rate: number): readonly number[];
  /** Learning rate of a parameter tensor, by which weights decay; that of the step when absent. */
  rateOf?(place: Place, rate: number): number;
  /** P before a step is subtracted from it; P itself when absent. */
  rescaled?(tensor: tf.Tensor, place: Place): tf.Tensor;
  /** @returns what to subtract from P, and the next averages */
  step(
    gradient: tf.Tensor,
    averages: Averages,
    coefficients: readonly tf.Scalar[],
    place: Place,
  ): { readonly step: tf.Tensor; readonly averages: Averages };
  /**
   * Work after step t that reads values, such as a new eigenbasis: not compiled, and part of the step's time.
   * @returns the next averages of all parameter tensors; tensors of `averages` may be part of it
   */
  refresh?(t: number, averages: readonly Averages[]): Promise<readonly Averages[]>;
}

type State<Averages extends Tree> = {
  /** Steps done. */
  readonly t: number;
  readonly parameters: Parameters;
  /** Of each parameter tensor, weights and bias of each layer in turn. */
  readonly averages: readonly Averages[];
  readonly weightAverage: WeightAverage;
};

/**
 * Trains the feed-forward network by back-propagation:
 *
 *     P <- P - learningRate schedule(t) (direction(grad_P loss(smoothed Y, network(X; P))) + weightDecay W),
 *
 * where the update rule turns gradients into directions, and the decay stays apart from it (Loshchilov
 * and Hutter 2019). Loss and accuracy come from the same forward pass as the gradient. `noise` and `quantize` are
 * hardware.ts.
 */
export function backPropagation<
  Config extends BackPropagationConfig,
  Averages extends Tree = readonly tf.Tensor[],
>(ruleOf: (config: Config) => UpdateRule<Averages>): Method<Config, NoiseTape, State<Averages>> {
  const update = compiled(
    ({ network, config, loss }: MethodContext<Config>, input: Input<Averages>) => {
      const { x, y, parameters, coefficients, decay } = input;
      const rule = ruleOf(config);
      const hardware = hardwareOf(config, input.draws);
      const forward = forwardLayers(network, parameters, x, hardware);
      const outputs = forward.preActivations[parameters.length - 1];
      const targets = smoothLabels(y, config.labelSmoothing);
      const outputGradient = tf.div(losses[loss].gradient(targets, outputs), x.shape[0]);
      const signals = learningSignals(
        network,
        parameters,
        forward,
        outputGradient as tf.Tensor2D,
        { rule: 'back-propagation' },
        hardware,
      );
      const inputs = readInputs(hardware, forward.inputs);
      const steps = network.maps
        .flatMap((_, l) => tensorsOf(gradientOf(network, signals, inputs, l)))
        .map((gradient, i) =>
          rule.step(gradient, input.averages[i], coefficients, placeOf(network, i)),
        );
      const next = parameters.flatMap(tensorsOf).map((tensor, i) => {
        const isWeights = i % 2 === 0;
        if (isWeights && network.stages[i / 2].isFrozen) return tf.add(tensor, 0);
        const own = rule.rescaled?.(tensor, placeOf(network, i)) ?? tensor;
        const kept = isWeights && decay.length > 0 ? tf.mul(own, decay[i / 2]) : own;
        return tf.sub(kept, steps[i].step);
      });
      const scores = tf.stack([lossValue(loss, y, outputs), accuracyValue(y, outputs)]);
      return {
        parameters: layersOf(next),
        averages: steps.map((step) => step.averages),
        average: averaged(input.averaging, layersOf(next)),
        scores,
      };
    },
  );

  return {
    prepare: noiseTape,

    init({ network, config, random }) {
      const parameters = initializeParameters(network, config, random);
      const rule = ruleOf(config);
      const averages = parameters
        .flatMap(tensorsOf)
        .map((tensor, i) => rule.init(tensor, placeOf(network, i)));
      return { t: 0, parameters, averages, weightAverage: noAverage };
    },

    async step(context, tape, state, { x, y }) {
      const { config, network, totalBatches } = context;
      const rule = ruleOf(config);
      const t = state.t + 1;
      const rate =
        config.learningRate * scheduleFactor(config.schedule, state.t, totalBatches, config.warmup);
      const keptOf = (_: LinearMap, l: number) => {
        const own = rule.rateOf?.(placeOf(network, 2 * l), rate) ?? rate;
        return 1 - own * config.weightDecay;
      };
      const { scores, parameters, averages, average } = update(context, {
        parameters: state.parameters,
        averaging: averagingOf(context, state.weightAverage, state.parameters),
        averages: state.averages,
        x,
        y,
        coefficients: scalars(rule.coefficients(t, rate)),
        decay: scalars(config.weightDecay > 0 ? network.maps.map(keptOf) : []),
        draws: drawNoise(context, tape, `step/${t}`),
      });
      const refreshed = rule.refresh ? await rule.refresh(t, averages) : averages;
      const weightAverage = nextAverage(context, state.weightAverage, average);
      const [loss, accuracy] = await scores.data();
      return {
        state: { t, parameters, averages: refreshed, weightAverage },
        metrics: { loss, accuracy },
      };
    },

    parameters: ({ parameters, weightAverage }) => weightAverage.average ?? parameters,
  };
}

type Input<Averages extends Tree> = Pick<State<Averages>, 'parameters' | 'averages'> & {
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
  readonly coefficients: readonly tf.Scalar[];
  /** Factor of the weights of each layer, not the biases; empty without weight decay. */
  readonly decay: readonly tf.Scalar[];
  readonly draws: Draws;
  readonly averaging: Averaging;
};

const tensorsOf = ({ weights, bias }: LayerParameters): tf.Tensor[] => [weights, bias];

/** Of parameter tensor i, in the order of {@link tensorsOf}. */
function placeOf({ maps, stages }: Pick<Network, 'maps' | 'stages'>, i: number): Place {
  const layer = Math.floor(i / 2);
  const isLastLayer = layer === maps.length - 1;
  const isNormalised = stages[layer].norm !== undefined;
  return { isWeights: i % 2 === 0, layer, isLastLayer, isNormalised, map: maps[layer] };
}

/** The layers whose {@link tensorsOf} are, in turn, `tensors`. */
function layersOf(tensors: readonly tf.Tensor[]): LayerParameters[] {
  return Array.from({ length: tensors.length / 2 }, (_, l) => ({
    weights: tensors[2 * l] as tf.Tensor2D,
    bias: tensors[2 * l + 1] as tf.Tensor1D,
  }));
}
