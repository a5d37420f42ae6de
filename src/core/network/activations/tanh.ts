import * as tf from '@tensorflow/tfjs';
import { type Activation, xlogx } from './activation.js';

/** phi(u) = tanh u; F(v) = ((1+v) ln(1+v) + (1-v) ln(1-v))/2 on [-1, 1]; F*(u) = ln cosh u. */
export const tanh: Activation = {
  maxSlope: 1,
  phi: (u) => tf.tanh(u),
  slope: (_u, v) => tf.tidy(() => tf.sub(1, tf.square(v))),
  // |u| + ln(1 + e^-2|u|) - ln 2 never overflows.
  conjugate: (u) =>
    tf.tidy(() => {
      const size = tf.abs(u);
      return tf.sub(tf.add(size, tf.log1p(tf.exp(tf.mul(-2, size)))), Math.LN2);
    }),
  float64: {
    F: (v) => (xlogx(1 + v) + xlogx(1 - v)) / 2,
    conjugate: (u) => Math.abs(u) + Math.log1p(Math.exp(-2 * Math.abs(u))) - Math.LN2,
  },
};
