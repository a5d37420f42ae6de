import * as tf from '@tensorflow/tfjs';
import { RunError } from '../errors.js';
import { deviceKernels } from './device-kernels.js';

/** Whether the current backend factors matrices where they are. */
export const hasDeviceCholesky = (): boolean =>
  Boolean(tf.getKernel(deviceKernels.cholesky, tf.getBackend()));

/**
 * L with A = L L^T, in single precision on the device; nothing is read back. Where A is not positive
 * definite L is not a number, as {@link checkFactor} finds.
 */
export const deviceCholesky = (a: tf.Tensor2D): tf.Tensor2D =>
  tf.engine().runKernel(deviceKernels.cholesky, { a });

/**
 * @param sum of the entries of a factor, read back
 * @throws RunError when the factorisation broke down
 */
export function checkFactor(sum: number): void {
  if (Number.isFinite(sum)) return;
  throw new RunError(
    'Cholesky factorisation failed: the matrix is not positive definite or not finite. ' +
      'Try a larger ridge, damping or proximal weight, or a smaller step size',
  );
}

/** X with L L^T X = rhs. */
export function deviceSolve(l: tf.Tensor2D, rhs: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const solve = (right: tf.Tensor2D, adjoint: boolean): tf.Tensor2D =>
      tf.engine().runKernel(deviceKernels.triangularSolve, { l, rhs: right }, { adjoint });
    return solve(solve(rhs, false), true);
  });
}
