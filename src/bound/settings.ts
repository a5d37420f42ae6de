import type { Experiment } from '../config/experiment.js';
import type { DatasetInfo } from '../core/dataset.js';
import { splitSizes } from '../data/load.js';
import { UsageError } from '../errors.js';

/** What the user asks of `fln bound` beside the config. */
export interface BoundRequest {
  readonly lambda: readonly number[];
  /** One value for all layers, or one a layer. */
  readonly rho: readonly number[];
  /** Most sweeps over all blocks for each lambda and start. */
  readonly sweeps: number;
  /** Seed of the initial weights; the config's first when absent. */
  readonly seed?: number;
}

/** The request, made to fit the experiment. */
export interface BoundSettings {
  /** Ascending, without repetitions. */
  readonly lambda: readonly number[];
  /** One a layer. */
  readonly rho: readonly number[];
  readonly sweeps: number;
  readonly seed: number;
}

/** All images are kept, with all their activations, and every block is solved over all of them. */
const maxRows = 10_000;

/**
 * @throws UsageError for values that cannot be used, each with the reason: a penalty or a ridge that
 *   is not positive, a list that does not fit the network, more images than can be solved for
 */
export function boundSettings(
  experiment: Experiment,
  dataset: DatasetInfo,
  { lambda, rho, sweeps, seed }: BoundRequest,
): BoundSettings {
  const layers = experiment.network.layers.length;
  const wrong = lambda.find((value) => !(value > 0));
  if (wrong !== undefined) throw new UsageError(`--lambda: ${wrong} is not positive`);
  if (rho.some((value) => !(value > 0))) {
    throw new UsageError(
      '--rho must be positive in every layer. Without a ridge on a layer the bound says nothing: activations ' +
        'and the weights below them can shrink while the weights above grow, which leaves the outputs as they ' +
        'are and takes every penalty to 0. Give, say, --rho 0.001',
    );
  }
  if (rho.length !== 1 && rho.length !== layers) {
    throw new UsageError(
      `--rho has ${rho.length} values, and the network has ${layers} layers: give one value, or one a layer`,
    );
  }
  const { train } = splitSizes(dataset, experiment.dataset);
  if (train > maxRows) {
    throw new UsageError(
      `bound solves every block over all ${train} training images at once, at most ${maxRows}; ` +
        'take fewer: dataset.limit=1000',
    );
  }
  return {
    lambda: [...new Set(lambda)].sort((a, b) => a - b),
    rho: rho.length === layers ? rho : Array<number>(layers).fill(rho[0]),
    sweeps,
    seed: seed ?? experiment.seeds[0],
  };
}
