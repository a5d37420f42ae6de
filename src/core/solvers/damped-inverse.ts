import * as tf from '@tensorflow/tfjs';
import { type CholeskyFactor, factor } from './cholesky.js';
import { euclideanNorm } from './solver.js';

/**
 * Systems A + diag(ridge), A symmetric: their inverse on the device where a float32 product is accurate enough, from
 * float64 or by blocks, or a factorisation in float64 on the host.
 */

/**
 * (A + diag(ridge))^-1 on the device, from a factorisation in float64 on the host.
 *
 * @param matrix A [size, size], symmetric, row-major; not changed
 * @param ridge added to each diagonal entry
 * @throws NotPositiveDefiniteError when the sum cannot be factored
 */
export function dampedInverse(
  matrix: ArrayLike<number>,
  size: number,
  ridge: (row: number) => number,
): tf.Tensor2D {
  const inverse = factor(ridged(matrix, size, ridge), size).inverse();
  return tf.tensor2d(Float32Array.from(inverse), [size, size]);
}

/**
 * (A + diag(ridge))^-1 of a symmetric A on the device: by blocks, with products there, where single precision is
 * accurate enough; else from a factorisation in float64 on the host.
 *
 * @param a A [size, size]
 * @param ridge of a row, from 0; `mean` is the mean diagonal entry of A
 * @param accuracy largest relative error
 * @throws NotPositiveDefiniteError when the sum cannot be factored
 */
export async function deviceInverse(
  a: tf.Tensor2D,
  ridge: (row: number, mean: number) => number,
  accuracy: number,
): Promise<tf.Tensor2D> {
  const [size] = a.shape;
  const trace = tf.tidy(() => tf.sum(tf.mul(a, tf.eye(size))));
  const [sum] = await trace.data();
  trace.dispose();
  const ridges = Float32Array.from({ length: size }, (_, i) => ridge(i, sum / size));
  const damped = tf.tidy(() => tf.add(a, tf.mul(tf.eye(size), tf.tensor1d(ridges)))) as tf.Tensor2D;
  const isAccurate = rounding(sum / ridges.reduce((a, b) => Math.min(a, b)) + 1) <= accuracy;
  const inverse = await inverseByBlocks(damped, isAccurate ? blockSize : size);
  damped.dispose();
  return inverse;
}

/** Relative error of an inverse in single precision; `condition` bounds the condition number, as trace(A) / min(ridge) + 1 does. */
export const rounding = (condition: number): number => 2 ** -24 * condition;

/** Up to this size a factorisation on the host takes less time than the products of two halves. */
const blockSize = 128;

/**
 * With A = [B C; C^T D], P = B^-1 and S = D - C^T P C, R = S^-1 and Q = P C:
 *
 *     A^-1 = [P + Q R Q^T, -Q R; -R Q^T, R]
 */
async function inverseByBlocks(a: tf.Tensor2D, largest: number): Promise<tf.Tensor2D> {
  const [n] = a.shape;
  if (n <= largest) {
    const inverse = factor(Float64Array.from(await a.data()), n).inverse();
    return tf.tensor2d(Float32Array.from(inverse), [n, n]);
  }
  const half = n >> 1;
  const rest = n - half;
  const upper = tf.slice2d(a, [0, 0], [half, half]);
  const p = await inverseByBlocks(upper, largest);
  const { q, complement } = tf.tidy(() => {
    const c = tf.slice2d(a, [0, half], [half, rest]);
    const q: tf.Tensor2D = tf.matMul(p, c);
    const d = tf.slice2d(a, [half, half], [rest, rest]);
    return { q, complement: tf.sub(d, tf.matMul(c, q, true, false)) as tf.Tensor2D };
  });
  const r = await inverseByBlocks(complement, largest);
  const inverse = tf.tidy(() => {
    const qr: tf.Tensor2D = tf.matMul(q, r);
    const off = tf.neg(qr);
    const top = tf.concat([tf.add(p, tf.matMul(qr, q, false, true)), off], 1);
    return tf.concat([top, tf.concat([tf.transpose(off), r], 1)]) as tf.Tensor2D;
  });
  tf.dispose([upper, p, q, complement, r]);
  return inverse;
}

function ridged(matrix: ArrayLike<number>, size: number, ridge: (row: number) => number) {
  const sum = Float64Array.from(matrix);
  for (let i = 0; i < size; i++) sum[i * size + i] += ridge(i);
  return sum;
}

/** Mean diagonal entry of A [size, size], row-major: the unit of a relative ridge. */
export function meanDiagonal(matrix: ArrayLike<number>, size: number): number {
  let trace = 0;
  for (let i = 0; i < size; i++) trace += matrix[i * size + i];
  return trace / size;
}

/**
 * Least squares with one matrix A and many right-hand sides:
 *
 *     min_P  ||T - A P||^2 + sum_i ridge_i ||P_i||^2,   (A^T A + diag(ridge)) P = A^T T.
 *
 * Factored once, and solved in float64 on the host: with the tiny ridge of a pseudo-inverse, the
 * product with a float32 inverse would be inaccurate.
 */
export type NormalEquations = {
  readonly factor: CholeskyFactor;
  /** A^T A + diag(ridge), to measure residuals with. */
  readonly matrix: tf.Tensor2D;
};

/**
 * @param gram A^T A [size, size], row-major; not changed
 * @throws NotPositiveDefiniteError when the sum is not positive definite in float64, or not finite
 */
export function normalEquations(
  gram: ArrayLike<number>,
  size: number,
  ridge: (row: number) => number,
): NormalEquations {
  const sum = ridged(gram, size, ridge);
  return { factor: factor(sum, size), matrix: tf.tensor2d(Float32Array.from(sum), [size, size]) };
}

/**
 * @param right A^T T [size, columns]
 * @returns P, and the relative residual ||(A^T A + diag(ridge)) P - A^T T|| / ||A^T T||
 */
export async function solveNormalEquations(
  { factor, matrix }: NormalEquations,
  right: tf.Tensor2D,
): Promise<{ solution: tf.Tensor2D; residual: number }> {
  const values = await right.data();
  const solution = tf.tensor2d(
    Float32Array.from(factor.solve(values, right.shape[1])),
    right.shape,
  );
  const residual = tf.tidy(() => {
    const misfit = tf.sub(tf.matMul(matrix, solution), right);
    return tf.div(euclideanNorm(misfit), tf.add(euclideanNorm(right), 1e-30));
  });
  const [value] = await residual.data();
  residual.dispose();
  return { solution, residual: value };
}
