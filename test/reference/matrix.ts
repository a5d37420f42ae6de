/** Small dense matrices in float64, written to be read: rows are data points, as everywhere. */

export type Vector = readonly number[];
export type Matrix = readonly Vector[];

/** What every reference solver returns. */
export interface Solved<Solution> {
  readonly solution: Solution;
  /** The full objective at `solution`, constants included. */
  readonly objective: number;
  /**
   * Largest entry of the step x - P(x - gradient / curvature), P the projection on the feasible set and
   * `curvature` a bound on the diagonal of the Hessian: zero exactly at a solution, in the units of x.
   */
  readonly residual: number;
}

export const zeros = (rows: number, columns: number): number[][] =>
  Array.from({ length: rows }, () => new Array<number>(columns).fill(0));

export const map = (a: Matrix, f: (value: number, i: number, j: number) => number): number[][] =>
  a.map((row, i) => row.map((value, j) => f(value, i, j)));

/** f(a_ij, b_ij) */
export const zip = (a: Matrix, b: Matrix, f: (x: number, y: number) => number): number[][] =>
  map(a, (value, i, j) => f(value, b[i][j]));

export const sum = (values: Vector): number => values.reduce((total, value) => total + value, 0);

export const sumAll = (a: Matrix): number => sum(a.map(sum));

export const dot = (a: Vector, b: Vector): number => {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i] * b[i];
  return total;
};

export const maxAbs = (a: Matrix): number =>
  a.reduce((worst, row) => row.reduce((w, value) => Math.max(w, Math.abs(value)), worst), 0);

/** Largest |a_ij - b_ij|; NaN counts as infinitely far. */
export function distance(a: Matrix, b: Matrix): number {
  let worst = 0;
  for (const [i, row] of b.entries()) {
    for (let j = 0; j < row.length; j++) {
      const d = Math.abs(a[i][j] - row[j]);
      worst = Number.isNaN(d) ? Number.POSITIVE_INFINITY : Math.max(worst, d);
    }
  }
  return worst;
}

export const transpose = (a: Matrix): number[][] =>
  Array.from({ length: a[0].length }, (_, j) => a.map((row) => row[j]));

export function multiply(a: Matrix, b: Matrix): number[][] {
  const columns = transpose(b);
  return a.map((row) => columns.map((column) => dot(row, column)));
}

/** X W + b */
export const affine = (x: Matrix, weights: Matrix, bias: Vector): number[][] =>
  map(multiply(x, weights), (value, _, j) => value + bias[j]);

/** [X, 1] */
export const withOnes = (x: Matrix): number[][] => x.map((row) => [...row, 1]);

/** Rows of a flat row-major array, e.g. a tensor's data. */
export const fromFlat = (values: ArrayLike<number>, rows: number, columns: number): number[][] =>
  map(zeros(rows, columns), (_, i, j) => values[i * columns + j]);

/** x with A x = b for symmetric positive definite A; undefined when a pivot is not positive. */
export function solvePositiveDefinite(a: Matrix, b: Vector): number[] | undefined {
  const n = b.length;
  const l = zeros(n, n);
  const x = [...b];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let value = a[i][j];
      for (let k = 0; k < j; k++) value -= l[i][k] * l[j][k];
      if (j < i) l[i][j] = value / l[j][j];
      else if (value > 0) l[i][i] = Math.sqrt(value);
      else return undefined;
    }
  }
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i] -= l[i][k] * x[k];
    x[i] /= l[i][i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] -= l[k][i] * x[k];
    x[i] /= l[i][i];
  }
  return x;
}

/** A = U diag(s) V^T with r = min(rows, columns) singular values, not sorted. */
interface Svd {
  /** r left singular vectors, as rows; zero where s is zero. */
  readonly u: number[][];
  readonly s: number[];
  /** r right singular vectors, as rows. */
  readonly v: number[][];
}

/** One-sided Jacobi (Hestenes): rotates columns of A until all are orthogonal. */
export function svd(a: Matrix): Svd {
  if (a.length < a[0].length) {
    const { u, s, v } = svd(transpose(a));
    return { u: v, s, v: u };
  }
  const u = transpose(a);
  const n = u.length;
  const v = map(zeros(n, n), (_, i, j) => (i === j ? 1 : 0));
  for (let sweep = 0, rotated = true; rotated && sweep < 60; sweep++) {
    rotated = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const alpha = dot(u[p], u[p]);
        const beta = dot(u[q], u[q]);
        const gamma = dot(u[p], u[q]);
        if (gamma === 0 || Math.abs(gamma) <= 1e-16 * Math.sqrt(alpha * beta)) continue;
        rotated = true;
        const zeta = (beta - alpha) / (2 * gamma);
        const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t);
        rotate(u, p, q, c, c * t);
        rotate(v, p, q, c, c * t);
      }
    }
  }
  const s = u.map((column) => Math.sqrt(dot(column, column)));
  return { u: map(u, (value, i) => (s[i] > 0 ? value / s[i] : 0)), s, v };
}

function rotate(rows: number[][], p: number, q: number, c: number, s: number): void {
  for (let i = 0; i < rows[p].length; i++) {
    const x = rows[p][i];
    const y = rows[q][i];
    rows[p][i] = c * x - s * y;
    rows[q][i] = s * x + c * y;
  }
}

/** The minimum-norm X of min ||B - A X||^2, and the numerical rank of A. */
export function leastSquares(a: Matrix, b: Matrix): { x: number[][]; rank: number } {
  const { u, s, v } = svd(a);
  const cutoff = 8 * Math.max(a.length, a[0].length) * Number.EPSILON * Math.max(...s);
  const x = zeros(a[0].length, b[0].length);
  const columns = transpose(b);
  for (let k = 0; k < s.length; k++) {
    if (s[k] <= cutoff) continue;
    for (let c = 0; c < columns.length; c++) {
      const weight = dot(u[k], columns[c]) / s[k];
      for (let i = 0; i < x.length; i++) x[i][c] += weight * v[k][i];
    }
  }
  return { x, rank: s.filter((value) => value > cutoff).length };
}
