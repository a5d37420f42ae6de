import * as tf from '@tensorflow/tfjs';
import { RunError } from '../errors.js';

/** Names under which a backend may register factorisations of its own. */
export const deviceKernels = {
  /** a [n, n] -> its lower Cholesky factor, zero above the diagonal */
  cholesky: 'FlnCholesky',
  /** l [n, n], rhs [n, q]; `adjoint` -> L^-1 rhs or L^-T rhs */
  triangularSolve: 'FlnTriangularSolve',
} as const;

/** Whether the current backend factors matrices where they are. */
export const hasDeviceCholesky = (): boolean =>
  Boolean(tf.getKernel(deviceKernels.cholesky, tf.getBackend()));

/**
 * L with A = L L^T, in single precision on the device; nothing is read back.
 * @throws what the backend throws when A is not positive definite; NaN gives NaN
 */
export const deviceCholesky = (a: tf.Tensor2D): tf.Tensor2D =>
  tf.engine().runKernel(deviceKernels.cholesky, { a });

/** The program's own words for what a backend throws when it cannot factor a matrix. */
export function notFactored(error: unknown): unknown {
  if (!(error instanceof Error) || !error.message.includes('Cholesky')) return error;
  return new RunError(
    'Cholesky factorisation failed: the matrix is not positive definite. Try a larger damping',
    { cause: error },
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
