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
export function runningMetric(options: Omit<RunningInverseOptions, 'gram'>): Metric<InverseState> {
  const inverse = runningInverse({ ...options, gram: gramMatrix });
  return {
    observe: (inputs) => inverse.observe(inputs),
    get state() {
      return inverse.state;
    },
    apply: (state, gradient) => inverse.apply(state, gradient),
    dispose: () => inverse.dispose(),
  };
}
