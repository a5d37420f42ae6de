import type { LossName } from '../../src/core/network/names.js';
import type { ScalarActivation } from './activations.js';
import { solveLiftedRows } from './lifted-row.js';
import type { Matrix, Solved, Vector } from './matrix.js';
import { crossEntropy, squaredError } from './terms.js';

/**
 * Last hidden activations, eqs. (15) and (16):
 *
 *     min over Z:   c loss(Y, Z W + b) + lambda B(Z, U_prev)
 *
 * loss: ||Y - U||^2 ("mse") or -sum Y log softmax(U) ("cross-entropy"), summed over entries. Z ranges over
 * the domain of its activation. For the ReLU, B differs from ||Z - U_prev||^2 / 2 by a constant. Separable
 * by rows.
 */
export interface HeadActivationProblem {
  /** Y, [n, classes] */
  readonly targets: Matrix;
  /** W_L [p, classes] and b_L [classes] */
  readonly weights: Matrix;
  readonly bias: Vector;
  /** U_{L-1}, [n, p] */
  readonly previous: Matrix;
  readonly activation: ScalarActivation;
  readonly loss: LossName;
  readonly lambda: number;
  /** c, 1 when left out */
  readonly lossWeight?: number;
}

/** Z, [n, p]: unique for lambda > 0. */
export function headActivationUpdate(problem: HeadActivationProblem): Solved<number[][]> {
  const { activation, weights, bias, lambda, lossWeight = 1 } = problem;
  const term = problem.loss === 'mse' ? squaredError : crossEntropy;
  return solveLiftedRows(
    problem.previous.map((preActivation, i) => ({
      above: term(problem.targets[i], lossWeight),
      weights,
      bias,
      activation,
      preActivation,
      lambda,
    })),
  );
}
