import type { Tensor2D } from '@tensorflow/tfjs';
import type { State as TrainerState, Tree } from '../../../tree.js';

/**
 * The metric of one layer's proximal W-step: the inverse of an averaged input Gram matrix
 *
 *     C = mean of [F, 1]^T [F, 1] over rows,   F the layer's inputs,   M = (C + delta I)^-1.
 */
export interface Metric<Applied extends Tree = Tree> {
  /**
   * Takes in the inputs F [m, p] of a batch before its step.
   * @throws NotPositiveDefiniteError when C + delta I cannot be factored
   */
  observe(inputs: Tensor2D): Promise<void>;
  /** Tensors that M is applied by, as of the last batch; owned by this object. */
  readonly applied: Applied;
  /** M G, [p + 1, q], inside a compiled function. */
  apply(applied: Applied, gradient: Tensor2D): Tensor2D;
  /** What `observe` changes, for checkpoints: nothing where the metric is fixed. */
  state: TrainerState;
  dispose(): void;
}
