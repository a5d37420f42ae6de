import * as tf from '@tensorflow/tfjs';
import type { Activation } from './activation.js';

const clip = (u: tf.Tensor2D) => tf.clipByValue(u, -1, 1);

/** phi(u) = clip(u, -1, 1); F(v) = v^2/2 on [-1, 1]; F*(u) = c (u - c/2), c = phi(u). */
export const hardTanh: Activation = {
  maxSlope: 1,
  phi: clip,
  slope: (u) => tf.tidy(() => tf.step(tf.sub(1, tf.abs(u)))),
  conjugate: (u) =>
    tf.tidy(() => {
      const c = clip(u);
      return tf.mul(c, tf.sub(u, tf.mul(0.5, c)));
    }),
  // (c - v)^2/2 + (c - v) (u - c), c = phi(u): no term is negative.
  divergence: (v, u) =>
    tf.tidy(() => {
      const c = clip(u);
      const gap = tf.sub(c, clip(v));
      return tf.mul(gap, tf.add(tf.mul(0.5, gap), tf.sub(u, c)));
    }),
  float64: {
    F: (v) => v ** 2 / 2,
    conjugate: (u) => {
      const c = Math.min(1, Math.max(-1, u));
      return c * (u - c / 2);
    },
  },
  proximal: {
    operator: (w, theta) => tf.tidy(() => clip(tf.mul(w, 1 / (1 + theta)))),
    preimage: (v) => v.clone(),
  },
};
