import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { factor, NotPositiveDefiniteError } from '../../src/core/solvers/cholesky.js';
import { FlnError } from '../../src/errors.js';

const sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 31, 64, 101];

/** X^T X + ridge I for a random X [rows, n]. */
function gram(n: number, rows: number, ridge: number, seed: number): Float64Array {
  const random = new Random(seed, 'gram');
  const x = Float64Array.from({ length: rows * n }, () => random.normal());
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < rows; k++) a[i * n + j] += x[k * n + i] * x[k * n + j];
    }
    a[i * n + i] += ridge;
  }
  return a;
}

function product(a: Float64Array, b: Float64Array, n: number, columns: number): Float64Array {
  const result = new Float64Array(n * columns);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      for (let c = 0; c < columns; c++)
        result[i * columns + c] += a[i * n + k] * b[k * columns + c];
    }
  }
  return result;
}

function largestDifference(a: Float64Array, b: Float64Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i])), 0);
}

function identity(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
}

describe('Cholesky factor', () => {
  it.each(sizes)('solves and inverts a %i x %i system', (n) => {
    const a = gram(n, n + 3, 0.5, n);
    const untouched = a.slice();
    const cholesky = factor(a, n);
    const random = new Random(n, 'rhs');
    for (const columns of [1, 2, 3, 5]) {
      const x = Float64Array.from({ length: n * columns }, () => random.normal());
      const rhs = product(a, x, n, columns);
      const expected = rhs.slice();
      expect(largestDifference(cholesky.solve(rhs, columns), x)).toBeLessThan(1e-9);
      expect(rhs).toEqual(expected);
    }
    const inverse = cholesky.inverse();
    expect(largestDifference(product(a, inverse, n, n), identity(n))).toBeLessThan(1e-9);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < i; j++) expect(inverse[i * n + j]).toBe(inverse[j * n + i]);
    }
    expect(a).toEqual(untouched);
  });

  it('has the closed form of a 2 x 2 matrix', () => {
    const cholesky = factor(Float64Array.of(4, 2, 2, 3), 2);
    const solution = cholesky.solve(Float64Array.of(8, 7));
    expect(largestDifference(solution, Float64Array.of(1.25, 1.5))).toBeLessThan(1e-15);
    const inverse = Float64Array.of(0.375, -0.25, -0.25, 0.5);
    expect(largestDifference(cholesky.inverse(), inverse)).toBeLessThan(1e-15);
    expect(cholesky.logDeterminant()).toBeCloseTo(Math.log(8), 14);
  });

  it('reads only the lower triangle, and float32 input', () => {
    const cholesky = factor(Float32Array.of(4, Number.NaN, 2, 3), 2);
    const solution = cholesky.solve(Float32Array.of(8, 7));
    expect(largestDifference(solution, Float64Array.of(1.25, 1.5))).toBeLessThan(1e-15);
  });

  it('keeps float64 accuracy when the matrix is ill-conditioned', () => {
    const n = 40;
    const a = gram(n, 20, 1e-6, 7);
    const x = Float64Array.from({ length: n }, (_, i) => Math.cos(i));
    const rhs = product(a, x, n, 1);
    const residual = largestDifference(product(a, factor(a, n).solve(rhs), n, 1), rhs);
    expect(residual).toBeLessThan(1e-11);
  });

  it('refuses arrays of the wrong size', () => {
    expect(() => factor(new Float64Array(8), 3)).toThrow('expected 3 x 3 numbers, got 8');
    expect(() => factor(identity(3), 3).solve(new Float64Array(7), 2)).toThrow(
      'expected 3 x 2 numbers, got 7',
    );
  });
});

describe('a matrix that is not positive definite', () => {
  it.each(sizes)('is refused at its first bad pivot, whatever its place (n = %i)', (n) => {
    for (let bad = 0; bad < n; bad++) {
      const a = identity(n);
      a[bad * n + bad] = bad % 2 === 0 ? 0 : -2;
      try {
        factor(a, n);
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(NotPositiveDefiniteError);
        expect(error).toBeInstanceOf(FlnError);
        expect(error).toMatchObject({ pivotIndex: bad, pivot: a[bad * n + bad], size: n });
      }
    }
  });

  it('is explained, with the way out', () => {
    expect(() => factor(Float64Array.of(1, 2, 2, 1), 2)).toThrow(
      'pivot 2 of 2 is -3.00, so the matrix is not positive definite: try a larger ridge',
    );
    expect(() => factor(Float64Array.of(1, Number.NaN, Number.NaN, 1), 2)).toThrow(
      'pivot 2 of 2 is NaN, so the matrix is not finite: the numbers have diverged',
    );
  });
});
