import * as tf from '@tensorflow/tfjs';
import type { Activation } from './activation.js';

/** phi(u) = max(u, 0); F(v) = v^2/2 on v >= 0; F*(u) = max(u, 0)^2/2. */
export const relu: Activation = {
  maxSlope: 1,
  phi: (u) => tf.relu(u),
  slope: (u) => tf.step(u),
  conjugate: (u) => tf.tidy(() => tf.mul(0.5, tf.square(tf.relu(u)))),
  float64: {
    F: (v) => v ** 2 / 2,
    conjugate: (u) => Math.max(u, 0) ** 2 / 2,
  },
  proximal: {
    operator: (w, theta) => tf.tidy(() => tf.mul(tf.relu(w), 1 / (1 + theta))),
    preimage: (v) => v.clone(),
  },
};
