import * as tf from '@tensorflow/tfjs';
import { orthonormalBasis } from './orthonormal-basis.js';
import { dot } from './orthonormalise.js';

/**
 * Eigenvectors of a symmetric positive semidefinite matrix in single precision; those of eigenvalues below its
 * precision are any orthonormal ones. On the host.
 *
 * A = C C^T with C [n, r] of as many columns as A has rank in single precision, by Cholesky's
 * factorisation with pivots; the eigenvectors V of C^T C [r, r] in float64 give those of A, the columns of C V.
 *
 * @param a [n, n]
 * @returns [n, n], an eigenvector a column, eigenvalues descending
 */
export async function eigenbasis(a: tf.Tensor2D): Promise<tf.Tensor2D> {
  const [n] = a.shape;
  const rows = pivotedCholesky(await a.data(), n);
  const rank = rows.length;
  const gram = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j <= i; j++) gram[i * rank + j] = gram[j * rank + i] = dot(rows[i], rows[j]);
  }
  const vectors = symmetricEigenvectors(gram, rank);
  // Images as rows, the largest eigenvalue first.
  const images = new Float64Array(n * n);
  for (let k = 0; k < rank; k++) {
    const image = images.subarray((rank - 1 - k) * n, (rank - k) * n);
    for (let j = 0; j < rank; j++) {
      const factor = vectors[j * rank + k];
      for (let i = 0; i < n; i++) image[i] += factor * rows[j][i];
    }
  }
  return orthonormalBasis(tf.transpose(tf.tensor2d(Float32Array.from(images), [n, n])));
}

/**
 * One step of orthogonal iteration from a basis that is nearly one of eigenvectors: Q of A B = Q R, with the columns
 * of A B in descending order of diag(B^T A B) (Golub and Van Loan, Matrix Computations, 4th ed., section 8.2.4).
 *
 * @param a [n, n], symmetric
 * @param basis B [n, n], orthonormal
 * @returns the next basis, and where in B its columns come from, [n]
 */
export async function refinedEigenbasis(
  a: tf.Tensor2D,
  basis: tf.Tensor2D,
): Promise<{ readonly basis: tf.Tensor2D; readonly order: tf.Tensor1D }> {
  const image: tf.Tensor2D = tf.matMul(a, basis);
  const estimates = tf.sum(tf.mul(basis, image), 0) as tf.Tensor1D;
  const order = tf.topk(estimates, a.shape[0]).indices;
  return { basis: await orthonormalBasis(tf.gather(image, order, 1)), order };
}

/**
 * Rows of C^T with A = C C^T up to the rounding of single precision.
 * @param a [n, n], row-major
 */
function pivotedCholesky(a: ArrayLike<number>, n: number): Float64Array[] {
  const left = Float64Array.from({ length: n }, (_, i) => a[i * n + i]);
  const negligible = n * 2 ** -23 * Math.max(...left);
  const rows: Float64Array[] = [];
  for (let rank = 0; rank < n; rank++) {
    const pivot = left.reduce((best, value, i) => (value > left[best] ? i : best), 0);
    if (!(left[pivot] > negligible)) break;
    const row = Float64Array.from({ length: n }, (_, i) => a[pivot * n + i]);
    for (const done of rows) {
      const factor = done[pivot];
      for (let i = 0; i < n; i++) row[i] -= factor * done[i];
    }
    const root = Math.sqrt(left[pivot]);
    for (let i = 0; i < n; i++) {
      row[i] /= root;
      left[i] -= row[i] * row[i];
    }
    left[pivot] = 0;
    rows.push(row);
  }
  return rows;
}

/**
 * Eigenvectors of a symmetric matrix as columns, eigenvalues ascending: Householder reflections to tridiagonal form, then
 * the QL algorithm with implicit shifts (EISPACK's tred2 and tql2; Golub and Van Loan, section 8.3). About 8 n^3 flops.
 *
 * @param a [n, n], row-major
 * @returns [n, n], row-major
 */
function symmetricEigenvectors(a: ArrayLike<number>, n: number): Float64Array {
  // Row i will be eigenvector i: all products are of contiguous numbers.
  const rows = Float64Array.from(a);
  const { diagonal, offDiagonal } = tridiagonalise(rows, n);
  diagonalise(rows, diagonal, offDiagonal, n);
  const order = Array.from(diagonal.keys()).sort((i, j) => diagonal[i] - diagonal[j]);
  const vectors = new Float64Array(n * n);
  for (const [column, row] of order.entries()) {
    for (let i = 0; i < n; i++) vectors[i * n + column] = rows[row * n + i];
  }
  return vectors;
}

