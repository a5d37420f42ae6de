import {
  dot,
  leastSquares,
  type Matrix,
  map,
  maxAbs,
  multiply,
  type Solved,
  sum,
  transpose,
  zip,
} from './matrix.js';
import { type ReluProx, reluProx } from './relu-prox.js';

/**
 * Block updates of Taylor et al. (2016), "Training neural networks without gradients: a scalable ADMM
 * approach". Their a-update is `quadraticActivationUpdate` without bias.
 */

/** W of minimum norm among the minimisers of ||Z - A_prev W||^2, that is pinv(A_prev) Z. */
export function taylorWeightUpdate(
  previous: Matrix,
  z: Matrix,
): Solved<{ weights: number[][]; rank: number }> {
  const { x: weights, rank } = leastSquares(previous, z);
  const misfit = zip(multiply(previous, weights), z, (fit, value) => fit - value);
  const columns = transpose(previous);
  const steps = map(
    multiply(columns, misfit),
    (value, k) => value / (dot(columns[k], columns[k]) || 1),
  );
  return {
    solution: { weights, rank },
    objective: dot(misfit.flat(), misfit.flat()),
    residual: maxAbs(steps),
  };
}

/** min over z:   gamma (a - relu(z))^2 + beta (z - m)^2, entry by entry, m = a_prev W. */
export function taylorHiddenUpdate(
  a: Matrix,
  m: Matrix,
  { beta, gamma }: { readonly beta: number; readonly gamma: number },
): Solved<ReluProx> {
  const { solution, objective, residual } = reluProx(a, m, beta / gamma);
  return { solution, objective: 2 * gamma * objective, residual };
}

/** min over z:   ||z - y||^2 / 2 + <lambda, z> + beta/2 ||z - m||^2, m = a W_L, and the new multiplier. */
export interface TaylorOutput {
  readonly z: number[][];
  /** beta (z - m): replaces lambda in the authors' public code. */
  readonly replacedMultiplier: number[][];
  /** lambda + beta (z - m): the published ADMM. */
  readonly accumulatedMultiplier: number[][];
}

export function taylorOutputUpdate(
  y: Matrix,
  lambda: Matrix,
  m: Matrix,
  beta: number,
): Solved<TaylorOutput> {
  const z = map(y, (yi, i, j) => (yi - lambda[i][j] + beta * m[i][j]) / (1 + beta));
  const cost = map(
    z,
    (zi, i, j) => (zi - y[i][j]) ** 2 / 2 + lambda[i][j] * zi + (beta / 2) * (zi - m[i][j]) ** 2,
  );
  const slope = map(z, (zi, i, j) => zi - y[i][j] + lambda[i][j] + beta * (zi - m[i][j]));
  const replacedMultiplier = zip(z, m, (zi, mi) => beta * (zi - mi));
  return {
    solution: {
      z,
      replacedMultiplier,
      accumulatedMultiplier: zip(lambda, replacedMultiplier, (old, added) => old + added),
    },
    objective: sum(cost.flat()),
    residual: maxAbs(slope) / (1 + beta),
  };
}
