import * as tf from '@tensorflow/tfjs';
import { dampedInverse } from '../../../solvers/damped-inverse.js';
import { gramMatrix } from './gram-matrix.js';
import type { Metric } from './metric.js';
import { RunningGram, type RunningGramOptions } from './running-gram.js';

interface RunningMetricOptions extends RunningGramOptions {
  /** delta */
  readonly damping: number;
}

/**
 * Metric of a layer above the first: C is an exponential average over batches, because the layer's
 * inputs change as the layers below learn. Kept and factored in float64.
 */
export class RunningMetric implements Metric {
  readonly #damping: number;
  readonly #gram: RunningGram;
  #inverse: tf.Tensor2D | undefined;

  constructor({ damping, ...average }: RunningMetricOptions) {
    this.#damping = damping;
    this.#gram = new RunningGram(average);
  }

  async observe(inputs: tf.Tensor2D): Promise<void> {
    if (!this.#gram.isDue()) return;
    const gram = gramMatrix(inputs);
    const current = await gram.data();
    gram.dispose();
    const inverse = dampedInverse(
      this.#gram.update(current),
      inputs.shape[1] + 1,
      () => this.#damping,
    );
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
