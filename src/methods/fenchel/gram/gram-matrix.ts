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

/** Rows that the Gram matrix of the training images is averaged over; more change nothing measurable. */
const sampleRows = 2000;
/** Rows per matrix product. */
const chunkRows = 2000;

/** The Gram matrix of the training images, averaged over rows evenly spaced over the set. */
export function trainingGram({ split, rows }: TrainingData): tf.Tensor2D {
  const used = Math.min(sampleRows, split.count);
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
