import * as tf from '@tensorflow/tfjs';
import { type NormName, normEpsilon } from './names.js';

/**
 * A normalisation of pre-activations u [m, positions * channels]: over groups of n values, the gradient of a convex
 * potential Phi of the group, so that it has a Fenchel penalty as an activation has,
 *
 *     batch:  phi(u) = (u - mean u) / s,   s = sqrt(var u + eps),      a group is a channel, n = m * positions
 *     rms:    phi(u) = u / s,              s = sqrt(mean u^2 + eps),   a group is the channels at a position
 *     Phi(u) = n s,   Phi*(v) = -n sqrt(eps) sqrt(1 - ||v||^2/n),   B(v, u) = Phi*(v) + Phi(u) - <u, v> >= 0,
 *
 * with ||v||^2 <= n, and mean v = 0 for batch: a norm has no other values. phi'(u) is the Hessian of Phi, and symmetric.
 * Batch: Ioffe and Szegedy 2015, without a scale of its own; its shift is the layer's bias. RMS: Zhang and Sennrich 2019.
 */
export interface Norm {
  readonly name: NormName;
  /** phi(u) [m, units] */
  phi(u: tf.Tensor2D): tf.Tensor2D;
  /** phi'(u) r: what back-propagation makes of the signal r [m, units] above the norm. */
  slopeTimes(u: tf.Tensor2D, r: tf.Tensor2D): tf.Tensor2D;
  /**
   * phi(u) - phi(u - r), or (phi(u + r) - phi(u - r))/2 where `isCentred`: what a lifted step makes of r. In single
   * precision the values of phi would cancel where r is small, and their mean drift by the rounding of the group's sums.
   */
  difference(u: tf.Tensor2D, r: tf.Tensor2D, isCentred: boolean): tf.Tensor2D;
  /** B(v, u), summed over all groups: a scalar. */
  divergence(v: tf.Tensor2D, u: tf.Tensor2D): tf.Scalar;
}

/** The normalisation of layers of `channels` channels. */
export function normOf(name: NormName, channels: number): Norm {
  const isBatch = name === 'batch';
  const axis = isBatch ? 0 : 1;
  /** [groups' values], one group along `axis` */
  const grouped = (u: tf.Tensor2D): tf.Tensor2D => tf.reshape(u, [-1, channels]);
  const mean = (t: tf.Tensor): tf.Tensor => tf.mean(t, axis, true);
  const centred = (t: tf.Tensor2D): tf.Tensor2D => (isBatch ? tf.sub(t, mean(t)) : t);
  const deviation = (t: tf.Tensor2D): tf.Tensor2D =>
    tf.sqrt(tf.add(mean(tf.square(t)), normEpsilon));

  return {
    name,
    phi: (u) =>
      tf.tidy(() => {
        const t = centred(grouped(u));
        return tf.reshape(tf.div(t, deviation(t)), u.shape);
      }),
    slopeTimes: (u, r) =>
      tf.tidy(() => {
        const t = centred(grouped(u));
        const s = deviation(t);
        const v: tf.Tensor2D = tf.div(t, s);
        const d = centred(grouped(r));
        const along = tf.mul(v, mean(tf.mul(v, d)));
        return tf.reshape(tf.div(tf.sub(d, along), s), u.shape);
      }),
    difference: (u, r, isCentred) =>
      tf.tidy(() => {
        const t = centred(grouped(u));
        const d = centred(grouped(r));
        const square = mean(tf.square(t));
        const step = mean(tf.square(d));
        const twice = tf.mul(2, mean(tf.mul(t, d)));
        // s of u, u + r and u - r: mean (t +- d)^2 is not negative but for rounding.
        const root = (value: tf.Tensor) => tf.sqrt(tf.add(tf.relu(value), normEpsilon));
        const low = root(tf.add(tf.sub(square, twice), step));
        const high = root(isCentred ? tf.add(tf.add(square, twice), step) : square);
        // phi(u - r) = (t - d)/low. With a = 1/high - 1/low, whose numerator does not cancel,
        // one-sided: a t + d/low;  two-sided: (a t + (1/high + 1/low) d)/2.
        const change = isCentred ? tf.mul(-2, twice) : tf.sub(step, twice);
        const product = tf.mul(low, high);
        const sum = tf.add(low, high);
        const ofU = tf.div(change, tf.mul(product, sum));
        const ofR = isCentred ? tf.div(sum, product) : tf.div(1, low);
        const value = tf.add(tf.mul(t, ofU), tf.mul(d, ofR));
        return tf.reshape(isCentred ? tf.mul(value, 0.5) : value, u.shape);
      }),
    divergence: (v, u) =>
      tf.tidy(() => {
        const t = grouped(u);
        const w = grouped(v);
        const n = t.shape[axis];
        const rest = tf.sqrt(tf.relu(tf.sub(1, mean(tf.square(w)))));
        const potential = tf.sub(deviation(centred(t)), tf.mul(rest, Math.sqrt(normEpsilon)));
        const product = mean(tf.mul(centred(t), w));
        return tf.mul(tf.sum(tf.relu(tf.sub(potential, product))), n);
      }),
  };
}

/** Mean and variance of each channel [channels], the variance over n - 1 as PyTorch estimates it. */
export type ChannelStatistics = { readonly mean: tf.Tensor1D; readonly variance: tf.Tensor1D };

/** Of pre-activations u [m, positions * channels] of one batch; inside a tidy. */
export function channelStatistics(u: tf.Tensor2D, channels: number): ChannelStatistics {
  const rows: tf.Tensor2D = tf.reshape(u, [-1, channels]);
  const mean = tf.mean(rows, 0) as tf.Tensor1D;
  const n = rows.shape[0];
  const squares = tf.sum(tf.square(tf.sub(rows, mean)), 0);
  return { mean, variance: tf.div(squares, Math.max(1, n - 1)) };
}
