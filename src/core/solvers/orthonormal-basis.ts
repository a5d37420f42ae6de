import * as tf from '@tensorflow/tfjs';

/** Kernel that a backend may register: a [n, n] -> Q of A = Q R. */
export const orthonormalKernel = 'FlnOrthonormal';

/**
 * Q of A = Q R by Householder reflections, which keep Q orthogonal whatever the rank of A: n x n, and of any signs. In
 * blocks (Schreiber and Van Loan 1989): the reflections of a panel of columns are computed on the host in float64, and
 * are applied to the others as I - V T V^T, by matrix products on the device. 8 n^3 / 3 flops.
 *
 * Reference: Golub and Van Loan, Matrix Computations, 4th ed., sections 5.1.7 and 5.2.
 * @param a [n, n]
 */
export async function orthonormalBasis(a: tf.Tensor2D): Promise<tf.Tensor2D> {
  if (tf.getKernel(orthonormalKernel, tf.getBackend())) {
    return tf.engine().runKernel(orthonormalKernel, { a });
  }
  const [n] = a.shape;
  const width = Math.min(panelWidth, n);
  const rest = n - width;
  const panel = tf.slice(a, [0, 0], [n, width]);
  const values = await panel.data();
  if (values.every((value) => value === 0) && (await tf.max(tf.abs(a)).data())[0] === 0) {
    return tf.eye(n);
  }
  const reflections = reflectionsOf(values, n, width);
  const t = tf.tensor2d(reflections.t, [width, width]);
  // Products without transposes are faster on the backend wasm.
  const rows = tf.tensor2d(reflections.v, [width, n]);
  const columns = tf.transpose(rows);
  const reflected = (x: tf.Tensor2D, transposed: boolean): tf.Tensor2D => {
    const weights = tf.matMul(t, tf.matMul(rows, x), transposed, false);
    return tf.sub(x, tf.matMul(columns, weights));
  };
  if (rest === 0) return tf.tidy(() => reflected(tf.eye(n), false));
  const below = tf.tidy(() => {
    const others = reflected(tf.slice(a, [0, width], [n, rest]), true);
    return tf.slice(others, [width, 0], [rest, rest]);
  });
  const inner = await orthonormalBasis(below);
  return tf.tidy(() => {
    const bottom = tf.pad(inner, [
      [0, 0],
      [width, 0],
    ]) as tf.Tensor2D;
    return reflected(tf.concat([tf.eye(width, n), bottom]), false);
  });
}

/** Columns whose reflections are applied together. */
const panelWidth = 64;

/**
 * H_1 ... H_width = I - V T V^T, which takes a panel to upper triangular form.
 * @param panel [n, width], row-major
 * @returns the rows of V^T [width, n], and T [width, width], row-major
 */
function reflectionsOf(panel: ArrayLike<number>, n: number, width: number) {
  // Columns are rows in memory.
  const columns = new Float64Array(width * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < width; j++) columns[j * n + i] = panel[i * width + j];
  }
  const column = (j: number) => columns.subarray(j * n, (j + 1) * n);
  const t = new Float64Array(width * width);
  for (let j = 0; j < width; j++) {
    const v = column(j);
    const tau = makeReflector(v, j);
    for (let k = j + 1; k < width; k++) {
      const other = column(k);
      const product = tau * dotFrom(v, other, j);
      for (let i = j; i < n; i++) other[i] -= product * v[i];
    }
    // T[:j, j] = -tau T[:j, :j] (V[:, :j]^T v_j)
    t[j * width + j] = tau;
    const overlaps = Array.from({ length: j }, (_, k) => -tau * dotFrom(column(k), v, j));
    for (let i = 0; i < j; i++) {
      let sum = 0;
      for (let k = i; k < j; k++) sum += t[i * width + k] * overlaps[k];
      t[i * width + j] = sum;
    }
    // What stands above v is R.
    v.fill(0, 0, j);
  }
  return { v: Float32Array.from(columns), t: Float32Array.from(t) };
}

/**
 * Replaces entries j.. of x by the v, v_j = 1, with (I - tau v v^T) x a multiple of e_j.
 * @returns tau; 0 where there is nothing to reflect
 */
function makeReflector(x: Float64Array, j: number): number {
  const scale = x.subarray(j + 1).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const head = x[j];
  x[j] = 1;
  if (scale === 0) return 0;
  let squares = (head / scale) * (head / scale);
  for (let i = j + 1; i < x.length; i++) squares += (x[i] / scale) * (x[i] / scale);
  const length = (head > 0 ? -1 : 1) * scale * Math.sqrt(squares);
  for (let i = j + 1; i < x.length; i++) x[i] /= head - length;
  return (length - head) / length;
}

function dotFrom(a: Float64Array, b: Float64Array, start: number): number {
  let sum = 0;
  for (let i = start; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
