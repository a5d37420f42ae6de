import type { ScalarActivation } from './activations.js';
import { solveLiftedRows } from './lifted-row.js';
import type { Matrix, Solved, Vector } from './matrix.js';
import { penaltyTerm } from './terms.js';

/**
 * Hidden activations below another hidden layer, eq. (14):
 *
 *     min over Z:   lambda_next B(X_next, Z W + b) + lambda_prev B(Z, U_prev)
 *
 * B sums over entries; Z ranges over the domain of its activation (Z >= 0 for the ReLU). Separable by rows.
 */
export interface FenchelActivationProblem {
  /** X_{l+1}, [n, q], fixed */
  readonly next: Matrix;
  /** W_l [p, q] and b_l [q] */
  readonly weights: Matrix;
  readonly bias: Vector;
  /** U_{l-1} = X_{l-1} W_{l-1} + b_{l-1}, [n, p] */
  readonly previous: Matrix;
  /** phi that makes Z, and phi that makes X_next (the same when left out). */
  readonly activation: ScalarActivation;
  readonly nextActivation?: ScalarActivation;
  readonly lambdaNext: number;
  readonly lambdaPrevious: number;
}

/** Z, [n, p]: unique for lambdaPrevious > 0. */
export function fenchelActivationUpdate(problem: FenchelActivationProblem): Solved<number[][]> {
  const { activation, nextActivation = activation, weights, bias } = problem;
  return solveLiftedRows(
    problem.previous.map((preActivation, i) => ({
      above: penaltyTerm(nextActivation, problem.next[i], problem.lambdaNext),
      weights,
      bias,
      activation,
      preActivation,
      lambda: problem.lambdaPrevious,
    })),
  );
}
