import {
  affine,
  dot,
  leastSquares,
  type Matrix,
  map,
  maxAbs,
  multiply,
  type Solved,
  sum,
  transpose,
  type Vector,
  zip,
} from './matrix.js';
import { blend, type ReluProx, reluProx } from './relu-prox.js';
import type { Layer } from './ridge.js';

/**
 * Block updates of Lau et al. (2018), "A proximal block coordinate descent algorithm for deep neural
 * network training". Their V-update is `quadraticActivationUpdate` with beta = rho.
 */

/**
 * min over U:   gamma/2 ||V - relu(U)||^2 + rho/2 ||U - P||^2 + alpha/2 ||U - U_old||^2
 *
 * with P = X W + b. All matrices [n, d].
 */
export interface LauPreActivationProblem {
  readonly v: Matrix;
  readonly predicted: Matrix;
  readonly old: Matrix;
  readonly gamma: number;
  readonly rho: number;
  readonly alpha: number;
}

export function lauPreActivationUpdate(problem: LauPreActivationProblem): Solved<ReluProx> {
  const { v, predicted, old, gamma, rho, alpha } = problem;
  const { solution, residual } = reluProx(
    v,
    blend(rho, predicted, alpha, old),
    (rho + alpha) / gamma,
  );
  const cost = map(
    solution.u,
    (u, i, j) =>
      gamma * (v[i][j] - Math.max(u, 0)) ** 2 +
      rho * (u - predicted[i][j]) ** 2 +
      alpha * (u - old[i][j]) ** 2,
  );
  return { solution, objective: sum(cost.flat()) / 2, residual };
}

/**
 * W first, with the old bias, then b with the new W:
 *
 *     W = argmin rho/2 ||U - V W - b_old||^2 + alpha/2 ||W - W_old||^2
 *     b = argmin rho/2 ||U - V W - b||^2     + alpha/2 ||b - b_old||^2
 *
 * Not the joint minimiser. The objective is the sum of the three terms at the result, the residual that of
 * the two minimisations.
 */
export interface LauWeightProblem {
  /** [n, p] */
  readonly v: Matrix;
  /** [n, q] */
  readonly u: Matrix;
  readonly oldWeights: Matrix;
  readonly oldBias: Vector;
  readonly alpha: number;
  readonly rho: number;
}

export function lauWeightUpdate(problem: LauWeightProblem): Solved<Layer> {
  const { v, u, oldWeights, oldBias, alpha, rho } = problem;
  const rootRho = Math.sqrt(rho);
  const rootAlpha = Math.sqrt(alpha);
  const { x: weights } = leastSquares(
    [
      ...map(v, (value) => rootRho * value),
      ...oldWeights.map((_, i) => oldWeights.map((__, j) => (i === j ? rootAlpha : 0))),
    ],
    [
      ...map(u, (value, _, j) => rootRho * (value - oldBias[j])),
      ...map(oldWeights, (value) => rootAlpha * value),
    ],
  );
  const unbiased = zip(u, multiply(v, weights), (ui, fit) => ui - fit);
  const bias = oldBias.map(
    (b, j) => (alpha * b + rho * sum(unbiased.map((row) => row[j]))) / (rho * u.length + alpha),
  );

  const misfit = (b: Vector) => zip(affine(v, weights, b), u, (fit, ui) => fit - ui);
  const columns = transpose(v);
  const weightSteps = map(multiply(columns, misfit(oldBias)), (value, k, j) => {
    const curvature = rho * dot(columns[k], columns[k]) + alpha;
    return (rho * value + alpha * (weights[k][j] - oldWeights[k][j])) / (curvature || 1);
  });
  const biasSteps = bias.map((b, j) => {
    const slope = rho * sum(misfit(bias).map((row) => row[j])) + alpha * (b - oldBias[j]);
    return slope / (rho * u.length + alpha);
  });
  const squares = (m: Matrix) => dot(m.flat(), m.flat());
  const moved = [...zip(weights, oldWeights, (w, o) => w - o), bias.map((b, j) => b - oldBias[j])];
  return {
    solution: { weights, bias },
    objective: (rho * squares(misfit(bias)) + alpha * squares(moved)) / 2,
    residual: maxAbs([...weightSteps, biasSteps]),
  };
}
