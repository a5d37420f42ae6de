import * as tf from '@tensorflow/tfjs';

/** B_2k / (2k + 1)!, k = 0, 1, ..., with the Bernoulli numbers B_n. */
const bernoulli = [
  1,
  1 / 36,
  -1 / 3600,
  1 / 211680,
  -1 / 10886400,
  1 / 526901760,
  -691 / 16999766784000,
  1 / 1120863744000,
  -3617 / 181400588328960000,
];

/**
 * Debye's integral of t/(e^t - 1) from 0 to w, which is the dilogarithm Li2(1 - e^-w): for |w| <= ln 2, where the
 * terms of its series -w^2/4 + sum_k B_2k w^(2k+1)/(2k+1)! fall below the rounding of float64.
 */
export function debye64(w: number): number {
  const sum = bernoulli.reduceRight((total, term) => total * w ** 2 + term, 0);
  return w * sum - w ** 2 / 4;
}

/** {@link debye64} of tensors: four terms reach the rounding of float32. */
export function debye(w: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const square = tf.square(w);
    const [first, ...rest] = bernoulli.slice(0, 4).toReversed();
    const sum = rest.reduce<tf.Tensor>(
      (total, term) => tf.add(tf.mul(total, square), term),
      tf.scalar(first),
    );
    return tf.sub(tf.mul(w, sum), tf.mul(0.25, square));
  });
}

/** ln(1 + e^-|u|), in (0, ln 2]. */
export const softplusTail = (u: tf.Tensor2D): tf.Tensor2D =>
  tf.tidy(() => tf.log1p(tf.exp(tf.neg(tf.abs(u)))));

export const softplusTail64 = (u: number): number => Math.log1p(Math.exp(-Math.abs(u)));

/** erf x = 2/sqrt(pi) e^-x^2 sum_n 2^n x^(2n+1)/(2n+1)!!, a series without cancellation. */
export function erf64(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x ** 2) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-(x ** 2)) * sum;
}
