import { type Matrix, sum, type Vector } from './matrix.js';

/**
 * Regularisation of one layer, biases apart (eq. 9 and the proximal term of eqs. 19 and 20):
 *
 *     rho_W ||W||^2 + rho_b ||b||^2 + gamma_W ||W - W^0||^2 + gamma_b ||b - b^0||^2
 */
export interface Ridge {
  readonly rhoWeights: number;
  readonly rhoBias: number;
  readonly gammaWeights: number;
  readonly gammaBias: number;
  /** W^0 [p, q] and b^0 [q] */
  readonly weights0: Matrix;
  readonly bias0: Vector;
}

export interface Layer {
  readonly weights: number[][];
  readonly bias: number[];
}

/** The same by rows of [W; b]: the last row is the bias. */
export interface StackedRidge {
  rho(row: number): number;
  gamma(row: number): number;
  readonly reference: Matrix;
}

export function stackRidge(ridge: Ridge): StackedRidge {
  const inputs = ridge.weights0.length;
  return {
    rho: (row) => (row < inputs ? ridge.rhoWeights : ridge.rhoBias),
    gamma: (row) => (row < inputs ? ridge.gammaWeights : ridge.gammaBias),
    reference: [...ridge.weights0, ridge.bias0],
  };
}

/** Value of the regularisation at stacked parameters [W; b]. */
export const ridgeValue = ({ rho, gamma, reference }: StackedRidge, stacked: Matrix): number =>
  sum(
    stacked.map((row, k) =>
      sum(row.map((w, j) => rho(k) * w ** 2 + gamma(k) * (w - reference[k][j]) ** 2)),
    ),
  );

/** Its derivative by entry (k, j), where the entry is w. */
export const ridgeSlope = (
  { rho, gamma, reference }: StackedRidge,
  k: number,
  j: number,
  w: number,
): number => 2 * rho(k) * w + 2 * gamma(k) * (w - reference[k][j]);

export const ridgeCurvature = ({ rho, gamma }: StackedRidge, k: number): number =>
  2 * (rho(k) + gamma(k));

export const unstack = (stacked: Matrix): Layer => ({
  weights: stacked.slice(0, -1).map((row) => [...row]),
  bias: [...stacked[stacked.length - 1]],
});
