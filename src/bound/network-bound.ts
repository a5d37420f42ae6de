import * as tf from '@tensorflow/tfjs';
import { lossValue } from '../core/network/loss.js';
import { disposeParameters, predict } from '../core/network/network.js';
import type { Parameters } from '../core/network/parameters.js';
import { type Descent, descend } from './lifted-descent.js';
import { type BoundProblem, disposePoint, forwardPoint, primalObjective } from './lifted-point.js';
import { minimisePrimal } from './primal-descent.js';
import type { BoundReport, BoundRow } from './report.js';
import type { BoundSettings } from './settings.js';

/**
 * Lifted and feed-forward objectives of a network with hidden layers, for every lambda.
 *
 * Each lambda is descended to from two starts: the forward pass of the initial weights, and the best
 * point of the next larger lambda (for the largest, the forward pass of weights that Adam found). G is
 * no larger at that point for the smaller lambda, so that what is reached never falls as lambda grows,
 * nor exceeds Adam's feed-forward objective.
 *
 * @param initial disposed by the caller, as is the problem
 */
export async function networkBound(
  problem: BoundProblem,
  settings: BoundSettings,
  initial: Parameters,
  onRow: (row: BoundRow) => void,
): Promise<BoundReport> {
  const found = await minimisePrimal((parameters) => primal(problem, parameters), initial);
  const adamPrimal = await primalObjective(problem, found);
  const cold = forwardPoint(problem, initial);
  let warm = forwardPoint(problem, found);
  disposeParameters(found);
  const rows: BoundRow[] = [];
  for (const lambda of settings.lambda.toReversed()) {
    const descents: Descent[] = [];
    for (const start of [warm, cold]) {
      descents.push(await descend(problem, start, lambda, settings.sweeps));
    }
    const [best, other] = descents.sort((a, b) => a.objective - b.objective);
    disposePoint(other.point);
    disposePoint(warm);
    warm = best.point;
    const row = {
      lambda,
      liftedObjective: best.objective,
      primalObjective: await primalObjective(problem, warm.parameters),
      iterations: best.sweeps + other.sweeps,
    };
    rows.unshift(row);
    onRow(row);
  }
  disposePoint(warm);
  disposePoint(cold);
  const bestPrimal = Math.min(adamPrimal, ...rows.map(({ primalObjective: p }) => p));
  return { ...settings, kind: 'network', rows, bestPrimal, adamPrimal };
}

/** p = loss(Y, network(X)) / m + sum_l rho_l ||W_l||^2 */
function primal({ network, loss, x, y, rho }: BoundProblem, parameters: Parameters): tf.Scalar {
  const ridge = parameters.map(({ weights }, l) => tf.mul(tf.sum(tf.square(weights)), rho[l]));
  return tf.addN([lossValue(loss, y, predict(network, parameters, x)), ...ridge]) as tf.Scalar;
}
