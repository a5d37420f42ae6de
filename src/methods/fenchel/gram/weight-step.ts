import type { Tensor2D } from '@tensorflow/tfjs';
import type { LayerParameters } from '../../../network/network.js';

/** What a layer's W-step is taken from. */
export interface LayerState {
  /** P_l = [W_l; b_l] before the step. */
  readonly layer: LayerParameters;
  /** F_l [m, inputs] */
  readonly inputs: Tensor2D;
  /** U_l [m, outputs] */
  readonly preActivations: Tensor2D;
  /** g_l [m, outputs]: dB/du at the new activations, or the loss gradient in the last layer. */
  readonly residual: Tensor2D;
}

/** The W-steps of all layers: one proximal step each, in the metric of the layer's input Gram matrix. */
export interface WeightStep {
  /**
   * Takes in the inputs of layer `l` before the steps of a batch.
   * @throws NotPositiveDefiniteError when a Gram matrix cannot be factored
   */
  observe(l: number, inputs: Tensor2D): Promise<void>;
  /**
   * New parameters of layer `l`, inside the caller's tidy.
   * @param rate factor of the schedule
   */
  advance(l: number, state: LayerState, rate: number): LayerParameters;
  dispose(): void;
}
