import * as tf from '@tensorflow/tfjs';
import { rowChunks, targetRows } from '../../batches.js';
import type { LayerParameters } from '../../network/parameters.js';
import type { TrainingData } from '../method.js';

/**
 * A matrix with one row a training image, as chunks of rows: slicing one large tensor would copy it.
 * A sum over chunks is taken in float64 where a factorisation follows, in float32 elsewhere.
 *
 * At 60,000 images every 300 columns take 72 MB. A step holds its old and its new state at once; other
 * tensors of that size are freed before the step ends: within a chunk by `mapChunks`, whole matrices by the
 * method.
 */
export type Rows = readonly tf.Tensor2D[];

/** The training images on the device; 60,000 of 784 pixels take 190 MB. */
export type TrainingSet = {
  /** [rows, features], preprocessed */
  readonly x: tf.Tensor2D[];
  /** [rows, classes], one-hot, or the targets of a regression */
  readonly y: tf.Tensor2D[];
  readonly rows: number;
};

export function trainingSet(train: TrainingData, classes: number): TrainingSet {
  const chunks = rowChunks(train.split.count);
  return {
    x: chunks.map((rows) => train.rows(rows)),
    y: chunks.map((rows) =>
      tf.tensor2d(targetRows(train.split, rows, classes), [rows.length, classes]),
    ),
    rows: train.split.count,
  };
}

/** Chunk by chunk, each in a tidy of its own. */
export function mapChunks<Result extends tf.TensorContainer>(
  chunks: readonly unknown[],
  map: (chunk: number) => Result,
): Result[] {
  return chunks.map((_, chunk) => tf.tidy(() => map(chunk)));
}

/** X W + b, kept as chunks. */
export function affineRows(x: Rows, layer: LayerParameters): tf.Tensor2D[] {
  return mapChunks(x, (chunk) => affine(x[chunk], layer));
}

/** A^T B [p, q] of A [n, p] and B [n, q]. */
export function crossProduct(a: Rows, b: Rows): tf.Tensor2D {
  return sumChunks(a, (chunk) => tf.matMul(a[chunk], b[chunk], true, false));
}

/** The sum of `term` over chunks, with one term at a time in memory. */
export function sumChunks<T extends tf.Tensor>(
  chunks: readonly unknown[],
  term: (chunk: number) => T,
): T {
  let sum: T | undefined;
  for (const chunk of chunks.keys()) {
    const next = tf.tidy(() => (sum ? tf.add(sum, term(chunk)) : term(chunk)) as T);
    sum?.dispose();
    sum = next;
  }
  return sum as T;
}

/** A^T A of A [n, p]: [p, p], row-major; of [A, 1] with a column of ones, [p + 1, p + 1]. */
export async function gram(a: Rows, { ones = false } = {}): Promise<Float64Array> {
  const width = a[0].shape[1];
  const size = ones ? width + 1 : width;
  const sum = new Float64Array(size * size);
  for (const chunk of a) {
    const product = tf.tidy(() => tf.matMul(chunk, chunk, true, false));
    const columns = tf.tidy(() => tf.sum(chunk, 0));
    const [values, sums] = await Promise.all([product.data(), columns.data()]);
    tf.dispose([product, columns]);
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < width; j++) sum[i * size + j] += values[i * width + j];
    }
    if (!ones) continue;
    for (let i = 0; i < width; i++) {
      sum[i * size + width] += sums[i];
      sum[width * size + i] += sums[i];
    }
    sum[size * size - 1] += chunk.shape[0];
  }
  return sum;
}

/** ||A||^2, summed over the matrices. */
export async function squaredNorm(...matrices: readonly tf.Tensor[]): Promise<number> {
  const sum = tf.tidy(() => tf.addN(matrices.map((matrix) => tf.sum(tf.square(matrix)))));
  const [value] = await sum.data();
  sum.dispose();
  return value;
}

/**
 * Scalars measured chunk by chunk, summed over chunks in float64.
 * @param measure the scalars of one chunk, as many for each
 */
export async function sumScalars(
  chunks: readonly unknown[],
  measure: (chunk: number) => readonly tf.Scalar[],
): Promise<number[]> {
  const measured = mapChunks(chunks, (chunk) => tf.stack([...measure(chunk)]));
  const values = await Promise.all(measured.map((tensor) => tensor.data()));
  tf.dispose(measured);
  return Array.from(values[0], (_, i) => values.reduce((sum, chunk) => sum + chunk[i], 0));
}

/** X W + b, of one chunk. */
export function affine(x: tf.Tensor2D, { weights, bias }: LayerParameters): tf.Tensor2D {
  return tf.add(tf.matMul(x, weights), bias);
}

/** ||A - B||^2 */
export function squaredDistance(a: tf.Tensor, b: tf.Tensor): tf.Scalar {
  return tf.sum(tf.squaredDifference(a, b));
}

/** The mean of matrices under weights: the minimiser of sum_i weight_i ||X - X_i||^2. */
export function weightedMean(...terms: readonly (readonly [number, tf.Tensor2D])[]): tf.Tensor2D {
  const total = terms.reduce((sum, [weight]) => sum + weight, 0);
  return tf.addN(terms.map(([weight, value]) => tf.mul(value, weight / total))) as tf.Tensor2D;
}
