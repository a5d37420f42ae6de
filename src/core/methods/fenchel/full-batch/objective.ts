import * as tf from '@tensorflow/tfjs';
import { relu } from '../../../network/activations/relu.js';
import type { Parameters } from '../../../network/parameters.js';
import { penalty } from '../../../network/penalty.js';
import { type Rows, sumScalars } from '../../full-batch/products.js';
import { affine, squaredDistance } from '../../full-batch/terms.js';
import { layerValue } from '../../per-layer.js';
import type { FenchelFullBatchConfig } from './config.js';

/**
 * The lifted objective over N training images (eq. 9), for one hidden layer and squared error:
 *
 *     G = (||Y - Z W_1 - b_1||^2 + lambda sum B(Z, U)) / N + rho_0 ||W_0||^2 + rho_1 ||W_1||^2
 *
 * @param z Z, the hidden activations
 * @param u U = X_0 W_0 + b_0
 */
export async function liftedObjective(
  config: FenchelFullBatchConfig,
  parameters: Parameters,
  { z, u, y }: { readonly z: Rows; readonly u: Rows; readonly y: Rows },
): Promise<number> {
  const { lambda } = config;
  const [, head] = parameters;
  const [fit, constraint, count] = await sumScalars(z, (chunk) => [
    squaredDistance(y[chunk], affine(z[chunk], head)),
    tf.sum(penalty(relu, z[chunk], u[chunk])),
    tf.scalar(z[chunk].shape[0]),
  ]);
  return (fit + lambda * constraint) / count + (await ridges(config, parameters));
}

/** rho_0 ||W_0||^2 + rho_1 ||W_1||^2 */
export async function ridges(
  { rho }: FenchelFullBatchConfig,
  [hidden, head]: Parameters,
): Promise<number> {
  const sum = tf.tidy(() =>
    tf.add(
      tf.mul(tf.sum(tf.square(hidden.weights)), layerValue(rho, 0)),
      tf.mul(tf.sum(tf.square(head.weights)), layerValue(rho, 1)),
    ),
  );
  const [value] = await sum.data();
  sum.dispose();
  return value;
}
