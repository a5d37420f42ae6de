import type { Tensor2D } from '@tensorflow/tfjs';

/**
 * The metric of one layer's proximal W-step: the inverse of an averaged input Gram matrix
 *
 *     C = mean of [F, 1]^T [F, 1] over rows,   F the layer's inputs,   M = (C + delta I)^-1.
 */
export interface Metric {
  /**
   * Takes in the inputs F [m, p] of a batch before its step.
   * @throws NotPositiveDefiniteError when C + delta I cannot be factored
   */
  observe(inputs: Tensor2D): Promise<void>;
  /** M G, [p + 1, q], inside the caller's tidy. */
  apply(gradient: Tensor2D): Tensor2D;
  dispose(): void;
}
