import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import {
  distance,
  leastSquares,
  type Matrix,
  map,
  multiply,
  solvePositiveDefinite,
  svd,
  transpose,
} from './matrix.js';
import { minimize } from './newton.js';

const random = new Random(1, 'matrices');
const normal = (rows: number, columns: number) =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, () => random.normal()));

describe('singular value decomposition', () => {
  it.each([
    [5, 3],
    [3, 5],
    [4, 4],
    [1, 6],
    [6, 1],
  ])('rebuilds a %i x %i matrix from orthonormal factors', (rows, columns) => {
    const a = normal(rows, columns);
    const { u, s, v } = svd(a);
    const scaled = map(u, (value, i) => value * s[i]);
    expect(distance(multiply(transpose(scaled), v), a)).toBeLessThan(1e-13);
    for (const factor of [u, v]) {
      const gram = multiply(factor, transpose(factor));
      expect(
        distance(
          gram,
          map(gram, (_, i, j) => (i === j ? 1 : 0)),
        ),
      ).toBeLessThan(1e-13);
    }
  });
});

describe('least squares', () => {
  it('satisfies the four Penrose conditions when the rank is deficient', () => {
    const a = multiply(normal(6, 2), normal(2, 4));
    const eye = map(multiply(a, transpose(a)), (_, i, j) => (i === j ? 1 : 0));
    const { x: inverse, rank } = leastSquares(a, eye);
    expect(rank).toBe(2);
    const symmetric = (m: Matrix) => distance(m, transpose(m));
    const left = multiply(a, inverse);
    const right = multiply(inverse, a);
    expect(distance(multiply(left, a), a)).toBeLessThan(1e-12);
    expect(distance(multiply(right, inverse), inverse)).toBeLessThan(1e-12);
    expect(symmetric(left)).toBeLessThan(1e-12);
    expect(symmetric(right)).toBeLessThan(1e-12);
  });

  it('gives zero for a zero matrix', () => {
    const { x, rank } = leastSquares([[0, 0]], [[3]]);
    expect(x).toEqual([[0], [0]]);
    expect(rank).toBe(0);
  });
});

describe('positive definite systems', () => {
  it('are solved, and anything else is refused', () => {
    expect(
      solvePositiveDefinite(
        [
          [4, 2],
          [2, 3],
        ],
        [8, 7],
      ),
    ).toEqual([1.25, expect.closeTo(1.5, 14)]);
    expect(
      solvePositiveDefinite(
        [
          [1, 2],
          [2, 1],
        ],
        [1, 1],
      ),
    ).toBeUndefined();
  });
});

describe('Newton', () => {
  const quadratic = (h: Matrix, c: readonly number[]) => (x: readonly number[]) => {
    const hx = multiply(h, transpose([x])).map(([value]) => value);
    return {
      value: x.reduce((total, xi, i) => total + xi * (hx[i] / 2 - c[i]), 0),
      gradient: hx.map((value, i) => value - c[i]),
      hessian: h,
      scale: h.map((row, i) => row[i] || 1),
    };
  };

  it('finds the minimiser of a quadratic, free and over x >= 0', () => {
    const model = quadratic(
      [
        [2, 1],
        [1, 2],
      ],
      [1, -1],
    );
    const free = minimize(model, [5, 5]);
    expect(distance([free.x], [[1, -1]])).toBeLessThan(1e-12);
    const bounded = minimize(model, [5, 5], { nonNegative: true });
    expect(distance([bounded.x], [[0.5, 0]])).toBeLessThan(1e-12);
    expect(bounded.residual).toBeLessThan(1e-12);
  });

  it('keeps what a singular Hessian leaves open, and reports a residual away from a solution', () => {
    const model = quadratic(
      [
        [2, 0],
        [0, 0],
      ],
      [2, 0],
    );
    expect(distance([minimize(model, [7, 3]).x], [[1, 3]])).toBeLessThan(1e-12);
    const unbounded = minimize(quadratic([[0]], [1]), [0]);
    expect(unbounded.residual).toBe(1);
  });
});
