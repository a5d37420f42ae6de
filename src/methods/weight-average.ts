import * as tf from '@tensorflow/tfjs';
import { disposeParameters, type Parameters } from '../network/network.js';

/**
 * Exponential moving average of a network's parameters, to test with:
 *
 *     average <- f average + (1 - f) current,   f = min(limit, t / (t + 10)),   t = 1, 2, ...
 *
 * It starts from the weights after the first step; the rising factor forgets them quickly. With
 * `limit` 0 there is no average and no cost: `parameters` returns the current ones.
 */
export class WeightAverage {
  #t = 0;
  #average: Parameters | undefined;

  /** @param limit largest factor f, in [0, 1) (config field `weightAverage`) */
  constructor(readonly limit: number) {}

  /** Takes in the parameters after a step. */
  update(current: Parameters): void {
    if (this.limit === 0) return;
    this.#t++;
    const factor = Math.min(this.limit, this.#t / (this.#t + 10));
    const previous = this.#average ?? current;
    const next = previous.map((layer, l) => ({
      weights: blend(layer.weights, current[l].weights, factor),
      bias: blend(layer.bias, current[l].bias, factor),
    }));
    if (this.#average) disposeParameters(this.#average);
    this.#average = next;
  }

  /** The average, or `current` where none is kept; owned by this object, or by the caller. */
  parameters(current: Parameters): Parameters {
    return this.#average ?? current;
  }

  dispose(): void {
    if (this.#average) disposeParameters(this.#average);
    this.#average = undefined;
  }
}

/** factor a + (1 - factor) b, kept beyond any enclosing tidy. */
function blend<T extends tf.Tensor>(a: T, b: T, factor: number): T {
  return tf.tidy(() => tf.keep(tf.add(tf.mul(a, factor), tf.mul(b, 1 - factor)))) as T;
}
