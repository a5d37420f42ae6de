import {
  dot,
  leastSquares,
  type Matrix,
  map,
  maxAbs,
  multiply,
  type Solved,
  transpose,
  zip,
} from './matrix.js';

/**
 * Activations of Taylor's ADMM (the a-update) and of Lau's BCD (the V-update), no sign constraint:
 *
 *     min over A:   beta ||Z_next - A W - b||^2 + gamma ||A - relu(Z)||^2
 *
 *     A = (beta (Z_next - b) W^T + gamma relu(Z)) (beta W W^T + gamma I)^-1
 *
 * Solved as least squares, which keeps its accuracy when beta W W^T + gamma I is ill-conditioned.
 */
export interface QuadraticActivationProblem {
  /** [p, q] and [q] */
  readonly weights: Matrix;
  readonly bias: readonly number[];
  /** Z_next, [n, q] */
  readonly next: Matrix;
  /** Z, [n, p] */
  readonly z: Matrix;
  readonly beta: number;
  readonly gamma: number;
}

export function quadraticActivationUpdate(problem: QuadraticActivationProblem): Solved<number[][]> {
  const { weights, bias, beta, gamma } = problem;
  const target = map(problem.next, (value, _, j) => value - bias[j]);
  const anchor = map(problem.z, (value) => Math.max(value, 0));
  const rootBeta = Math.sqrt(beta);
  const rootGamma = Math.sqrt(gamma);
  const { x } = leastSquares(
    [
      ...map(transpose(weights), (value) => rootBeta * value),
      ...weights.map((_, i) => weights.map((__, j) => (i === j ? rootGamma : 0))),
    ],
    [
      ...map(transpose(target), (value) => rootBeta * value),
      ...map(transpose(anchor), (value) => rootGamma * value),
    ],
  );
  const a = transpose(x);
  const misfit = zip(multiply(a, weights), target, (u, t) => u - t);
  const drift = zip(a, anchor, (value, anchored) => value - anchored);
  const steps = map(multiply(misfit, transpose(weights)), (value, i, j) => {
    const curvature = beta * dot(weights[j], weights[j]) + gamma;
    return (beta * value + gamma * drift[i][j]) / (curvature || 1);
  });
  const squares = (m: Matrix) => dot(m.flat(), m.flat());
  return {
    solution: a,
    objective: beta * squares(misfit) + gamma * squares(drift),
    residual: maxAbs(steps),
  };
}
