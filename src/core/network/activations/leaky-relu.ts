import * as tf from '@tensorflow/tfjs';
import type { Activation } from './activation.js';

/** Slope of the negative part. */
const leak = 0.01;

/** phi(u) = u (u >= 0), a u (u < 0); F(v) = v^2/2, v^2/(2a); F*(u) = u phi(u)/2. */
export const leakyRelu: Activation = {
  maxSlope: 1,
  phi: (u) => tf.leakyRelu(u, leak),
  slope: (u) => tf.step(u, leak),
  conjugate: (u) => tf.tidy(() => tf.mul(tf.mul(0.5, u), tf.leakyRelu(u, leak))),
  divergence: (v, u) =>
    tf.tidy(() => {
      // On one side of the kink F is quadratic; across it no term of B is negative.
      const square = tf.squaredDifference(v, tf.leakyRelu(u, leak));
      const near = tf.mul(
        square,
        tf.where(tf.greaterEqual(v, 0), tf.scalar(0.5), tf.scalar(0.5 / leak)),
      );
      const preimage = tf.leakyRelu(v, 1 / leak);
      const across = tf.sub(
        tf.mul(tf.add(tf.mul(v, preimage), tf.mul(u, tf.leakyRelu(u, leak))), 0.5),
        tf.mul(u, v),
      );
      return tf.where(tf.greaterEqual(tf.mul(u, v), 0), near, across) as typeof v;
    }),
  float64: {
    F: (v) => (v >= 0 ? v ** 2 / 2 : v ** 2 / (2 * leak)),
    conjugate: (u) => (u >= 0 ? u ** 2 / 2 : (leak * u ** 2) / 2),
  },
  proximal: {
    // F'' is 1 on the right and 1/a on the left.
    operator: (w, theta) =>
      tf.tidy(() => tf.mul(tf.leakyRelu(w, (1 + theta) / (1 + theta / leak)), 1 / (1 + theta))),
    preimage: (v) => tf.leakyRelu(v, 1 / leak),
  },
};
