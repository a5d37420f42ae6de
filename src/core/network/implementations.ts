import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs';
import type { Activation } from './activations/activation.js';
import type { ActivationName, LossName } from './names.js';

/**
 * A training loss of the network's outputs u [m, classes] against targets y [m, classes], row by row:
 * sums and means are the caller's.
 */
export interface Loss {
  /** Loss of each row, [m]. */
  rows(y: Tensor2D, u: Tensor2D): Tensor1D;
  /** Gradient of the row's loss, [m, classes]. */
  gradient(y: Tensor2D, u: Tensor2D): Tensor2D;
  /** Largest eigenvalue that the Hessian of a row's loss can have. */
  readonly curvature: number;
}

/*
 * Implementations by name. The registries add the built-in ones when the tensor library is loaded, and
 * plugins (src/config/plugins) add theirs, for which it need not be.
 */

export const activations: Record<ActivationName, Activation> = {};

export const losses: Record<LossName, Loss> = {};

/** Adds built-in implementations, which nothing may replace: assigning to them throws a TypeError. */
export function addBuiltIn<T>(
  registry: Record<string, T>,
  builtIn: Readonly<Record<string, T>>,
): void {
  for (const [name, value] of Object.entries(builtIn)) {
    Object.defineProperty(registry, name, { value: Object.freeze(value), enumerable: true });
  }
}
