import * as tf from '@tensorflow/tfjs';

/** Squarings of the Gram matrix: the bound is at most k^(1/2^(squarings + 1)) too large. */
const squarings = 5;

/**
 * An upper bound of ||W||_2^2 that is at most a few percent too large.
 *
 * ||W||_2^2 = ||G||_2 <= ||G^(2^q)||_F^(1/2^q) for the smaller Gram matrix G [k, k] of W: unlike
 * power iteration it never underestimates, so a step size made of it is safe.
 */
export async function squaredNormBound(w: tf.Tensor2D): Promise<number> {
  const [rows, columns] = w.shape;
  const norms = tf.tidy(() => {
    let power = rows < columns ? tf.matMul(w, w, false, true) : tf.matMul(w, w, true, false);
    const scales: tf.Scalar[] = [];
    for (let i = 0; i <= squarings; i++) {
      // Normalised each time, so that no power overflows.
      const norm = tf.add(tf.norm(power), 1e-30) as tf.Scalar;
      scales.push(norm);
      power = tf.div(power, norm);
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
