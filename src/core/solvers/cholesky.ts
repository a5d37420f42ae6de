import { RunError } from '../../errors.js';

/**
 * Cholesky factorisation A = L L^T of symmetric positive definite matrices, on the host in float64.
 *
 * Everything is a dot product of two contiguous rows, computed for a tile of 4 x 2 pairs of rows at a
 * time: eight running sums fit the 16 vector registers JavaScript engines use, and each number
 * loaded is used in two to four multiplications. Rows and columns are padded to a multiple of 4 with the
 * identity, so no tile has an edge.
 *
 * Reference: Golub and Van Loan, Matrix Computations, 4th ed., section 4.2.
 */

/** A matrix is not positive definite: it has a pivot that is zero, negative or NaN. */
export class NotPositiveDefiniteError extends RunError {
  override name = 'NotPositiveDefiniteError';

  constructor(
    /** Row, from 0, at which the factorisation broke down. */
    readonly pivotIndex: number,
    readonly pivot: number,
    readonly size: number,
  ) {
    super(
      `Cholesky factorisation failed: pivot ${pivotIndex + 1} of ${size} is ${pivot.toPrecision(3)}, so the matrix is ` +
        (Number.isFinite(pivot)
          ? 'not positive definite: try a larger ridge, damping or proximal weight'
          : 'not finite: the numbers have diverged, try a smaller step size'),
    );
  }
}

/** The factor of one matrix; immutable. */
export interface CholeskyFactor {
  /** Rows of the matrix. */
  readonly n: number;
  /**
   * X with A X = rhs.
   * @param rhs [n, columns], row-major
   * @returns [n, columns], row-major, a new array
   */
  solve(rhs: ArrayLike<number>, columns?: number): Float64Array;
  /** L^-1 rhs, of {@link solve}'s shapes: its Gram matrix is rhs^T A^-1 rhs. */
  halfSolve(rhs: ArrayLike<number>, columns?: number): Float64Array;
  /** A^-1, [n, n], exactly symmetric, a new array. */
  inverse(): Float64Array;
  /** log det A */
  logDeterminant(): number;
  /** The row, from 0, of the smallest pivot, and its value. */
  smallestPivot(): { readonly index: number; readonly pivot: number };
}

/**
 * Factors a symmetric positive definite matrix; n^3/3 flops.
 *
 * @param a [n, n], row-major; only the lower triangle is read, and nothing is written
 * @throws NotPositiveDefiniteError at the first pivot that is not a positive finite number
 */
export function factor(a: Float64Array | Float32Array, n: number): CholeskyFactor {
  if (a.length !== n * n) throw new RangeError(`expected ${n} x ${n} numbers, got ${a.length}`);
  return new PaddedFactor(n, lowerFactor(a, n));
}

const tileRows = 4;
const tileColumns = 2;

class PaddedFactor implements CholeskyFactor {
  readonly #stride: number;
  #transposed: Float64Array | undefined;

  constructor(
    readonly n: number,
    private readonly lower: Float64Array,
  ) {
    this.#stride = roundUp(n, tileRows);
  }

  solve(rhs: ArrayLike<number>, columns = rhs.length / this.n): Float64Array {
    return this.#substitute(rhs, columns, true);
  }

  halfSolve(rhs: ArrayLike<number>, columns = rhs.length / this.n): Float64Array {
    return this.#substitute(rhs, columns, false);
  }

  #substitute(rhs: ArrayLike<number>, columns: number, back: boolean): Float64Array {
    const { n, lower } = this;
    if (rhs.length !== n * columns) {
      throw new RangeError(`expected ${n} x ${columns} numbers, got ${rhs.length}`);
    }
    const stride = this.#stride;
    const paddedColumns = roundUp(columns, tileColumns);
    // Right-hand sides as rows, so that they too are contiguous.
    const x = new Float64Array(paddedColumns * stride);
    for (let i = 0; i < n; i++) {
      for (let c = 0; c < columns; c++) x[c * stride + i] = rhs[i * columns + c];
    }
    forwardSubstitute(lower, x, stride, paddedColumns);
    if (back) {
      this.#transposed ??= transpose(lower, stride);
      backSubstitute(this.#transposed, x, stride, paddedColumns);
    }
    const result = new Float64Array(n * columns);
    for (let i = 0; i < n; i++) {
      for (let c = 0; c < columns; c++) result[i * columns + c] = x[c * stride + i];
    }
    return result;
  }

