import * as tf from '@tensorflow/tfjs';
import { accuracyValue, losses } from '../../network/loss.js';
import type { LayerParameters, Parameters } from '../../network/parameters.js';
import { splitBias, stackBias } from '../../network/stacked.js';
import {
  type NormalEquations,
  normalEquations,
  solveNormalEquations,
} from '../../solvers/damped-inverse.js';
import { nonNegativeActivations } from '../../solvers/nonnegative-activations.js';
import type { SolverOptions, SolverReport } from '../../solvers/solver.js';
import type { MethodContext, StepMetrics } from '../method.js';
import {
  crossProduct,
  gram,
  type Rows,
  sumChunks,
  sumScalars,
  type TrainingSet,
  trainingSet,
} from './rows.js';

/** Options of a least-squares fit of a layer. */
export interface RidgeOptions {
  readonly biases: boolean;
  readonly ridge: { readonly weights: number; readonly bias: number };
}

/**
 * The layer that fits targets best,
 *
 *     min_{W, b}  ||T - A W - b||^2 + ridge_W ||W||^2 + ridge_b ||b||^2,
 *
 * over all rows of A [n, p] and T [n, q]; b = 0 without biases.
 *
 * @param equations of these inputs, where they are fitted repeatedly
 * @param near adds weight ||[W; b] - [W; b]_near||^2; its weight ||[W; b]||^2 is part of the ridge
 * @returns also the relative residual of the normal equations
 * @throws NotPositiveDefiniteError when the inputs are not finite, or dependent and the ridge too small
 */
export async function fitLayer(
  inputs: Rows,
  targets: Rows,
  options: RidgeOptions,
  equations?: NormalEquations,
  near?: { readonly layer: LayerParameters; readonly weight: number },
): Promise<{ layer: LayerParameters; residual: number }> {
  const { biases } = options;
  const system = equations ?? (await layerEquations(inputs, options));
  const right = tf.tidy(() => {
    const product = crossProduct(inputs, targets);
    const sums = () => sumChunks(targets, (chunk) => tf.sum(targets[chunk], 0, true));
    const ofTargets = biases ? (tf.concat([product, sums()]) as tf.Tensor2D) : product;
    if (!near) return ofTargets;
    const old = biases ? stackBias(near.layer) : near.layer.weights;
    return tf.add(ofTargets, tf.mul(old, near.weight)) as tf.Tensor2D;
  });
  const { solution, residual } = await solveNormalEquations(system, right);
  const layer = biases
    ? splitBias(solution)
    : { weights: solution, bias: tf.zeros([right.shape[1]]) as tf.Tensor1D };
  return { layer, residual };
}

/** The training set, and the normal equations of the first layer, which every iteration uses. */
export type FullBatchConstants = {
  readonly set: TrainingSet;
  readonly equations: NormalEquations;
};

/** @throws NotPositiveDefiniteError as `fitLayer` */
export async function prepareTraining(
  { train, network }: Pick<MethodContext<unknown>, 'train' | 'network'>,
  options: RidgeOptions,
): Promise<FullBatchConstants> {
  const set = trainingSet(train, network.maps[network.maps.length - 1].outputs);
  return { set, equations: await layerEquations(set.x, options) };
}

/** The normal equations of `fitLayer`. */
export async function layerEquations(
  inputs: Rows,
  { biases, ridge }: RidgeOptions,
): Promise<NormalEquations> {
  const width = inputs[0].shape[1];
  const matrix = await gram(inputs, { ones: biases });
  return normalEquations(matrix, biases ? width + 1 : width, (row) =>
    row < width ? ridge.weights : ridge.bias,
  );
}

/**
 * The minimiser of  weight ||T - Z W - b||^2 + ||Z - U||^2  over Z >= 0.
 * @returns also the largest optimality residual and number of Newton steps of any chunk
 */
export async function fitNonNegative(
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
): Promise<SolverReport & { readonly z: tf.Tensor2D[] }> {
  const solve = await nonNegativeActivations(problem.layer, problem.weight, options);
  const z: tf.Tensor2D[] = [];
  let [residual, iterations] = [0, 0];
  for (const [chunk, target] of problem.target.entries()) {
    const solved = await solve(target, problem.predicted[chunk]);
    z.push(solved.activations);
    residual = Math.max(residual, solved.residual);
    iterations = Math.max(iterations, solved.iterations);
  }
  return { z, residual, iterations };
}

/** Column with the share of hidden pre-activations that are positive; near 0 or 1 the network is almost linear. */
export const positiveShare = 'positive_share';

/**
 * Loss and accuracy of the feed-forward network on the training set, and {@link positiveShare}. The first
 * layer's product, which costs as much as the rest of an iteration, is the caller's.
 *
 * @param first X_0 W_0 + b_0 for these parameters
 */
export async function trainingScores(
  { network, loss }: Pick<MethodContext<unknown>, 'network' | 'loss'>,
  parameters: Parameters,
  first: Rows,
  y: Rows,
): Promise<StepMetrics & { readonly extra: Record<string, number> }> {
  const [sum, correct, positive, units, rows] = await sumScalars(first, (chunk) => {
    let u = first[chunk];
    const positives: tf.Scalar[] = [];
    let hidden = 0;
    for (const [l, { phi }] of network.activations.entries()) {
      positives.push(tf.sum(tf.step(u)));
      hidden += u.size;
      u = network.maps[l + 1].apply(phi(u), parameters[l + 1]);
    }
    const count = u.shape[0];
    return [
      tf.sum(losses[loss].rows(y[chunk], u)),
      tf.mul(accuracyValue(y[chunk], u), count),
      tf.addN(positives),
      tf.scalar(hidden),
      tf.scalar(count),
    ];
  });
  return {
    loss: sum / rows,
    accuracy: Math.round(correct) / rows,
    extra: { [positiveShare]: positive / units },
  };
}
