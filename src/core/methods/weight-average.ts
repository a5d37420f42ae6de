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

/** The average after a step to the parameters `current`. */
export function averageWeights(
  context: { readonly config: { readonly weightAverage: number } },
  { t, average }: WeightAverage,
  current: Parameters,
): WeightAverage {
  const limit = context.config.weightAverage;
  if (limit === 0) return noAverage;
  const f = Math.min(limit, (t + 1) / (t + 11));
  const shares = scalars([f, 1 - f]);
  return { t: t + 1, average: blended(context, { average: average ?? current, current, shares }) };
}

type Averaging = {
  readonly average: Parameters;
  readonly current: Parameters;
  /** f and 1 - f */
  readonly shares: readonly tf.Scalar[];
};

const blended = compiled((_: object, { average, current, shares }: Averaging) =>
  blend(average, current, shares),
);
