import * as tf from '@tensorflow/tfjs';
import { withOnes } from '../../../network/stacked.js';
import type { TrainingData } from '../../method.js';

/** [F, 1]^T [F, 1] / m of one batch, [p + 1, p + 1]. */
export function gramMatrix(inputs: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const extended = withOnes(inputs);
    return tf.div(tf.matMul(extended, extended, true, false), inputs.shape[0]);
  });
}

/** Rows that the low-rank metric's Gram matrix is averaged over; more change nothing measurable there. */
export const sampleRows = 2000;
/** Rows per matrix product. */
const chunkRows = 2000;

/**
 * The Gram matrix of the training images, averaged over all of them, or over rows evenly spaced over
 * the set. At most {@link chunkRows} rows are on the device at a time.
 */
export function trainingGram(
  { split, rows }: TrainingData,
  mostRows = Number.POSITIVE_INFINITY,
): tf.Tensor2D {
  const used = Math.min(mostRows, split.count);
  const spacing = split.count / used;
  return tf.tidy(() => {
    const features = split.images.length / split.count;
    let total: tf.Tensor2D = tf.zeros([features + 1, features + 1]);
    for (let start = 0; start < used; start += chunkRows) {
      const count = Math.min(chunkRows, used - start);
      const indices = Array.from({ length: count }, (_, i) => Math.floor((start + i) * spacing));
      total = tf.tidy(() => tf.add(total, tf.mul(gramMatrix(rows(indices)), count / used)));
    }
    return total;
  });
}
