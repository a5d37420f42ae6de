import * as tf from '@tensorflow/tfjs';
import { dampedInverse } from '../../../solvers/damped-inverse.js';
import { gramMatrix } from './gram-matrix.js';
import type { Metric } from './metric.js';

interface RunningMetricOptions {
  /** delta */
  readonly damping: number;
  /** Factor of the exponential average, per batch. */
  readonly average: number;
  /** Batches between updates. */
  readonly refresh: number;
}

/**
 * Metric of a layer above the first: A is an exponential average over batches, because the layer's
 * inputs change as the layers below learn. Kept and factored in float64.
 */
export class RunningMetric implements Metric {
  readonly #options: RunningMetricOptions;
  #batches = 0;
  #average: Float64Array | undefined;
  #inverse: tf.Tensor2D | undefined;

  constructor(options: RunningMetricOptions) {
    this.#options = options;
  }

  async observe(inputs: tf.Tensor2D): Promise<void> {
    const due = this.#batches++ % this.#options.refresh === 0;
    if (!due) return;
    const gram = gramMatrix(inputs);
    const current = await gram.data();
    gram.dispose();
    this.#update(current, inputs.shape[1] + 1);
  }

  #update(current: ArrayLike<number>, size: number): void {
    const { damping, refresh } = this.#options;
    const average = this.#options.average ** refresh;
    const previous = this.#average;
    const next = previous ?? new Float64Array(current);
    if (previous) {
      for (let i = 0; i < next.length; i++) {
        next[i] = average * previous[i] + (1 - average) * current[i];
      }
    }
    this.#average = next;
    const inverse = dampedInverse(next, size, () => damping);
    this.#inverse?.dispose();
    this.#inverse = inverse;
  }

  apply(gradient: tf.Tensor2D): tf.Tensor2D {
    const inverse = this.#inverse;
    if (!inverse) throw new Error('the metric was applied before it observed a batch');
    return tf.matMul(inverse, gradient);
  }

  dispose(): void {
    this.#inverse?.dispose();
    this.#inverse = undefined;
  }
}
