import type { Tensor2D } from '@tensorflow/tfjs';
import { gramMatrix } from './gram-matrix.js';
import type { Metric } from './metric.js';
import {
  type InverseState,
  type RunningInverseOptions,
  runningInverse,
} from './running-inverse.js';

/**
 * Metric of a layer above the first: C is an exponential average over batches, because the layer's
 * inputs change as the layers below learn.
 */
export function runningMetric(options: RunningInverseOptions): Metric<InverseState> {
  const inverse = runningInverse(options);
  return {
    observe: async (inputs: Tensor2D) => {
      if (inverse.isDue()) await inverse.update(gramMatrix(inputs));
    },
    get state() {
      return inverse.state;
    },
    apply: (state, gradient) => inverse.apply(state, gradient),
    dispose: () => inverse.dispose(),
  };
}
