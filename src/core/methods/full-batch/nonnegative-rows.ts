import type { Tensor2D } from '@tensorflow/tfjs';
import type { LayerParameters } from '../../network/parameters.js';
import { nonNegativeActivations } from '../../solvers/nonnegative-activations.js';
import type { SolverOptions, SolverReport } from '../../solvers/solver.js';
import type { Rows } from './products.js';

/**
 * Replaces Z by the minimiser of  weight ||T - Z W - b||^2 + ||Z - U||^2,  Z >= 0, chunk by chunk.
 *
 * @param z Z; its chunks are freed as they are replaced
 * @returns the largest residual and number of Newton steps of any chunk
 */
export async function updateNonNegative(
  z: Tensor2D[],
  problem: {
    /** W and b of the layer above. */
    readonly layer: LayerParameters;
    readonly weight: number;
    /** T */
    readonly target: Rows;
    /** U */
    readonly predicted: Rows;
  },
  options: SolverOptions,
): Promise<SolverReport> {
  const solver = await nonNegativeActivations(problem.layer, problem.weight, options);
  let worst: SolverReport = { residual: 0, iterations: 0 };
  for (const [chunk, target] of problem.target.entries()) {
    const solved = await solver.solve(target, problem.predicted[chunk]);
    z[chunk].dispose();
    z[chunk] = solved.activations;
    worst = {
      residual: Math.max(worst.residual, solved.residual),
      iterations: Math.max(worst.iterations, solved.iterations),
    };
  }
  solver.dispose();
  return worst;
}
