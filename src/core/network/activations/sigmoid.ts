import * as tf from '@tensorflow/tfjs';
import { type Activation, xlogx } from './activation.js';

/** phi(u) = 1/(1 + e^-u); F(v) = v ln v + (1-v) ln(1-v) on [0, 1]; F*(u) = ln(1 + e^u). */
export const sigmoid: Activation = {
  maxSlope: 0.25,
  phi: (u) => tf.sigmoid(u),
  slope: (_u, v) => tf.tidy(() => tf.sub(v, tf.square(v))),
  // max(u, 0) + ln(1 + e^-|u|) never overflows.
  conjugate: (u) => tf.tidy(() => tf.add(tf.relu(u), tf.log1p(tf.exp(tf.neg(tf.abs(u)))))),
  float64: {
    F: (v) => xlogx(v) + xlogx(1 - v),
    conjugate: (u) => Math.max(u, 0) + Math.log1p(Math.exp(-Math.abs(u))),
  },
};
