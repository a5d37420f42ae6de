import type { Tensor } from '@tensorflow/tfjs';
import { isTensor } from '../tree.js';

/**
 * All that the steps of a trainer change: tensors, float64 values that are kept on the host, and
 * numbers, in arrays and plain objects. What is undefined has not come about yet.
 */
export type TrainerState =
  | Tensor
  | Float64Array
  | number
  | undefined
  | readonly TrainerState[]
  | { readonly [key: string]: TrainerState };

/** A part of a state that has no parts itself. */
export type StateLeaf = Tensor | Float64Array | number | undefined;

export function isLeaf(state: TrainerState): state is StateLeaf {
  return typeof state !== 'object' || state instanceof Float64Array || isTensor(state);
}

/** Hands a state over to a trainer, in the place of the one it has. */
export function restoreState(trainer: { state: TrainerState }, saved: TrainerState): void {
  const old = trainer.state;
  trainer.state = saved;
  disposeState(old);
}

export function disposeState(state: TrainerState): void {
  if (isTensor(state)) state.dispose();
  else if (!isLeaf(state)) for (const part of Object.values(state)) disposeState(part);
}
