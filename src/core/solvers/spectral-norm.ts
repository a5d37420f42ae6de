import * as tf from '@tensorflow/tfjs';
import type { LinearMap } from '../network/maps/linear-map.js';
import { Random } from '../random.js';
import { euclideanNorm } from './solver.js';

/** Squarings of the Gram matrix: the bound is at most k^(1/2^(squarings + 1)) too large. */
const squarings = 5;

/**
 * An upper bound of ||W||_2^2 that is at most a few percent too large.
 *
 * ||W||_2^2 = ||G||_2 <= ||G^(2^q)||_F^(1/2^q) for the smaller Gram matrix G [k, k] of W: unlike
 * power iteration it never underestimates, so a step size from it is safe.
 */
export async function squaredNormBound(w: tf.Tensor2D): Promise<number> {
  const [rows, columns] = w.shape;
  const norms = tf.tidy(() => {
    let power = rows < columns ? tf.matMul(w, w, false, true) : tf.matMul(w, w, true, false);
    const scales: tf.Scalar[] = [];
    for (let i = 0; i <= squarings; i++) {
      // Normalised each time, so that no power overflows.
      const norm = tf.add(euclideanNorm(power), 1e-30) as tf.Scalar;
      scales.push(norm);
      power = tf.div(power, norm) as tf.Tensor2D;
      if (i < squarings) power = tf.matMul(power, power);
    }
    return tf.stack(scales);
  });
  const values = await norms.data();
  norms.dispose();
  // G^(2^q) = prod_i norm_i^(2^(q - i)) times a matrix of norm 1.
  let logNorm = 0;
  for (const [i, value] of values.entries()) logNorm += Math.log(value) / 2 ** i;
  return Math.exp(logNorm);
}

/** Rounds of power iteration on a convolution, and the factor by which the estimate is enlarged. */
const rounds = 20;
const margin = 1.1;

/**
 * ||A(.; W)||_2^2 of a layer's map in its input, for step sizes: a safe bound, and an estimate below it.
 *
 * Of a fully connected layer both are the safe bound. A convolution's bound, overlap ||W||^2, can be
 * several times too large; power iteration on A^T A from a positive image, enlarged by a tenth, is
 * closer, but it may be too small: a solver has to check the steps that it takes with it.
 */
export async function squaredMapNorm(
  map: LinearMap,
  weights: tf.Tensor2D,
): Promise<{ readonly bound: number; readonly estimate: number }> {
  const bound = map.overlap * (await squaredNormBound(weights));
  if (map.positions === 1) return { bound, estimate: bound };
  const iterated = tf.tidy(() => {
    const random = new Random(1, 'spectral-norm');
    const start = Float32Array.from({ length: map.inputs }, () => random.uniform());
    const layer = { weights, bias: tf.zeros([map.weightShape[1]]) as tf.Tensor1D };
    let image = tf.tensor2d(start, [1, map.inputs]);
    let size: tf.Scalar = tf.scalar(0);
    for (let round = 0; round < rounds; round++) {
      const unit = tf.div(image, tf.add(euclideanNorm(image), 1e-30)) as tf.Tensor2D;
      image = map.adjoint(map.apply(unit, layer), weights);
      size = euclideanNorm(image) as tf.Scalar;
    }
    return size;
  });
  const [value] = await iterated.data();
  iterated.dispose();
  return { bound, estimate: Math.min(bound, margin * value) };
}
