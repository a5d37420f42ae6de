import * as tf from '@tensorflow/tfjs';
import type { Random } from '../../../random.js';
import { factor } from '../../../solvers/cholesky.js';
import { orthonormaliseRows } from '../../../solvers/orthonormalise.js';
import type { TrainingData } from '../../method.js';
import { sampleRows, trainingGram } from './gram-matrix.js';
import type { Metric } from './metric.js';

/** Y [p + 1, rank] and S [rank, p + 1] */
type LowRank = { readonly y: tf.Tensor2D; readonly s: tf.Tensor2D };

/** Passes of subspace iteration: enough for the leading eigenvectors of images. */
const passes = 2;

/**
 * Metric of the input layer, whose Gram matrix C never changes, from its leading eigenspace alone.
 *
 * Randomised subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4) gives an
 * orthonormal Q [p + 1, rank] and Y = C Q. With the Nystroem approximation Y (Q^T Y)^-1 Y^T of C,
 * Woodbury's identity turns the damped inverse into
 *
 *     (C + delta I)^-1  ~  (I - Y S) / delta,   S = (delta Q^T Y + Y^T Y)^-1 Y^T,
 *
 * exact on the span of Q and 1/delta beyond it, where the eigenvalues of C are far below delta.
 * Applying it costs 2 (p + 1) q rank multiplications instead of (p + 1)^2 q.
 *
 * @param options.damping delta
 * @param options.rank eigenvectors kept; at most p + 1
 */
export async function lowRankMetric(
  train: TrainingData,
  options: { readonly damping: number; readonly rank: number },
  random: Random,
): Promise<Metric<LowRank>> {
  const gram = trainingGram(train, sampleRows);
  const size = gram.shape[0];
  const rank = Math.min(options.rank, size);
  const { damping } = options;

  let basis: Float64Array = Float64Array.from({ length: rank * size }, () => random.normal());
  for (let pass = 0; pass < passes; pass++) {
    basis = await rowsTimes(basis, gram);
    orthonormaliseRows(basis, rank, size);
  }
  const image = await rowsTimes(basis, gram);
  gram.dispose();

  const y: tf.Tensor2D = tf.tidy(() =>
    tf.transpose(tf.tensor2d(Float32Array.from(image), [rank, size])),
  );
  const s = tf.tensor2d(
    Float32Array.from(factor(innerMatrix(basis, image, rank, damping), rank).solve(image, size)),
    [rank, size],
  );
  return {
    observe: async () => {},
    applied: { y, s },
    state: undefined,
    apply: ({ y, s }, gradient) =>
      tf.div(tf.sub(gradient, tf.matMul(y, tf.matMul(s, gradient))), damping),
    dispose: () => {
      y.dispose();
      s.dispose();
    },
  };
}

/** Q^T C for Q^T [rank, size] on the host and symmetric C on the device. */
async function rowsTimes(rows: Float64Array, gram: tf.Tensor2D): Promise<Float64Array> {
  const size = gram.shape[0];
  const product = tf.tidy(() =>
    tf.matMul(tf.tensor2d(Float32Array.from(rows), [rows.length / size, size]), gram),
  );
  const values = Float64Array.from(await product.data());
  product.dispose();
  return values;
}

/** delta Q^T Y + Y^T Y, [rank, rank], from Q^T and Y^T; symmetric up to rounding, so only below the diagonal. */
function innerMatrix(basis: Float64Array, image: Float64Array, rank: number, damping: number) {
  const size = image.length / rank;
  const inner = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < size; k++) {
        const y = image[j * size + k];
        sum += (damping * basis[i * size + k] + image[i * size + k]) * y;
      }
      inner[i * rank + j] = sum;
    }
  }
  return inner;
}
