import type { LossName } from '../../src/core/network/names.js';
import {
  affine,
  dot,
  fromFlat,
  leastSquares,
  type Matrix,
  map,
  maxAbs,
  multiply,
  type Solved,
  sum,
  transpose,
  withOnes,
  zeros,
} from './matrix.js';
import { minimize } from './newton.js';
import {
  type Layer,
  type Ridge,
  ridgeCurvature,
  ridgeSlope,
  ridgeValue,
  stackRidge,
  unstack,
} from './ridge.js';
import { crossEntropy, squaredError } from './terms.js';

/**
 * Weights of the last layer, eqs. (18) and (20):
 *
 *     min over W, b:   c loss(Y, X W + b) + rho_W ||W||^2 + rho_b ||b||^2
 *                      + gamma_W ||W - W^0||^2 + gamma_b ||b - b^0||^2
 *
 * loss: ||Y - U||^2 ("mse") or -sum Y log softmax(U) ("cross-entropy"), summed over entries.
 * mse: least squares of the stacked system, the one of minimum norm when several fit equally well.
 * cross-entropy: damped Newton over all entries of [W; b]; without a ridge on b the solution is unique
 * up to a shift of b only.
 */
export interface HeadWeightProblem extends Ridge {
  /** X_L, [n, p] */
  readonly x: Matrix;
  /** Y, [n, classes] */
  readonly targets: Matrix;
  readonly loss: LossName;
  /** c, 1 when left out */
  readonly lossWeight?: number;
}

export const headWeightUpdate = (problem: HeadWeightProblem): Solved<Layer> =>
  problem.loss === 'mse' ? leastSquaresHead(problem) : crossEntropyHead(problem);

function leastSquaresHead(problem: HeadWeightProblem): Solved<Layer> {
  const { targets, lossWeight = 1 } = problem;
  const ridge = stackRidge(problem);
  const x = withOnes(problem.x);
  const rows = ridge.reference.map((_, k) => k);
  const root = Math.sqrt(lossWeight);
  const diagonal = (value: (row: number) => number) =>
    map(zeros(rows.length, rows.length), (_, k, m) => (k === m ? Math.sqrt(value(k)) : 0));
  const { x: stacked } = leastSquares(
    [...map(x, (value) => root * value), ...diagonal(ridge.rho), ...diagonal(ridge.gamma)],
    [
      ...map(targets, (value) => root * value),
      ...map(ridge.reference, () => 0),
      ...map(ridge.reference, (w, k) => Math.sqrt(ridge.gamma(k)) * w),
    ],
  );
  const fitted = multiply(x, stacked);
  const terms = targets.map((y) => squaredError(y, lossWeight));
  const slopes = terms.map((term, i) => term.gradient(fitted[i]));
  const columns = transpose(x);
  const steps = map(multiply(columns, slopes), (slope, k, j) => {
    const curvature = 2 * lossWeight * dot(columns[k], columns[k]) + ridgeCurvature(ridge, k);
    return (slope + ridgeSlope(ridge, k, j, stacked[k][j])) / (curvature || 1);
  });
  return {
    solution: unstack(stacked),
    objective: sum(terms.map((term, i) => term.value(fitted[i]))) + ridgeValue(ridge, stacked),
    residual: maxAbs(steps),
  };
}

function crossEntropyHead(problem: HeadWeightProblem): Solved<Layer> {
  const { targets, lossWeight = 1 } = problem;
  const ridge = stackRidge(problem);
  const x = withOnes(problem.x);
  const columns = transpose(x);
  const inputs = columns.length;
  const classes = targets[0].length;
  const terms = targets.map((y) => crossEntropy(y, lossWeight));
  const size = inputs * classes;
  const layer = (flat: ArrayLike<number>) => fromFlat(flat, inputs, classes);

  const scale = Array.from({ length: size }, (_, at) => {
    const k = Math.floor(at / classes);
    const bend = sum(terms.map((term, i) => term.curvature * x[i][k] ** 2));
    return bend + ridgeCurvature(ridge, k) || 1;
  });
  const solved = minimize((flat) => {
    const stacked = layer(flat);
    const logits = affine(x, stacked, new Array<number>(classes).fill(0));
    const slopes = terms.map((term, i) => term.gradient(logits[i]));
    const bends = terms.map((term, i) => term.hessian(logits[i]));
    return {
      value: sum(terms.map((term, i) => term.value(logits[i]))) + ridgeValue(ridge, stacked),
      gradient: map(
        multiply(columns, slopes),
        (slope, k, j) => slope + ridgeSlope(ridge, k, j, stacked[k][j]),
      ).flat(),
      hessian: kroneckerSum(x, bends, inputs, classes, (k) => ridgeCurvature(ridge, k)),
      scale,
    };
  }, ridge.reference.flat());
  return {
    solution: unstack(layer(solved.x)),
    objective: solved.value,
    residual: solved.residual,
  };
}

/** sum_i (x_i x_i^T) (x) H_i, plus a diagonal by input. */
function kroneckerSum(
  x: Matrix,
  blocks: readonly Matrix[],
  inputs: number,
  classes: number,
  diagonal: (input: number) => number,
): number[][] {
  const result = zeros(inputs * classes, inputs * classes);
  for (let k = 0; k < inputs; k++) {
    for (let m = 0; m < inputs; m++) {
      for (const [i, block] of blocks.entries()) {
        const weight = x[i][k] * x[i][m];
        if (weight === 0) continue;
        for (let a = 0; a < classes; a++) {
          for (let c = 0; c < classes; c++) {
            result[k * classes + a][m * classes + c] += weight * block[a][c];
          }
        }
      }
    }
    for (let a = 0; a < classes; a++) result[k * classes + a][k * classes + a] += diagonal(k);
  }
  return result;
}
