import type * as tf from '@tensorflow/tfjs';
import type { Experiment } from '../config/experiment.js';
import type { ActivationName, LossName } from '../core/network/names.js';
import type { Network } from '../core/network/network.js';
import { splitSizes } from '../data/load.js';
import { UsageError } from '../errors.js';

/** The problem that all values of lambda share. */
export interface BoundProblem {
  readonly network: Network;
  readonly activations: readonly ActivationName[];
  readonly loss: LossName;
  /** [m, features] and [m, classes], of all training images. */
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
  /** One per layer, > 0. */
  readonly rho: readonly number[];
}

export interface BoundSettings {
  /** Penalty weights, ascending, without repetitions. */
  readonly lambda: readonly number[];
  /** Ridge, one per layer. */
  readonly rho: readonly number[];
  /** Maximum number of sweeps over all blocks, for each lambda and start. */
  readonly sweeps: number;
  /** Seed of the initial weights. */
  readonly seed: number;
  /** A certified lower bound of one hidden ReLU layer instead; lambda and sweeps are not used. */
  readonly certify?: boolean;
}

/** The options of `fln bound`: `lambda` in any order, `rho` one value for all layers or one per layer. */
export interface BoundRequest extends Omit<BoundSettings, 'seed'> {
  /** Default: the config's first. */
  readonly seed?: number;
}

/** All images are kept, with all their activations, and every block is solved over all of them. */
const maxRows = 10_000;

/** @throws UsageError for values that are not positive, do not fit the network, or too many images */
export function boundSettings(
  experiment: Experiment,
  { lambda, rho, sweeps, seed, certify }: BoundRequest,
): BoundSettings {
  const layers = experiment.network.layers.length;
  const wrong = lambda.find((value) => !(value > 0));
  if (wrong !== undefined)
    throw new UsageError(`--lambda: expected positive numbers, got ${wrong}`);
  if (rho.some((value) => !(value > 0))) {
    throw new UsageError(
      '--rho must be positive in every layer. Without a ridge on a layer the bound is meaningless: activations ' +
        'and the weights below them can shrink while the weights above grow, which leaves the outputs ' +
        'unchanged and takes every penalty to 0. Try --rho 0.001',
    );
  }
  if (rho.length !== 1 && rho.length !== layers) {
    throw new UsageError(
      `--rho has ${rho.length} values, but the network has ${layers} layers: give one value, or one per layer`,
    );
  }
  const { train } = splitSizes(experiment.data, experiment.dataset);
  if (train > maxRows) {
    throw new UsageError(
      `fln bound solves every block over all ${train} training images at once, and supports at most ` +
        `${maxRows}. Use fewer: dataset.limit=1000`,
    );
  }
  return {
    lambda: [...new Set(lambda)].sort((a, b) => a - b),
    rho: rho.length === layers ? rho : Array<number>(layers).fill(rho[0]),
    sweeps,
    seed: seed ?? experiment.seeds[0],
    ...(certify && { certify }),
  };
}

/** The result for one lambda. Every objective is float64. */
export interface BoundRow {
  readonly lambda: number;
  /** G(lambda) at the best point found: an upper bound of its minimum. */
  readonly liftedObjective: number;
  /** The feed-forward objective p with the weights of that point. */
  readonly primalObjective: number;
  /** Sweeps over all blocks, from all starts together; of the one-layer problem, Newton steps. */
  readonly iterations: number;
  /** One-layer problem: the lower bound of the minimum of G(lambda) that weak duality certifies. */
  readonly dualValue?: number;
  /** liftedObjective - dualValue */
  readonly gap?: number;
}

export interface BoundReport extends BoundSettings {
  /** `one-layer`: B(Y, X P) itself, convex, certified (Appendix B); `network`: the lifted network. */
  readonly kind: 'network' | 'one-layer';
  readonly rows: readonly BoundRow[];
  /** Smallest p found: of Adam from the initial weights, and of the weights of all rows. */
  readonly bestPrimal: number;
  /** p of the weights that Adam found. */
  readonly adamPrimal: number;
}

/** What the numbers prove and what they do not. */
export function statements({ kind, bestPrimal }: BoundReport): string[] {
  const best = bestPrimal.toPrecision(6);
  if (kind === 'one-layer') {
    return [
      'Certified: for each lambda, the minimum of the lifted objective lies between the dual value (a lower bound, ' +
        'by weak duality; float64) and the lifted objective reached.',
      'Not certified: anything about the feed-forward objective, which is not convex. Its minimum is at most ' +
        `${best}, the smallest value found. The dual value bounds the lifted objective, not this one.`,
    ];
  }
  return [
    `Certified: the minimum p* of the feed-forward objective is at most ${best}, the smallest value found; the minimum ` +
      'of the lifted objective is at most the value reached, and in theory at most p*.',
    'Not certified: how far the minima are below the values found. Neither problem is convex: the lifted objective ' +
      'reached is an upper bound of its own minimum, and no bound of p*.',
  ];
}
