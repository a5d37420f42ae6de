import * as tf from '@tensorflow/tfjs';
import type { SolverOptions, SolverReport } from '../../solvers/solver.js';
import { fitNonNegative } from './layers.js';

/** Replaces the chunks of Z by those of `fitNonNegative`, and frees the old ones. */
export async function updateNonNegative(
  z: tf.Tensor2D[],
  problem: Parameters<typeof fitNonNegative>[0],
  options: SolverOptions,
): Promise<SolverReport> {
  const { z: next, ...report } = await fitNonNegative(problem, options);
  tf.dispose(z);
  z.splice(0, z.length, ...next);
  return report;
}