  logDeterminant() {
    let sum = 0;
    for (let i = 0; i < this.n; i++) sum += 2 * Math.log(this.lower[i * this.#stride + i]);
    return sum;
  }

  smallestPivot() {
    let index = 0;
    const root = (i: number) => this.lower[i * this.#stride + i];
    for (let i = 1; i < this.n; i++) if (root(i) < root(index)) index = i;
    return { index, pivot: root(index) ** 2 };
  }

  inverse(): Float64Array {
    const { n } = this;
    const stride = this.#stride;
    // Row j of m is column j of L^-1: zero before its diagonal.
    const m = invertLower(this.lower, stride);
    const result = new Float64Array(n * n);
    const tile = new Float64Array(tileRows * tileColumns);
    for (let i = 0; i < n; i += tileRows) {
      for (let j = 0; j < i + tileRows && j < n; j += tileColumns) {
        dotTile(m, i * stride + i, m, j * stride + i, stride, stride - i, tile);
        for (let t = 0; t < tile.length; t++) {
          const row = i + (t >> 1);
          const column = j + (t & 1);
          if (row >= n || column > row) continue;
          result[row * n + column] = tile[t];
          result[column * n + row] = tile[t];
        }
      }
    }
    return result;
  }
}

function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple;
}

/** out[2 r + c] = sum_p a[aStart + r stride + p] b[bStart + c stride + p], r < 4, c < 2, p < length. */
function dotTile(
  a: Float64Array,
  aStart: number,
  b: Float64Array,
  bStart: number,
  stride: number,
  length: number,
  out: Float64Array,
): void {
  const a1 = aStart + stride;
  const a2 = a1 + stride;
  const a3 = a2 + stride;
  const b1 = bStart + stride;
  let s00 = 0;
  let s01 = 0;
  let s10 = 0;
  let s11 = 0;
  let s20 = 0;
  let s21 = 0;
  let s30 = 0;
  let s31 = 0;
  for (let p = 0; p < length; p++) {
    const y0 = b[bStart + p];
    const y1 = b[b1 + p];
    let x = a[aStart + p];
    s00 += x * y0;
    s01 += x * y1;
    x = a[a1 + p];
    s10 += x * y0;
    s11 += x * y1;
    x = a[a2 + p];
    s20 += x * y0;
    s21 += x * y1;
    x = a[a3 + p];
    s30 += x * y0;
    s31 += x * y1;
  }
  out[0] = s00;
  out[1] = s01;
  out[2] = s10;
  out[3] = s11;
  out[4] = s20;
  out[5] = s21;
  out[6] = s30;
  out[7] = s31;
}

/** L of the padded matrix, [stride, stride]; the strict upper triangle is zero. */
function lowerFactor(a: Float64Array | Float32Array, n: number): Float64Array {
  const stride = roundUp(n, tileRows);
  const l = new Float64Array(stride * stride);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) l[i * stride + j] = a[i * n + j];
  }
  for (let i = n; i < stride; i++) l[i * stride + i] = 1;

