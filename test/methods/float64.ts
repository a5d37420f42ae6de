import { factor } from '../../src/core/solvers/cholesky.js';
import type { Training } from '../../src/core/training.js';
import { type Matrix, map, sumAll } from '../reference/matrix.js';

/** What the float64 references of whole steps share. */

/** ||A||, the Frobenius norm. */
export const norm = (a: Matrix): number => Math.sqrt(sumAll(map(a, (value) => value ** 2)));

/** A X = B for positive definite A. */
export function solve(a: Matrix, b: Matrix): Matrix {
  const solution = factor(Float64Array.from(a.flat()), a.length).solve(b.flat(), b[0].length);
  return a.map((_, i) => [...solution.slice(i * b[0].length, (i + 1) * b[0].length)]);
}

/** [W; b] of each layer. */
export const stacked = (training: Training): Promise<Matrix[]> =>
  Promise.all(
    training
      .parameters()
      .map(async ({ weights, bias }) => [...(await weights.array()), await bias.array()]),
  );
