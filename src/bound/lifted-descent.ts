import { FenchelExactConfig } from '../core/methods/fenchel/exact/config.js';
import { updateActivationBlock, updateWeightBlock } from '../core/methods/fenchel/exact/exact.js';
import type { Blocks, LiftedProblem } from '../core/methods/fenchel/exact/objective.js';
import { scoped } from '../core/training.js';
import { type BoundProblem, copyPoint, disposePoint, evaluatePoint } from './lifted-point.js';

export interface Descent {
  /** The best point met, owned by the caller. */
  readonly point: Blocks;
  /** G there. */
  readonly objective: number;
  readonly sweeps: number;
}

/** A sweep that gains less than this share of G ends the descent. */
const leastGain = 1e-5;

/**
 * Non-batched block-coordinate descent (Algorithm 1) on the lifted objective
 *
 *     G(lambda) = (loss(Y, U_L) + lambda sum_l B(X_{l+1}, U_l)) / m + sum_l rho_l ||W_l||^2
 *
 * from a point: X_L, ..., X_1, then all W_l, each sub-problem solved to 1e-3. What it reaches is an
 * upper bound of the minimum of G, which is not convex. Never returns a point worse than its start.
 *
 * @param start is copied
 */
export async function descend(
  problem: BoundProblem,
  start: Blocks,
  lambda: number,
  maxSweeps: number,
): Promise<Descent> {
  const { network, loss, y, rho } = problem;
  const config = FenchelExactConfig.parse({
    name: 'fenchel',
    solver: 'exact',
    lambda,
    rho: [...rho],
    gamma: 0,
    proximalBias: false,
    lossReduction: 'mean',
    maxIterations: 60,
  });
  const value = async (point: Blocks) => {
    const { base, penalty } = await evaluatePoint(problem, point);
    return base + lambda * penalty;
  };
  const anchor = start.parameters;
  const lifted = { config, network, loss, y, anchor, gammas: anchor.map(() => 0) };
  let best = copyPoint(start);
  let reached = await value(best);
  let sweeps = 0;
  while (sweeps < maxSweeps) {
    const next = await scoped(() => updateAll(lifted, best));
    sweeps++;
    const found = await value(next);
    const gain = reached - found;
    disposePoint(gain > 0 ? best : next);
    if (gain > 0) [best, reached] = [next, found];
    if (!(gain > leastGain * reached)) break;
  }
  return { point: best, objective: reached, sweeps };
}

/** New X_L, ..., X_1, then new W_l for all l: of the given blocks, only X_0 is part of the result. */
async function updateAll(problem: LiftedProblem, start: Blocks): Promise<Blocks> {
  let blocks = start;
  for (let l = problem.network.activations.length; l >= 1; l--) {
    ({ blocks } = await updateActivationBlock(problem, blocks, l));
  }
  for (let l = 0; l < problem.anchor.length; l++) {
    ({ blocks } = await updateWeightBlock(problem, blocks, l));
  }
  return blocks;
}