/** T = Z^T A Z: replaces the rows of A by those of Z^T; offDiagonal[i] is T[i, i - 1]. */
function tridiagonalise(z: Float64Array, n: number) {
  const d = z.slice((n - 1) * n);
  const e = new Float64Array(n);
  for (let i = n - 1; i > 0; i--) {
    let scale = 0;
    for (let k = 0; k < i; k++) scale += Math.abs(d[k]);
    let h = 0;
    if (scale === 0) {
      e[i] = d[i - 1];
      for (let j = 0; j < i; j++) {
        d[j] = z[j * n + i - 1];
        z[j * n + i] = 0;
        z[i * n + j] = 0;
      }
    } else {
      for (let k = 0; k < i; k++) {
        d[k] /= scale;
        h += d[k] * d[k];
      }
      const head = d[i - 1];
      const g = head > 0 ? -Math.sqrt(h) : Math.sqrt(h);
      e[i] = scale * g;
      h -= head * g;
      d[i - 1] = head - g;
      e.fill(0, 0, i);
      // e = A d from the lower triangle, which is that of columns here.
      for (let j = 0; j < i; j++) {
        const f = d[j];
        z[i * n + j] = f;
        const row = j * n;
        let sum = e[j] + z[row + j] * f;
        for (let k = j + 1; k < i; k++) {
          const value = z[row + k];
          sum += value * d[k];
          e[k] += value * f;
        }
        e[j] = sum;
      }
      let f = 0;
      for (let j = 0; j < i; j++) {
        e[j] /= h;
        f += e[j] * d[j];
      }
      const half = f / (h + h);
      for (let j = 0; j < i; j++) e[j] -= half * d[j];
      for (let j = 0; j < i; j++) {
        const [fj, gj, row] = [d[j], e[j], j * n];
        for (let k = j; k < i; k++) z[row + k] -= fj * e[k] + gj * d[k];
        d[j] = z[row + i - 1];
        z[row + i] = 0;
      }
    }
    d[i] = h;
  }
  // Z, the product of the reflections.
  for (let i = 0; i < n - 1; i++) {
    z[i * n + n - 1] = z[i * n + i];
    z[i * n + i] = 1;
    const next = (i + 1) * n;
    const h = d[i + 1];
    if (h !== 0) {
      for (let k = 0; k <= i; k++) d[k] = z[next + k] / h;
      for (let j = 0; j <= i; j++) {
        const row = j * n;
        let g = 0;
        for (let k = 0; k <= i; k++) g += z[next + k] * z[row + k];
        for (let k = 0; k <= i; k++) z[row + k] -= g * d[k];
      }
    }
    z.fill(0, next, next + i + 1);
  }
  for (let j = 0; j < n; j++) {
    d[j] = z[j * n + n - 1];
    z[j * n + n - 1] = 0;
  }
  z[n * n - 1] = 1;
  e[0] = 0;
  return { diagonal: d, offDiagonal: e };
}

/** Eigenvalues of T into d, and the rows of Z^T rotated into eigenvectors. */
function diagonalise(z: Float64Array, d: Float64Array, e: Float64Array, n: number): void {
  e.copyWithin(0, 1);
  e[n - 1] = 0;
  let shift = 0;
  let largest = 0;
  for (let l = 0; l < n; l++) {
    largest = Math.max(largest, Math.abs(d[l]) + Math.abs(e[l]));
    const negligible = Number.EPSILON * largest;
    let m = l;
    while (m < n - 1 && Math.abs(e[m]) > negligible) m++;
    for (let pass = 0; pass < 60 && m > l && Math.abs(e[l]) > negligible; pass++) {
      const g = d[l];
      const q = (d[l + 1] - g) / (2 * e[l]);
      const root = q < 0 ? -hypotenuse(q, 1) : hypotenuse(q, 1);
      d[l] = e[l] / (q + root);
      d[l + 1] = e[l] * (q + root);
      const next = d[l + 1];
      const step = g - d[l];
      for (let i = l + 2; i < n; i++) d[i] -= step;
      shift += step;
      let p = d[m];
      let [c, c2, c3, s, s2] = [1, 1, 1, 0, 0];
      const second = e[l + 1];
      for (let i = m - 1; i >= l; i--) {
        c3 = c2;
        c2 = c;
        s2 = s;
        const below = c * e[i];
        const h = c * p;
        const r = hypotenuse(p, e[i]);
        e[i + 1] = s * r;
        s = e[i] / r;
        c = p / r;
        p = c * d[i] - s * below;
        d[i + 1] = h + s * (c * below + s * d[i]);
        rotate(z, i * n, n, c, s);
      }
      p = (-s * s2 * c3 * second * e[l]) / next;
      e[l] = s * p;
      d[l] = c * p;
    }
    d[l] += shift;
    e[l] = 0;
  }
}

/** The row at `start` and the one below it. */
function rotate(z: Float64Array, start: number, n: number, c: number, s: number): void {
  for (let k = start; k < start + n; k++) {
    const low = z[k + n];
    z[k + n] = s * z[k] + c * low;
    z[k] = c * z[k] - s * low;
  }
}

/** sqrt(a^2 + b^2); the same bits in every engine, which Math.hypot does not promise. */
function hypotenuse(a: number, b: number): number {
  const large = Math.max(Math.abs(a), Math.abs(b));
  if (!(large > 0)) return large;
  const ratio = Math.min(Math.abs(a), Math.abs(b)) / large;
  return large * Math.sqrt(1 + ratio * ratio);
}
