import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../compile.js';
import { layerGradient } from '../../network/maps/linear-map.js';
import type { LayerParameters } from '../../network/parameters.js';
import { withOnes } from '../../network/stacked.js';
import type { MethodContext } from '../method.js';
import type { PreconditionedConfig } from './config.js';
import { applyInverse, type DenseInverse, invertWith, momentOf } from './moments.js';
import { curvatureOf, inputMoment } from './preconditioner.js';

/*
 * Preconditioning by the input covariance of the current batch alone. With the inputs X = [F, 1] [m, n] of a fully
 * connected layer, h as in preconditioner.ts, H = h X^T X / m and G = X^T g,
 *
 *     D = (H + delta I)^-1 G = X^T Z,   Z = (K + delta I)^-1 g,   K = h X X^T / m,   delta = damping trace(H) / n:
 *
 * where m < n, the m x m system on the right is solved. Its energy is tr(D^T H D) = (m / h) ||K Z||^2, and
 * K Z = g - delta Z. Convolutions, which have more positions than weights, and larger batches form H.
 */

type Context = Pick<MethodContext<PreconditionedConfig>, 'config' | 'network' | 'loss'>;

/** Whether the system of a layer is that of K, for a batch of m rows. */
export const isThin = (
  { config, network }: Pick<Context, 'config' | 'network'>,
  l: number,
  m: number,
): boolean => {
  const { positions, weightShape } = network.maps[l];
  return config.inputCovariance === 'batch' && positions === 1 && m < weightShape[0] + 1;
};

/**
 * (K + delta I)^-1 or (H + delta I)^-1 of each upper layer, from its inputs [m, p].
 * @throws NotPositiveDefiniteError when one cannot be factored
 */
export async function batchInverses(
  context: Context,
  inputs: readonly tf.Tensor2D[],
): Promise<readonly DenseInverse[]> {
  const { matrices, deltas } = systems(context, { inputs });
  return invertWith(context, await Promise.all(matrices.map(momentOf)), deltas);
}

/** K or H of each upper layer, and its delta. */
const systems = compiled(
  (context: Context, { inputs }: { readonly inputs: readonly tf.Tensor2D[] }) => {
    const { maps } = context.network;
    const matrices: tf.Tensor2D[] = [];
    const deltas: tf.Scalar[] = [];
    for (const [i, rows] of inputs.entries()) {
      const l = maps.length - inputs.length + i;
      const [map, m] = [maps[l], rows.shape[0]];
      const extended = withOnes(rows);
      const moment: tf.Tensor2D = isThin(context, l, m)
        ? tf.div(tf.matMul(extended, extended, false, true), m)
        : inputMoment(context, map, rows);
      const matrix: tf.Tensor2D = tf.mul(moment, curvatureOf(context, l));
      const trace = tf.sum(tf.mul(matrix, tf.eye(matrix.shape[0])));
      matrices.push(matrix);
      deltas.push(tf.mul(trace, context.config.damping / (map.weightShape[0] + 1)));
    }
    return { matrices, deltas };
  },
);

/** D and tr(D^T H D) from the inverse of K + delta I and the signals g [m, outputs]; inside a compiled function. */
export function thinStep(
  context: Context,
  l: number,
  inverse: DenseInverse,
  inputs: tf.Tensor2D,
  g: tf.Tensor2D,
): { readonly direction: LayerParameters; readonly energy: tf.Scalar } {
  const z = applyInverse(inverse, g);
  const image = tf.sub(g, tf.mul(z, inverse.delta));
  return {
    direction: layerGradient(context.network.maps[l], inputs, z),
    energy: tf.mul(tf.sum(tf.square(image)), inputs.shape[0] / curvatureOf(context, l)),
  };
}
