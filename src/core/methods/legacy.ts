import * as tf from '@tensorflow/tfjs';
import { type Compiled, compile } from '../compile.js';
import { disposeParameters } from '../network/network.js';
import type { Parameters } from '../network/parameters.js';
import { blend } from '../solvers/blend.js';
import { disposeTree, type State } from '../tree.js';
import { scalars } from './scalars.js';

export function restoreState(trainer: { state: State }, saved: State): void {
  const old = trainer.state;
  trainer.state = saved;
  disposeTree(old);
}

/**
 * Exponential moving average of a network's parameters, to test with:
 *
 *     average <- f average + (1 - f) current,   f = min(limit, t / (t + 10)),   t = 1, 2, ...
 *
 * It starts from the weights after the first step; the rising factor forgets them quickly. With
 * `limit` 0 there is no average and no cost: `parameters` returns the current ones.
 */
export class LegacyWeightAverage {
  #t = 0;
  #average: Parameters | undefined;
  readonly #blend: Compiled<Averaging, Parameters> = compile(averaged);

  /** @param limit largest factor f, in [0, 1) (config field `weightAverage`) */
  constructor(readonly limit: number) {}

  /** Takes in the parameters after a step. */
  update(current: Parameters): void {
    if (this.limit === 0) return;
    this.#t++;
    const f = Math.min(this.limit, this.#t / (this.#t + 10));
    const shares = scalars([f, 1 - f]);
    const next = this.#blend.run({ average: this.#average ?? current, current, shares });
    tf.dispose(shares);
    if (this.#average) disposeParameters(this.#average);
    this.#average = next;
  }

  get state(): AverageState {
    return { t: this.#t, average: this.#average };
  }

  set state({ t, average }: AverageState) {
    this.#t = t;
    this.#average = average;
  }

  /** The average, or `current` where none is kept; owned by this object, or by the caller. */
  parameters(current: Parameters): Parameters {
    return this.#average ?? current;
  }

  dispose(): void {
    if (this.#average) disposeParameters(this.#average);
    this.#average = undefined;
    this.#blend.dispose();
  }
}

/** Of a it. */
export type AverageState = { readonly t: number; readonly average: Parameters | undefined };

type Averaging = {
  readonly average: Parameters;
  readonly current: Parameters;
  /** f and 1 - f */
  readonly shares: readonly tf.Scalar[];
};

function averaged({ average, current, shares }: Averaging): Parameters {
  return average.map(({ weights, bias }, l) => ({
    weights: blend(weights, current[l].weights, shares),
    bias: blend(bias, current[l].bias, shares),
  }));
}
