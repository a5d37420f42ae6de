import * as tf from '@tensorflow/tfjs';

/** When a solver stops. */
export interface SolverOptions {
  /** Largest optimality residual that counts as solved; each solver says what its residual is. */
  readonly tolerance: number;
  readonly maxIterations: number;
}

/** What every solver reports. */
export interface SolverReport {
  readonly iterations: number;
  /** Optimality residual of the returned point; NaN where numbers are not finite. */
  readonly residual: number;
}

/** ||x||, of all entries. tf.norm raises |x| to a power, which takes ten times as long. */
export const euclideanNorm = (x: tf.Tensor): tf.Scalar =>
  tf.tidy(() => tf.sqrt(tf.sum(tf.square(x))) as tf.Scalar);

/**
 * sqrt(distance^2 / size^2) of two sums of squares; NaN, which is within no tolerance, where one is not
 * finite.
 */
export function relativeLength(squaredDistance: number, squaredSize: number): number {
  if (!Number.isFinite(squaredDistance) || !Number.isFinite(squaredSize)) return Number.NaN;
  return Math.sqrt(squaredDistance / (squaredSize + 1e-30));
}

/** value / reference, 0 where both are 0; NaN, which is within no tolerance, where one is not finite. */
export function relativeTo(value: number, reference: number): number {
  if (!Number.isFinite(value) || !Number.isFinite(reference)) return Number.NaN;
  return reference > 0 || value > 0 ? value / reference : 0;
}

/**
 * The optimality residual of the last of a step's sub-problems; NaN where that of any is: ReLUs and maxima
 * may turn NaN into numbers before the last sub-problem.
 */
export function lastResidual(residuals: readonly number[]): number {
  return residuals.every(Number.isFinite) ? residuals[residuals.length - 1] : Number.NaN;
}
