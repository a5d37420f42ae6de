import type { ScalarActivation } from './activations.js';
import { headActivationUpdate } from './head-activation-update.js';
import { affine, type Matrix, map, type Solved, sum, type Vector } from './matrix.js';

/**
 * Lifted prediction with cross-entropy and one hidden layer, eq. (12):
 *
 *     predicted class of a row:   argmin_k min_z   -log softmax(z W + b)_k + lambda B(z, u)
 *
 * One eq. (16) solve per class, with one-hot targets.
 */
export interface PredictionProblem {
  /** U_0 = X_0 W_0 + b_0 of the points to predict, [n, p] */
  readonly previous: Matrix;
  readonly weights: Matrix;
  readonly bias: Vector;
  readonly activation: ScalarActivation;
  readonly lambda: number;
}

export interface Prediction {
  /** The minimum for each class, [n, classes] */
  readonly values: number[][];
  /** Class with the least value, [n] */
  readonly lifted: number[];
  /** Class with the largest logit of phi(U_0) W + b, [n] */
  readonly feedForward: number[];
}

/** The objective is the sum over rows of the least value. */
export function predictLifted(problem: PredictionProblem): Solved<Prediction> {
  const { previous, weights, bias, activation, lambda } = problem;
  let residual = 0;
  const values = previous.map((u) =>
    bias.map((_, k) => {
      const targets = [bias.map((_, j) => (j === k ? 1 : 0))];
      const solved = headActivationUpdate({
        targets,
        weights,
        bias,
        previous: [u],
        activation,
        loss: 'cross-entropy',
        lambda,
      });
      residual = Math.max(residual, solved.residual);
      return solved.objective;
    }),
  );
  const logits = affine(map(previous, activation.phi), weights, bias);
  return {
    solution: {
      values,
      lifted: values.map((row) => row.indexOf(Math.min(...row))),
      feedForward: logits.map((row) => row.indexOf(Math.max(...row))),
    },
    objective: sum(values.map((row) => Math.min(...row))),
    residual,
  };
}
