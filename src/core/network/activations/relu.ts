import * as tf from '@tensorflow/tfjs';
import type { Activation } from './activation.js';

/** phi(u) = max(u, 0); F(v) = v^2/2 on v >= 0; F*(u) = max(u, 0)^2/2. */
export const relu: Activation = {
  maxSlope: 1,
  phi: (u) => tf.relu(u),
  slope: (u) => tf.step(u),
  conjugate: (u) => tf.tidy(() => tf.mul(0.5, tf.square(tf.relu(u)))),
  // v^2/2 + max(u, 0)^2/2 - uv, with u as the difference of its positive and its negative part.
  divergence: (v, u) =>
    tf.tidy(() => {
      const nearest = tf.relu(v);
      const square = tf.mul(tf.squaredDifference(nearest, tf.relu(u)), 0.5);
      return tf.add(square, tf.mul(nearest, tf.relu(tf.neg(u))));
    }),
  float64: {
    F: (v) => v ** 2 / 2,
    conjugate: (u) => Math.max(u, 0) ** 2 / 2,
  },
  proximal: {
    operator: (w, theta) => tf.tidy(() => tf.mul(tf.relu(w), 1 / (1 + theta))),
    preimage: (v) => v.clone(),
  },
};