  const tile = new Float64Array(tileRows * tileColumns);
  for (let i = 0; i < stride; i += tileRows) {
    for (let j = 0; j < i + tileRows; j += tileColumns) {
      dotTile(l, i * stride, l, j * stride, stride, j, tile);
      const d = j * stride + j;
      let firstRow = i;
      if (j >= i) {
        // The two pivots of this tile.
        const t = tileColumns * (j - i);
        l[d] = pivotRoot(l[d] - tile[t], j, n);
        l[d + stride] = (l[d + stride] - tile[t + 2]) / l[d];
        const pivot = l[d + stride + 1] - tile[t + 3] - l[d + stride] * l[d + stride];
        l[d + stride + 1] = pivotRoot(pivot, j + 1, n);
        firstRow = j + tileColumns;
      }
      for (let row = firstRow; row < i + tileRows; row++) {
        const t = tileColumns * (row - i);
        const at = row * stride + j;
        l[at] = (l[at] - tile[t]) / l[d];
        l[at + 1] = (l[at + 1] - tile[t + 1] - l[at] * l[d + stride]) / l[d + stride + 1];
      }
    }
  }
  return l;
}

function pivotRoot(pivot: number, index: number, size: number): number {
  if (!(pivot > 0 && pivot < Number.POSITIVE_INFINITY)) {
    throw new NotPositiveDefiniteError(index, pivot, size);
  }
  return Math.sqrt(pivot);
}

function transpose(a: Float64Array, stride: number): Float64Array {
  const result = new Float64Array(a.length);
  for (let i = 0; i < stride; i++) {
    for (let j = 0; j < stride; j++) result[j * stride + i] = a[i * stride + j];
  }
  return result;
}

/** L x = b for each row of x, in place. */
function forwardSubstitute(l: Float64Array, x: Float64Array, stride: number, rows: number): void {
  const tile = new Float64Array(tileRows * tileColumns);
  for (let i = 0; i < stride; i += tileRows) {
    for (let c = 0; c < rows; c += tileColumns) {
      dotTile(l, i * stride, x, c * stride, stride, i, tile);
      finishForward(l, x, stride, i, c, tile);
    }
  }
}

/** (L^-1)^T, [stride, stride]: forward substitution of the identity, skipping its leading zeros. */
function invertLower(l: Float64Array, stride: number): Float64Array {
  const m = new Float64Array(stride * stride);
  for (let i = 0; i < stride; i++) m[i * stride + i] = 1;
  const tile = new Float64Array(tileRows * tileColumns);
  for (let i = 0; i < stride; i += tileRows) {
    for (let j = 0; j < i + tileRows; j += tileColumns) {
      dotTile(l, i * stride + j, m, j * stride + j, stride, Math.max(0, i - j), tile);
      finishForward(l, m, stride, i, j, tile);
    }
  }
  return m;
}

/** Solves the 4 x 4 triangle at the diagonal of rows i..i+3, for rows c and c+1 of x. */
function finishForward(
  l: Float64Array,
  x: Float64Array,
  stride: number,
  i: number,
  c: number,
  tile: Float64Array,
): void {
  for (let t = 0; t < tileColumns; t++) {
    const at = (c + t) * stride + i;
    for (let r = 0; r < tileRows; r++) {
      const row = (i + r) * stride + i;
      let value = x[at + r] - tile[tileColumns * r + t];
      for (let q = 0; q < r; q++) value -= l[row + q] * x[at + q];
      x[at + r] = value / l[row + r];
    }
  }
}

/** U x = b for each row of x, in place; U = L^T. */
function backSubstitute(u: Float64Array, x: Float64Array, stride: number, rows: number): void {
  const tile = new Float64Array(tileRows * tileColumns);
  for (let i = stride - tileRows; i >= 0; i -= tileRows) {
    const next = i + tileRows;
    for (let c = 0; c < rows; c += tileColumns) {
      dotTile(u, i * stride + next, x, c * stride + next, stride, stride - next, tile);
      for (let t = 0; t < tileColumns; t++) {
        const at = (c + t) * stride + i;
        for (let r = tileRows - 1; r >= 0; r--) {
          const row = (i + r) * stride + i;
          let value = x[at + r] - tile[tileColumns * r + t];
          for (let q = r + 1; q < tileRows; q++) value -= u[row + q] * x[at + q];
          x[at + r] = value / u[row + r];
        }
      }
    }
  }
}
