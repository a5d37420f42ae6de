import {
  affine,
  dot,
  type Matrix,
  multiply,
  solvePositiveDefinite,
  transpose,
  type Vector,
  zip,
} from './matrix.js';
import type { Layer } from './ridge.js';

/**
 * All hidden activations of Zhang and Brand's method, given the layers: with U_l = V_{l-1} W_l + b_l, U_1 given,
 *
 *     min over V >= 0:   ||V_{L-1} W_L + b_L - Y||^2 / 2 + sum_l gamma_l/2 ||V_l - U_l||^2 + alpha/2 ||V_l - V_l,old||^2
 *
 * Each row is a non-negative least-squares problem ||A z - c||^2 / 2 in all its V_l, with the same A, solved by the
 * active-set method of Lawson and Hanson (1974).
 */
export interface NonNegativeRowsProblem {
  /** W_2 and b_2 to W_L and b_L */
  readonly above: readonly Layer[];
  /** U_1 [n, p] */
  readonly first: Matrix;
  /** Y [n, classes] */
  readonly targets: Matrix;
  /** V_old of each hidden layer */
  readonly old: readonly Matrix[];
  readonly gamma: Vector;
  readonly alpha: number;
}

export function nonNegativeRows(problem: NonNegativeRowsProblem): number[][][] {
  const { old, first } = problem;
  const a = systemOf(problem);
  const hessian = multiply(transpose(a), a);
  const solved = first.map((_, i) => {
    const [slopes] = multiply([rightOf(problem, i)], a);
    return nonNegativeQuadratic(hessian, slopes);
  });
  return old.map((_, l) => {
    const from = offset(old, l);
    return solved.map((row) => row.slice(from, from + old[l][0].length));
  });
}

/** The objective at any V. */
export function nonNegativeRowsValue(
  { above, first, targets, old, gamma, alpha }: NonNegativeRowsProblem,
  v: readonly Matrix[],
): number {
  const u = [first, ...above.map(({ weights, bias }, l) => affine(v[l], weights, bias))];
  const distances = v.map(
    (rows, l) => gamma[l] * squared(rows, u[l]) + alpha * squared(rows, old[l]),
  );
  return (squared(u[v.length], targets) + distances.reduce((a, b) => a + b)) / 2;
}

const squared = (a: Matrix, b: Matrix): number => {
  const gap = zip(a, b, (p, q) => p - q).flat();
  return dot(gap, gap);
};

const offset = (old: readonly Matrix[], l: number): number =>
  old.slice(0, l).reduce((sum, rows) => sum + rows[0].length, 0);

/** A: one row a term, in the order of `rightOf`. */
function systemOf({ above, old, gamma, alpha }: NonNegativeRowsProblem): number[][] {
  const size = offset(old, old.length);
  const rows: number[][] = [];
  const add = (weight: number, entries: readonly (readonly [number, number])[]) => {
    const row = new Array<number>(size).fill(0);
    for (const [place, value] of entries) row[place] = Math.sqrt(weight) * value;
    rows.push(row);
  };
  for (let k = 0; k < size; k++) add(alpha, [[k, 1]]);
  for (const j of old[0][0].keys()) add(gamma[0], [[j, 1]]);
  for (const [l, { weights, bias }] of above.entries()) {
    for (const j of bias.keys()) {
      const image = weights.map((row, p) => [offset(old, l) + p, row[j]] as const);
      if (l + 1 === old.length) add(1, image);
      else add(gamma[l + 1], [...image, [offset(old, l + 1) + j, -1]]);
    }
  }
  return rows;
}

/** c of row i */
function rightOf(problem: NonNegativeRowsProblem, i: number): number[] {
  const { above, first, targets, old, gamma, alpha } = problem;
  return [
    ...old.flatMap((rows) => rows[i].map((value) => Math.sqrt(alpha) * value)),
    ...first[i].map((value) => Math.sqrt(gamma[0]) * value),
    ...above.flatMap(({ bias }, l) =>
      l + 1 === old.length
        ? bias.map((b, j) => targets[i][j] - b)
        : bias.map((b) => -Math.sqrt(gamma[l + 1]) * b),
    ),
  ];
}

/** argmin z H z / 2 - c z over z >= 0, H positive definite. */
function nonNegativeQuadratic(hessian: Matrix, c: Vector): number[] {
  const size = c.length;
  const scale = Math.max(...c.map(Math.abs));
  let z = new Array<number>(size).fill(0);
  let free: number[] = [];
  for (let round = 0; round < 10 * size; round++) {
    const descent = c.map((value, j) => (free.includes(j) ? 0 : value - dot(hessian[j], z)));
    const best = Math.max(...descent);
    if (best <= 1e-13 * scale) return z;
    free = [...free, descent.indexOf(best)];
    for (;;) {
      const own = free.map((j) => free.map((k) => hessian[j][k]));
      const solution = solvePositiveDefinite(
        own,
        free.map((j) => c[j]),
      );
      if (!solution) throw new Error('the Hessian is not positive definite');
      const goal = new Array<number>(size).fill(0);
      for (const [k, j] of free.entries()) goal[j] = solution[k];
      const blocking = free.filter((j) => goal[j] <= 0);
      const share = Math.min(1, ...blocking.map((j) => z[j] / (z[j] - goal[j])));
      const moved = z.map((value, j) => value + share * (goal[j] - value));
      // The one that blocks, exactly: its value may not round to 0.
      free = free.filter((j) => goal[j] > 0 || z[j] > share * (z[j] - goal[j]));
      z = moved.map((value, j) => (free.includes(j) ? value : 0));
      if (blocking.length === 0) break;
    }
  }
  throw new Error('the active-set method did not end');
}
