import * as tf from '@tensorflow/tfjs';

/** Kernels that a backend may register for operations that the tensor library does not have. */
export const deviceKernels = {
  /** a [n, n] -> its lower Cholesky factor, zero above the diagonal; not finite where there is none */
  cholesky: 'FlnCholesky',
  /** l [n, n], rhs [n, q]; `adjoint` -> L^-1 rhs or L^-T rhs */
  triangularSolve: 'FlnTriangularSolve',
} as const;

/** Whether the current backend has these kernels. */
export const hasDeviceCholesky = (): boolean =>
  Boolean(tf.getKernel(deviceKernels.cholesky, tf.getBackend()));

/**
 * L with A = L L^T, in single precision on the device; nothing is read back. Where A is not positive
 * definite the sum of L's entries is not finite.
 */
export const deviceCholesky = (a: tf.Tensor2D): tf.Tensor2D =>
  tf.engine().runKernel(deviceKernels.cholesky, { a });

/** X with L L^T X = rhs. */
export function deviceSolve(l: tf.Tensor2D, rhs: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const solve = (right: tf.Tensor2D, adjoint: boolean): tf.Tensor2D =>
      tf.engine().runKernel(deviceKernels.triangularSolve, { l, rhs: right }, { adjoint });
    return solve(solve(rhs, false), true);
  });
}
