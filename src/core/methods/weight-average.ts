import type * as tf from '@tensorflow/tfjs';
import { compiled } from '../compile.js';
import type { Parameters } from '../network/parameters.js';
import { blend } from '../solvers/blend.js';
import { scalars } from './scalars.js';

/**
 * Exponential moving average of a network's parameters, to test with:
 *
 *     average <- f average + (1 - f) current,   f = min(limit, t / (t + 10)),   t = 1, 2, ...
 *
 * It starts from the weights after the first step; the rising factor reduces their influence quickly. With
 * `limit` 0 (config field `weightAverage`) there is no average and no cost.
 */
export type WeightAverage = { readonly t: number; readonly average: Parameters | undefined };

export const noAverage: WeightAverage = { t: 0, average: undefined };

type Context = { readonly config: { readonly weightAverage: number } };

/** What a compiled step takes to average the weights that it makes; both empty where there is no average. */
export type Averaging = {
  readonly average: Parameters;
  /** f and 1 - f */
  readonly shares: readonly tf.Scalar[];
};

/** @param parameters of the same shapes as those to be averaged: their values do not count */
export function averagingOf(
  { config }: Context,
  { t, average }: WeightAverage,
  parameters: Parameters,
): Averaging {
  const limit = config.weightAverage;
  if (limit === 0) return { average: [], shares: [] };
  const f = average ? Math.min(limit, (t + 1) / (t + 11)) : 0;
  return { average: average ?? parameters, shares: scalars([f, 1 - f]) };
}

/** The average with the new weights `current`; inside a compiled function. */
export const averaged = ({ average, shares }: Averaging, current: Parameters): Parameters =>
  blend(average, current, shares);

/** @param average that {@link averaged} returned */
export const nextAverage = (
  { config }: Context,
  { t }: WeightAverage,
  average: Parameters,
): WeightAverage => (config.weightAverage === 0 ? noAverage : { t: t + 1, average });

/** The average after a step to the parameters `current`. */
export function averageWeights(
  context: Context,
  old: WeightAverage,
  current: Parameters,
): WeightAverage {
  if (context.config.weightAverage === 0) return noAverage;
  const averaging = averagingOf(context, old, current);
  return nextAverage(context, old, blended(context, { averaging, current }));
}

type Weights = { readonly averaging: Averaging; readonly current: Parameters };

const blended = compiled((_: object, { averaging, current }: Weights) =>
  averaged(averaging, current),
);
