import * as tf from '@tensorflow/tfjs';
import type { Activation } from './activation.js';
import { debye, debye64, erf64, softplusTail, softplusTail64 } from './special-functions.js';

/**
 * phi(u) = u P(u), with the distribution function P of a symmetric density p, decreases below some u < 0. It has its
 * least and its largest slope, -kappa and 1 + kappa, where u p(u) has its extremes (u P(u) - u/2 is even).
 */
interface Gate {
  readonly phi: Activation['phi'];
  readonly slope: Activation['slope'];
  /** kappa */
  readonly skip: number;
  /** max over u of max(u, 0) - phi(u), rounded up. */
  readonly gap: number;
  /** Antiderivative of phi that is 0 at 0. */
  readonly integral: (u: tf.Tensor2D) => tf.Tensor;
  readonly float64: {
    P(u: number): number;
    /** p(u), given P(u) too. */
    p(u: number, P: number): number;
    /** Antiderivative of phi that is 0 at 0. */
    integral(u: number): number;
  };
}

function gated({ phi, slope, skip, gap, integral, float64 }: Gate): Activation {
  const conjugate = (u: number) => float64.integral(u) + (skip * u ** 2) / 2;
  /** phi_1^-1(v): Newton's method in an interval that holds it, halved where a step leaves it. */
  const preimage = (v: number, near: number): number => {
    // max(u, 0) - gap <= phi(u) <= max(u, 0)
    const inverse = (x: number) => (x > 0 ? x / (1 + skip) : x / skip);
    let [low, high] = [inverse(v), inverse(v + gap)];
    let u = Math.min(high, Math.max(low, near));
    for (let i = 0; i < 100; i++) {
      const P = float64.P(u);
      const excess = u * (P + skip) - v;
      if (excess > 0) high = u;
      else low = u;
      const step = excess / (P + u * float64.p(u, P) + skip);
      // F(v) is a maximum over u: its error is of second order.
      if (Math.abs(excess * step) <= 1e-17 * (1 + v ** 2)) return u;
      const next = u - step;
      u = next > low && next < high ? next : (low + high) / 2;
    }
    return u;
  };
  return {
    maxSlope: 1 + skip,
    skip,
    phi,
    slope,
    conjugate: (u) => tf.tidy(() => tf.add(integral(u), tf.mul(skip / 2, tf.square(u)))),
    float64: {
      F: (v, near = v) => {
        const u = preimage(v, near);
        return u * v - conjugate(u);
      },
      conjugate,
    },
  };
}

const density = (u: number) => Math.exp(-(u ** 2) / 2) / Math.sqrt(2 * Math.PI);
const normal = (u: number) => (1 + erf64(u * Math.SQRT1_2)) / 2;
const densityOf = (u: tf.Tensor2D) =>
  tf.mul(tf.exp(tf.mul(-0.5, tf.square(u))), 1 / Math.sqrt(2 * Math.PI));
/** erf(u/sqrt 2), on the CPU, WebAssembly and WebGPU within 1.5e-7 (Abramowitz and Stegun 7.1.26). */
const erfOf = (u: tf.Tensor2D) => tf.erf(tf.mul(u, Math.SQRT1_2));
const normalOf = (u: tf.Tensor2D) => tf.mul(0.5, tf.add(1, erfOf(u)));

/**
 * phi(u) = u N(u), with the standard normal N = (1 + erf(u/sqrt 2))/2 and its density n (Hendrycks and Gimpel 2016; not the
 * approximation by a tanh). phi'(u) = N(u) + u n(u), kappa = -phi'(-sqrt 2) = .128904..., as phi''(u) = (2 - u^2) n(u);
 * F*(u) = (u phi(u) + u n(u) - N(u) + 1/2)/2 + kappa u^2/2.
 */
export const gelu: Activation = gated({
  phi: (u) => tf.tidy(() => tf.mul(u, normalOf(u))),
  slope: (u) => tf.tidy(() => tf.add(normalOf(u), tf.mul(u, densityOf(u)))),
  skip: Math.SQRT2 * density(Math.SQRT2) - normal(-Math.SQRT2),
  gap: 0.17,
  integral: (u) => {
    const erf = tf.mul(0.5, erfOf(u));
    const square = tf.mul(tf.square(u), tf.add(0.5, erf));
    return tf.mul(0.5, tf.add(square, tf.sub(tf.mul(u, densityOf(u)), erf)));
  },
  float64: {
    P: normal,
    p: density,
    integral: (u) => {
      const P = normal(u);
      return (u ** 2 * P + u * density(u) - P + 0.5) / 2;
    },
  },
});

/** -Li2(-1) = pi^2/12 */
const half = Math.PI ** 2 / 12;
const sigmoid = (u: number) => 1 / (1 + Math.exp(-u));
/** Where u tanh(u/2) = 2, which makes phi'' of the SiLU 0. */
const steepest = 2.399357280515467;

/**
 * phi(u) = u s(u), s(u) = 1/(1 + e^-u) (the SiLU, or swish: Elfwing, Uchibe and Doya 2018; Ramachandran, Zoph and Le 2017).
 * phi' = s + phi (1 - s), kappa = -phi'(-2.39935...) = .099839...; with y = ln(1 + e^-|u|),
 * F*(u) = max(u, 0)^2/2 + u y - sign(u) (pi^2/12 + Li2(-e^-|u|)) + kappa u^2/2.
 */
export const silu: Activation = gated({
  phi: (u) => tf.tidy(() => tf.mul(u, tf.sigmoid(u))),
  slope: (u, v) =>
    tf.tidy(() => {
      const s = tf.sigmoid(u);
      return tf.add(s, tf.mul(v, tf.sub(1, s)));
    }),
  skip: steepest * sigmoid(steepest) * sigmoid(-steepest) - sigmoid(-steepest),
  gap: 0.28,
  integral: (u) => {
    const y = softplusTail(u);
    const square = tf.mul(0.5, tf.square(tf.relu(u)));
    const rest = tf.add(half, debye(tf.neg(y)));
    const sign = tf.sub(tf.step(u), tf.step(tf.neg(u)));
    return tf.sub(tf.add(square, tf.mul(u, y)), tf.mul(sign, rest));
  },
  float64: {
    P: sigmoid,
    p: (_u, P) => P * (1 - P),
    integral: (u) => {
      const y = softplusTail64(u);
      return Math.max(u, 0) ** 2 / 2 + u * y - Math.sign(u) * (half + debye64(-y));
    },
  },
});
