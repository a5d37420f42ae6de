import * as tf from '@tensorflow/tfjs';
import type { Activation, SmoothedActivation } from './activation.js';

/**
 * Activations that jump from `low` to 1 at 0, with m = (1 + low)/2 and h = (1 - low)/2:
 *
 *     phi(u) = m + h sign(u),   F(v) = 0 on [low, 1],   F*(u) = m u + h |u|.
 *
 * phi is a subgradient of F*, at 0 as any other value of [low, 1] would be. Adding epsilon (v - m)^2/(2 h) to F gives
 * the smoothed activation: of v in [low, 1] the one that maximises u v - epsilon (v - m)^2/(2 h),
 *
 *     phi(u) = clip(m + h u/epsilon, low, 1),   phi' = h/epsilon where |u| <= epsilon, 0 elsewhere.
 *
 * `slope` is phi' of epsilon = 1, h where |u| <= 1: the straight-through estimator (Bengio, Leonard and Courville 2013),
 * clipped as by Hubara et al. (2016).
 */
function jump(low: number, phi: Activation['phi']): Activation {
  const [m, h] = [(1 + low) / 2, (1 - low) / 2];
  const clip = (v: tf.Tensor2D) => tf.clipByValue(v, low, 1);
  const slope = (u: tf.Tensor2D) => tf.mul(h, tf.step(tf.sub(1, tf.abs(u)))) as tf.Tensor2D;

  const smoothed = (epsilon: tf.Scalar): SmoothedActivation => {
    const line = (u: tf.Tensor2D) => tf.add(tf.mul(tf.div(u, epsilon), h), m) as tf.Tensor2D;
    return {
      maxSlope: tf.div(h, epsilon),
      phi: (u) => tf.tidy(() => clip(line(u))),
      slope: (u) => tf.tidy(() => tf.div(slope(tf.div(u, epsilon)), epsilon)),
      // epsilon/h ((c - v)^2/2 + (c - v) (w - c)), w = m + h u/epsilon, c = clip(w): no term is negative.
      divergence: (v, u) =>
        tf.tidy(() => {
          const w = line(u);
          const c = clip(w);
          const gap = tf.sub(c, clip(v));
          const sum = tf.add(tf.div(tf.square(gap), 2), tf.mul(gap, tf.sub(w, c)));
          return tf.mul(sum, tf.div(epsilon, h)) as tf.Tensor2D;
        }),
    };
  };

  return {
    maxSlope: Number.POSITIVE_INFINITY,
    phi,
    slope: (u) => tf.tidy(() => slope(u)),
    smoothed,
    conjugate: (u) => tf.tidy(() => tf.add(tf.mul(m, u), tf.mul(h, tf.abs(u)))),
    divergence: (v, u) =>
      tf.tidy(() => tf.sub(tf.mul(h, tf.abs(u)), tf.mul(u, tf.sub(clip(v), m)))),
    float64: { F: () => 0, conjugate: (u) => m * u + h * Math.abs(u) },
  };
}

/** phi(u) = 1 where u > 0, 0 elsewhere. */
export const step: Activation = jump(0, (u) => tf.step(u));

/** phi(u) = 1 where u > 0, -1 where u < 0, 0 at 0. The WebAssembly backend's `tf.sign` is 0 for small numbers, too. */
export const sign: Activation = jump(-1, (u) =>
  tf.tidy(() => tf.sub(tf.step(u), tf.step(tf.neg(u)))),
);
