import * as tf from '@tensorflow/tfjs';
import { FenchelExactConfig } from '../core/methods/fenchel/exact/config.js';
import { updateActivationBlock, updateWeightBlock } from '../core/methods/fenchel/exact/exact.js';
import type { Blocks, LiftedProblem } from '../core/methods/fenchel/exact/objective.js';
import { lossValue } from '../core/network/loss.js';
import { disposeParameters, forwardLayers, predict } from '../core/network/network.js';
import type { Parameters } from '../core/network/parameters.js';
import { scoped } from '../core/training.js';
import { disposeTree } from '../core/tree.js';
import { affine64, loss64, penalty64, squares64 } from './float64.js';
import { minimisePrimal } from './primal-descent.js';
import type { BoundProblem, BoundReport, BoundRow, BoundSettings } from './problem.js';

/**
 * Lifted and feed-forward objectives of a network with hidden layers, for every lambda.
 *
 * Each lambda is minimised from two starts: the forward pass of the initial weights, and the best
 * point of the next larger lambda (for the largest, the forward pass of weights that Adam found). G is
 * no larger at that point for the smaller lambda, so the value reached never falls as lambda grows,
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

interface Descent {
  /** The best point found, owned by the caller. */
  readonly point: Blocks;
  /** G there. */
  readonly objective: number;
  readonly sweeps: number;
}

/** Stops at the first sweep that reduces G by less than this fraction. */
const tolerance = 1e-5;

/**
 * Non-batched block-coordinate descent (Algorithm 1) on the lifted objective
 *
 *     G(lambda) = (loss(Y, U_L) + lambda sum_l B(X_{l+1}, U_l)) / m + sum_l rho_l ||W_l||^2
 *
 * from a point: X_L, ..., X_1, then all W_l, each sub-problem solved to 1e-3. The value reached is an
 * upper bound of the minimum of G, which is not convex. Never returns a point worse than its start.
 *
 * @param start is copied
 */
async function descend(
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
    tolerance: 1e-3,
    maxIterations: 60,
  });
  const objectiveAt = async (point: Blocks) => {
    const { base, penalty } = await evaluatePoint(problem, point);
    return base + lambda * penalty;
  };
  const anchor = start.parameters;
  const lifted = { config, network, loss, y, anchor, gammas: anchor.map(() => 0) };
  let point = copyPoint(start);
  let objective = await objectiveAt(point);
  let sweeps = 0;
  while (sweeps < maxSweeps) {
    const next = await scoped(() => updateAll(lifted, point));
    sweeps++;
    const value = await objectiveAt(next);
    const gain = objective - value;
    disposePoint(gain > 0 ? point : next);
    if (gain > 0) [point, objective] = [next, value];
    if (!(gain > tolerance * objective)) break;
  }
  return { point, objective, sweeps };
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

/** Blocks of the forward pass, where every penalty is zero. The parameters are copied. */
function forwardPoint({ network, x }: BoundProblem, parameters: Parameters): Blocks {
  const { hidden, preimages } = tf.tidy(() => {
    const { inputs, preActivations } = forwardLayers(network, parameters, x);
    return { hidden: inputs.slice(1), preimages: preActivations.slice(0, -1) };
  });
  return {
    inputs: [x, ...hidden],
    preimages: [undefined, ...preimages],
    parameters: copyParameters(parameters),
  };
}

function copyPoint({ inputs, preimages, parameters }: Blocks): Blocks {
  return {
    inputs: [inputs[0], ...inputs.slice(1).map((values) => values.clone())],
    preimages: preimages.map((values) => values?.clone()),
    parameters: copyParameters(parameters),
  };
}

function copyParameters(parameters: Parameters): Parameters {
  return parameters.map(({ weights, bias }) => ({ weights: weights.clone(), bias: bias.clone() }));
}

/** Frees everything but X_0, which is the problem's. */
function disposePoint({ inputs, preimages, parameters }: Blocks): void {
  disposeTree([inputs.slice(1), preimages, parameters]);
}

/**
 * The terms of the lifted objective at a point, for every lambda: `base`, loss(Y, U_L) / m +
 * sum_l rho_l ||W_l||^2, and `penalty`, sum_l B(X_{l+1}, U_l) / m. In float64: exactly the values that
 * the float32 blocks represent. At a forward point `base` is the primal objective p of the
 * feed-forward network.
 */
async function evaluatePoint(
  { network, activations, loss, y, rho }: BoundProblem,
  { inputs, parameters }: Blocks,
): Promise<{ base: number; penalty: number }> {
  const rows = y.shape[0];
  let base = 0;
  let penalty = 0;
  for (const [l, { weights, bias }] of parameters.entries()) {
    const patches = network.maps[l].patches(inputs[l]);
    const [seen, w, b] = [await patches.data(), await weights.data(), await bias.data()];
    patches.dispose();
    const u = affine64(seen, w, b);
    base += rho[l] * squares64(w);
    if (l < activations.length) {
      penalty += penalty64(activations[l], await inputs[l + 1].data(), u) / rows;
    } else {
      base += loss64(loss, await y.data(), u, y.shape[1]) / rows;
    }
  }
  return { base, penalty };
}

/** p of the feed-forward network with these weights. */
async function primalObjective(problem: BoundProblem, parameters: Parameters): Promise<number> {
  const point = forwardPoint(problem, parameters);
  const { base } = await evaluatePoint(problem, point);
  disposePoint(point);
  return base;
}
