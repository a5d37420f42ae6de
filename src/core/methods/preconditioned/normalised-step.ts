import * as tf from '@tensorflow/tfjs';
import type { LinearMap } from '../../network/maps/linear-map.js';
import type { Layers } from '../../network/network.js';
import type { LayerParameters } from '../../network/parameters.js';
import { blend } from '../../solvers/blend.js';
import { euclideanNorm } from '../../solvers/solver.js';
import { leavesOf, type Tree, withLeaves, zipTrees } from '../../tree.js';
import type { MethodContext } from '../method.js';
import { scalars } from '../scalars.js';
import { scheduleFactor } from '../schedule.js';
import type { PreconditionedConfig } from './config.js';

/*
 * Steps of a normalised length along preconditioned directions D (preconditioned.ts has the equations): v averages the
 * mean square change of a layer's pre-activations by D, M averages D, and M / sqrt(v) is scaled to `rmsChange`.
 */

/** Of a layer, before their correction: v, and M / (1 - momentum). */
export type Averages<T extends Tree = LayerParameters> = {
  readonly change: tf.Scalar;
  readonly direction: T;
};

export const initialAverages = ({ weightShape: [patch, channels] }: LinearMap): Averages => ({
  change: tf.scalar(0),
  direction: { weights: tf.zeros([patch, channels]), bias: tf.zeros([channels]) },
});

/** Factor of the average of squared changes, per batch. */
const changeDecay = 0.99;

type LengthConfig = Pick<
  PreconditionedConfig,
  'schedule' | 'warmup' | 'momentum' | 'rmsChange' | 'weightDecay'
>;

/**
 * Of step t from 0: rate rmsChange over M's correction, v's correction, and what is left of the weights.
 * @param fullChange in place of rmsChange
 */
export function normalisedCoefficients(
  { config, totalBatches }: Pick<MethodContext<LengthConfig>, 'config' | 'totalBatches'>,
  t: number,
  fullChange = config.rmsChange,
): tf.Scalar[] {
  const { schedule, warmup, momentum, weightDecay } = config;
  const change = scheduleFactor(schedule, t, totalBatches, warmup) * fullChange;
  return scalars([
    (change * (1 - momentum)) / (1 - momentum ** (t + 1)),
    1 - changeDecay ** (t + 1),
    1 - change * weightDecay,
  ]);
}

/**
 * The change of [W; b] by a direction D, before decay and of a normalised length, and the next averages.
 * @param energy tr(D^T H D)
 * @param units outputs of the layer, times what H is a multiple of
 */
export function normalisedStep<T extends Tree>(
  { momentum }: Pick<PreconditionedConfig, 'momentum'>,
  { direction, energy }: { readonly direction: T; readonly energy: tf.Scalar },
  layer: {
    readonly averages: Averages<T>;
    readonly coefficients: readonly tf.Scalar[];
    readonly units: number;
  },
): { readonly change: T; readonly averages: Averages<T> } {
  const [length, correction] = layer.coefficients;
  const squared: tf.Scalar = tf.relu(tf.div(energy, layer.units));
  const averages = {
    change: blend(layer.averages.change, squared, [changeDecay, 1 - changeDecay]),
    direction: zipTrees(layer.averages.direction, direction, (sum, d) =>
      tf.add(tf.mul(sum, momentum), d),
    ),
  };
  const size = tf.sqrt(tf.div(averages.change, correction));
  const scale = tf.div(length, tf.add(size, 1e-12));
  const scaled = leavesOf(averages.direction).map((sum) => tf.mul(sum, scale));
  return { change: withLeaves(averages.direction, scaled), averages };
}

/**
 * A change of a layer, shortened to `maxChange` on the batch where that is less,
 *
 *     change min(1, maxChange ||U|| / ||A(F; change)||):
 *
 * the preconditioner may not know of inputs that are new in this batch.
 * @param layers F_l and U_l of the batch
 */
export function limited(
  { maxChange }: Pick<PreconditionedConfig, 'maxChange'>,
  map: LinearMap,
  change: LayerParameters,
  { inputs, preActivations }: Pick<Layers, 'inputs' | 'preActivations'>,
  l: number,
): LayerParameters {
  if (maxChange === undefined) return change;
  const size = tf.add(euclideanNorm(map.apply(inputs[l], change)), 1e-12);
  const factor = tf.minimum(1, tf.div(tf.mul(euclideanNorm(preActivations[l]), maxChange), size));
  const shortened = leavesOf(change).map((values) => tf.mul(values, factor));
  return withLeaves(change, shortened);
}

/** @param kept what is left of the weights, 1 without weight decay */
export const stepped = (
  { weights, bias }: LayerParameters,
  change: LayerParameters,
  kept: tf.Scalar,
): LayerParameters => ({
  weights: tf.sub(tf.mul(weights, kept), change.weights),
  bias: tf.sub(bias, change.bias),
});
