import type { ScalarActivation } from './activations.js';
import { dot, type Matrix, map, type Solved, sum, transpose, withOnes, zeros } from './matrix.js';
import { minimize } from './newton.js';
import {
  type Layer,
  type Ridge,
  ridgeCurvature,
  ridgeSlope,
  stackRidge,
  unstack,
} from './ridge.js';

/**
 * Weights of a hidden layer, eqs. (17) and (19):
 *
 *     min over W, b:   lambda B(X_next, X W + b) + rho_W ||W||^2 + rho_b ||b||^2
 *                      + gamma_W ||W - W^0||^2 + gamma_b ||b - b^0||^2
 *
 * B sums over entries. Separable by columns of [W; b]; convex, and strictly so with every ridge positive.
 * Otherwise W may not be unique, phi(X W + b) still is.
 */
export interface WeightProblem extends Ridge {
  /** X_l, [n, p] */
  readonly x: Matrix;
  /** X_{l+1}, [n, q], in the domain of the activation */
  readonly next: Matrix;
  readonly activation: ScalarActivation;
  readonly lambda: number;
}

export function weightUpdate(problem: WeightProblem): Solved<Layer> {
  const { activation, lambda } = problem;
  const x = withOnes(problem.x);
  const inputs = transpose(x);
  const ridge = stackRidge(problem);
  const scale = inputs.map(
    (column, k) =>
      lambda * activation.maxSlope * dot(column, column) + ridgeCurvature(ridge, k) || 1,
  );
  const columns = transpose(problem.next).map((v, j) => {
    const reference = ridge.reference.map((row) => row[j]);
    const solved = minimize((w) => {
      const u = x.map((row) => dot(row, w));
      const slope = u.map((ui, i) => lambda * (activation.phi(ui) - v[i]));
      const bend = u.map((ui) => lambda * activation.phiPrime(ui));
      const decay = w.map(
        (wk, k) => ridge.rho(k) * wk ** 2 + ridge.gamma(k) * (wk - reference[k]) ** 2,
      );
      return {
        value: lambda * sum(u.map((ui, i) => activation.penalty(v[i], ui))) + sum(decay),
        gradient: w.map((wk, k) => dot(inputs[k], slope) + ridgeSlope(ridge, k, j, wk)),
        hessian: map(
          zeros(w.length, w.length),
          (_, k, m) =>
            sum(bend.map((bi, i) => bi * x[i][k] * x[i][m])) +
            (k === m ? ridgeCurvature(ridge, k) : 0),
        ),
        scale,
      };
    }, reference);
    return solved;
  });
  return {
    solution: unstack(transpose(columns.map((column) => column.x))),
    objective: sum(columns.map((column) => column.value)),
    residual: Math.max(...columns.map((column) => column.residual)),
  };
}
