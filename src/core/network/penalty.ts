import * as tf from '@tensorflow/tfjs';
import type { Activation } from './activations/activation.js';

/**
 * The Fenchel penalty B(v, u) of every entry, for v = phi(s) (eq. 6), in the Bregman form
 *
 *     B(phi(s), u) = F*(u) - F*(s) - phi(s) (u - s),
 *
 * which never evaluates phi^-1 near its poles. For the ReLU any pre-image s <= 0 of v = 0 gives the same
 * value. Rounding can make it slightly negative: clamped at 0. Of a phi that decreases somewhere it is that of its
 * monotone part, phi_1(s) in place of phi(s).
 *
 * @param s pre-activations of the activations v, [m, n]
 * @param u pre-activations predicted by the layer below, [m, n]
 */
export function penalty(
  { phi, conjugate, skip = 0 }: Activation,
  s: tf.Tensor2D,
  u: tf.Tensor2D,
): tf.Tensor2D {
  return tf.tidy(() => {
    const v = skip > 0 ? tf.add(phi(s), tf.mul(skip, s)) : phi(s);
    return tf.relu(tf.sub(tf.sub(conjugate(u), conjugate(s)), tf.mul(v, tf.sub(u, s))));
  });
}
