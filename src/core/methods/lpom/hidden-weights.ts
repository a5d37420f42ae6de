import * as tf from '@tensorflow/tfjs';
import { disposeParameters } from '../../network/network.js';
import type { LayerParameters } from '../../network/parameters.js';
import { extrapolate } from '../../solvers/extrapolate.js';
import type { NormalEquations } from '../../solvers/normal-equations.js';
import { relativeLength } from '../../solvers/solver.js';
import {
  affineRows,
  mapChunks,
  type Rows,
  squaredNorm,
  sumScalars,
} from '../full-batch/products.js';
import { fitLayer, type RidgeOptions } from '../full-batch/ridge-layer.js';
import { squaredDistance } from '../full-batch/terms.js';
import { reluPart } from './objective.js';

/**
 * W-update of a ReLU layer,
 *
 *     min_{W, b}  sum relu(U)^2/2 - U V + ridge/2 ||W||^2,   U = A W + b,
 *
 * by steps that minimise a bound: relu is 1-Lipschitz, so that U - (relu(U) - V) are targets whose
 * least-squares fit never increases the objective. Nesterov momentum over the steps; a step that
 * increases the objective is not taken, and the momentum starts anew.
 */
export interface HiddenWeightProblem {
  /** A [n, p] */
  readonly inputs: Rows;
  /** V [n, q], non-negative */
  readonly activations: Rows;
  readonly options: RidgeOptions;
  /** Of the inputs, with the ridge. */
  readonly equations: NormalEquations;
  readonly steps: number;
}

/** A layer and its pre-activations, U = A W + b. */
export interface FittedLayer {
  readonly layer: LayerParameters;
  readonly u: tf.Tensor2D[];
}

/**
 * @param start disposed
 * @returns the relative length of the last step, ||U_next - U|| / ||U||, too
 */
export async function updateHiddenWeights(
  problem: HiddenWeightProblem,
  start: FittedLayer,
): Promise<FittedLayer & { change: number }> {
  const { inputs, activations, options, equations, steps } = problem;
  let best = start;
  let bestValue = await valueAt(problem, best);
  /** Where the next step starts: `best`, or beyond it. */
  let point = best;
  let age = 0;
  let change = 0;
  for (let k = 0; k < steps; k++) {
    const { u } = point;
    const targets = mapChunks(u, (chunk) =>
      tf.sub(u[chunk], tf.sub(tf.relu(u[chunk]), activations[chunk])),
    ) as tf.Tensor2D[];
    const { layer } = await fitLayer(inputs, targets, options, equations);
    tf.dispose(targets);
    const next = { layer, u: affineRows(inputs, layer) };
    change = await relativeDistance(next.u, u);
    const value = await valueAt(problem, next);
    // A step from `best` itself rises by rounding at most.
    const rises = point !== best && !(value <= bestValue);
    if (point !== best) disposeFitted(point);
    age = rises ? 0 : age + 1;
    if (rises) {
      disposeFitted(next);
      point = best;
      continue;
    }
    const momentum = (age - 1) / (age + 2);
    point = k + 1 < steps && momentum > 0 ? beyond(next, best, momentum) : next;
    disposeFitted(best);
    [best, bestValue] = [next, value];
  }
  return { ...best, change };
}

async function valueAt(
  { activations, options }: HiddenWeightProblem,
  { layer, u }: FittedLayer,
): Promise<number> {
  const [fit] = await sumScalars(u, (chunk) => [reluPart(activations[chunk], u[chunk])]);
  return fit + (options.ridge.weights / 2) * (await squaredNorm(layer.weights));
}

async function relativeDistance(a: Rows, b: Rows): Promise<number> {
  const [distance, size] = await sumScalars(a, (chunk) => [
    squaredDistance(a[chunk], b[chunk]),
    tf.sum(tf.square(b[chunk])),
  ]);
  return relativeLength(distance, size);
}

/** a + momentum (a - b) */
function beyond(a: FittedLayer, b: FittedLayer, momentum: number): FittedLayer {
  return {
    layer: {
      weights: extrapolate(a.layer.weights, b.layer.weights, momentum),
      bias: extrapolate(a.layer.bias, b.layer.bias, momentum),
    },
    u: a.u.map((rows, chunk) => extrapolate(rows, b.u[chunk], momentum)),
  };
}

function disposeFitted({ layer, u }: FittedLayer): void {
  disposeParameters([layer]);
  tf.dispose(u);
}
