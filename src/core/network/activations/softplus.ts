import * as tf from '@tensorflow/tfjs';
import type { Activation } from './activation.js';
import { debye, debye64, softplusTail, softplusTail64 } from './special-functions.js';

/** Li2(1) = pi^2/6 */
const total = Math.PI ** 2 / 6;

/**
 * phi(u) = ln(1 + e^u); F'(v) = ln(e^v - 1), F(v) = v^2/2 + Li2(e^-v) - pi^2/6 on v >= 0; F*(u) = -Li2(-e^u).
 *
 * With D(w) = Li2(1 - e^-w) and y = ln(1 + e^-|u|), F*(u) = -D(-y) where u <= 0, and u^2/2 + pi^2/6 + D(-y) elsewhere;
 * F(v) = v^2/2 + D(y) - pi^2/6 with y = -ln(1 - e^-v) where v >= ln 2, and v^2/2 + v ln(1 - e^-v) - D(v) elsewhere.
 */
export const softplus: Activation = {
  maxSlope: 1,
  // max(u, 0) + ln(1 + e^-|u|) never overflows.
  phi: (u) => tf.tidy(() => tf.add(tf.relu(u), softplusTail(u))),
  slope: (u) => tf.sigmoid(u),
  conjugate: (u) =>
    tf.tidy(() => {
      const left = tf.neg(debye(tf.neg(softplusTail(u))));
      const square = tf.mul(0.5, tf.square(tf.relu(u)));
      const shift = tf.mul(tf.step(u), tf.sub(total, tf.mul(2, left)));
      return tf.add(tf.add(square, shift), left);
    }),
  float64: {
    F: (v) => {
      if (v <= 0) return 0;
      const y = -Math.log(-Math.expm1(-v));
      return v >= Math.LN2 ? v ** 2 / 2 + debye64(y) - total : v ** 2 / 2 - v * y - debye64(v);
    },
    conjugate: (u) => {
      const left = -debye64(-softplusTail64(u));
      return u <= 0 ? left : u ** 2 / 2 + total - left;
    },
  },
};
