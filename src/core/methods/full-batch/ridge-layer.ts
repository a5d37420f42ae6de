import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../../network/parameters.js';
import { splitBias } from '../../network/stacked.js';
import { NormalEquations } from '../../solvers/normal-equations.js';
import type { MethodContext } from '../method.js';
import { crossProduct, gram, type Rows, sumChunks } from './products.js';
import { TrainingSet } from './training-set.js';

/** How a layer is fitted by least squares. */
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
 * @param equations of these inputs, kept by who fits them again and again
 * @returns the residual of the normal equations, too
 * @throws NotPositiveDefiniteError when the inputs are not finite, or dependent and the ridge too small
 */
export async function fitLayer(
  inputs: Rows,
  targets: Rows,
  options: RidgeOptions,
  equations?: NormalEquations,
): Promise<{ layer: LayerParameters; residual: number }> {
  const { biases } = options;
  const system = equations ?? (await layerEquations(inputs, options));
  const right = tf.tidy(() => {
    const product = crossProduct(inputs, targets);
    if (!biases) return product;
    const sums = sumChunks(targets, (chunk) => tf.sum(targets[chunk], 0, true));
    return tf.concat([product, sums]) as tf.Tensor2D;
  });
  const { solution, residual } = await system.solve(right);
  const layer = tf.tidy(() =>
    biases
      ? splitBias(solution)
      : { weights: solution.clone(), bias: tf.zeros([right.shape[1]]) as tf.Tensor1D },
  );
  tf.dispose([right, solution]);
  if (system !== equations) system.dispose();
  return { layer, residual };
}

/**
 * The training set, and the normal equations of the layer that sees it: what every iteration needs.
 * @throws NotPositiveDefiniteError as `fitLayer`
 */
export async function prepareTraining(
  { train, network }: Pick<MethodContext<unknown>, 'train' | 'network'>,
  options: RidgeOptions,
): Promise<{ set: TrainingSet; equations: NormalEquations }> {
  const set = TrainingSet.of(train, network.maps[network.maps.length - 1].outputs);
  try {
    return { set, equations: await layerEquations(set.x, options) };
  } catch (error) {
    set.dispose();
    throw error;
  }
}

/** The normal equations of `fitLayer`. */
export async function layerEquations(
  inputs: Rows,
  { biases, ridge }: RidgeOptions,
): Promise<NormalEquations> {
  const width = inputs[0].shape[1];
  const matrix = await gram(inputs, { ones: biases });
  return new NormalEquations(matrix, biases ? width + 1 : width, (row) =>
    row < width ? ridge.weights : ridge.bias,
  );
}
