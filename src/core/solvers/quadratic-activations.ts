import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../network/parameters.js';
import { factor } from './cholesky.js';

/**
 * Activations between two quadratic penalties, without a sign constraint (Lau's V-update, Taylor's
 * a-update, MAC's Z-update):
 *
 *     min_A  weight ||T - A W - b||^2 + ||A - R||^2
 *
 *     A = R + (T - b - R W) (I / weight + W^T W)^-1 W^T
 *
 * by Woodbury's identity: the system has the size q of the layer above, not the size p of A's rows.
 *
 * @param layer W [p, q] and b [q] of the layer above
 * @returns the minimiser A [n, p] for rows T [n, q] and R [n, p]
 */
export async function quadraticActivations(
  { weights, bias }: LayerParameters,
  weight: number,
): Promise<(target: tf.Tensor2D, anchor: tf.Tensor2D) => tf.Tensor2D> {
  const [p, q] = weights.shape;
  const w = await weights.data();
  const system = new Float64Array(q * q);
  for (let k = 0; k < p; k++) {
    for (let i = 0; i < q; i++) {
      for (let j = 0; j <= i; j++) system[i * q + j] += w[k * q + i] * w[k * q + j];
    }
  }
  for (let i = 0; i < q; i++) system[i * q + i] += 1 / weight;
  const transposed = new Float64Array(q * p);
  for (let k = 0; k < p; k++) {
    for (let j = 0; j < q; j++) transposed[j * p + k] = w[k * q + j];
  }
  const back = tf.tensor2d(Float32Array.from(factor(system, q).solve(transposed, p)), [q, p]);
  return (target, anchor) =>
    tf.tidy(() => {
      const misfit = tf.sub(tf.sub(target, bias), tf.matMul(anchor, weights));
      return tf.add(anchor, tf.matMul(misfit as tf.Tensor2D, back));
    });
}
