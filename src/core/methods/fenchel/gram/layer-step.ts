import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import type { LayerParameters } from '../../../network/parameters.js';
import type { State as TrainerState, Tree } from '../../../tree.js';

/** What a layer's W-step is taken from. */
export interface LayerState {
  /** P_l = [W_l; b_l] before the step. */
  readonly layer: LayerParameters;
  /** F_l [m, inputs] */
  readonly inputs: Tensor2D;
  /** U_l [m, outputs] */
  readonly preActivations: Tensor2D;
  /** g_l [m, outputs]: dB/du at the new activations, or the loss gradient in the last layer. */
  readonly slope: Tensor2D;
  /** As {@link LayerStep.metric} holds it. */
  readonly metric: Tree;
  /** As {@link LayerStep.initialAverages} starts them. */
  readonly averages: Tree;
  /** As {@link LayerStep.coefficients} gives them. */
  readonly coefficients: readonly Scalar[];
}

/** The W-steps of one layer: one proximal step a batch, in the metric of the layer's input Gram matrix. */
export interface LayerStep {
  /**
   * Takes in the inputs of the layer before the step of a batch.
   * @throws NotPositiveDefiniteError when the Gram matrix cannot be factored
   */
  observe(inputs: Tensor2D): Promise<void>;
  /** Tensors that stand for the metric after the last batch observed; owned by this object. */
  readonly metric: Tree;
  /** What `observe` changes, for checkpoints. */
  state: TrainerState;
  /** What is averaged over steps, before the first; the caller's. */
  initialAverages(): Tree;
  /**
   * Numbers of a step that change from batch to batch.
   * @param t from 1
   * @param rate factor of the schedule
   */
  coefficients(t: number, rate: number): readonly number[];
  /** A compiled function: new parameters of the layer and new averages. */
  advance(state: LayerState): { readonly layer: LayerParameters; readonly averages: Tree };
  dispose(): void;
}
