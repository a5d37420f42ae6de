/** Names under which a backend may register factorisations that the tensor library has no names for. */
export const deviceKernels = {
  /** a [n, n] -> its lower Cholesky factor, zero above the diagonal; not a number where a has none */
  cholesky: 'FlnCholesky',
  /** l [n, n], rhs [n, q]; `adjoint` -> L^-1 rhs or L^-T rhs */
  triangularSolve: 'FlnTriangularSolve',
} as const;
