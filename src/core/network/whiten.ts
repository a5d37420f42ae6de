import * as tf from '@tensorflow/tfjs';
import { eigenbasis } from '../solvers/eigenbasis.js';
import type { LinearMap } from './maps/linear-map.js';

/** Training images whose patches are taken, at most: more change nothing measurable. */
const sampleRows = 5000;
/** Images at a time: patches take several times their memory. */
const chunkRows = 250;
/** Added to the eigenvalues, as in airbench (Jordan 2024), whose pixels have about unit variance. */
const epsilon = 5e-4;

/**
 * Weights of a whitening convolution, [patch, 2 n]: the n <= patch leading eigenvectors q_i of the second moment of patches of the training
 * images over the root of their eigenvalues, and the same with the other sign, since a ReLU keeps one,
 *
 *     W = [q_1/sqrt(e_1 + eps), ..., -q_1/sqrt(e_1 + eps), ...],   E p p^T = sum e_i q_i q_i^T,
 *
 * so that the outputs are uncorrelated and have unit mean squares.
 *
 * Inside a scope, which frees what it needs.
 * @param count of training images
 * @param rows the training images `indices`, as a new tensor
 */
export async function whiteningWeights(
  map: LinearMap,
  count: number,
  rows: (indices: ArrayLike<number>) => tf.Tensor2D,
): Promise<Float32Array> {
  const used = Math.min(sampleRows, count);
  const [patch, filters] = map.weightShape;
  const kept = filters / 2;
  const moment = tf.tidy(() => {
    let sum: tf.Tensor2D = tf.zeros([patch, patch]);
    for (let start = 0; start < used; start += chunkRows) {
      const length = Math.min(chunkRows, used - start);
      const indices = Array.from({ length }, (_, i) => Math.floor(((start + i) * count) / used));
      sum = tf.tidy(() => {
        const patches = map.patches(rows(indices));
        return tf.add(sum, tf.matMul(patches, patches, true, false));
      });
    }
    return tf.div(sum, used * map.positions) as tf.Tensor2D;
  });
  const basis = await eigenbasis(moment);
  const [q, a] = [await basis.data(), await moment.data()];
  const weights = new Float32Array(patch * filters);
  for (let k = 0; k < kept; k++) {
    // e_k = q_k^T A q_k
    let e = 0;
    for (let i = 0; i < patch; i++) {
      for (let j = 0; j < patch; j++) e += q[i * patch + k] * a[i * patch + j] * q[j * patch + k];
    }
    const scale = 1 / Math.sqrt(Math.max(e, 0) + epsilon);
    for (let i = 0; i < patch; i++) {
      weights[i * filters + k] = scale * q[i * patch + k];
      weights[i * filters + kept + k] = -scale * q[i * patch + k];
    }
  }
  return weights;
}
