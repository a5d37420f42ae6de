import * as tf from '@tensorflow/tfjs';
import type { LayerParameters } from '../../network/parameters.js';
import { affine } from './terms.js';

/**
 * Products over all training rows of matrices that are kept as chunks of rows. A sum over chunks is
 * taken in float64 where a factorisation follows, in float32 elsewhere.
 */

/** The chunks of a matrix with one row a training image. */
export type Rows = readonly tf.Tensor2D[];

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

/** Replaces every chunk by what `map` makes of it, and frees the old one at once. */
export function updateChunks(
  chunks: tf.Tensor2D[],
  map: (old: tf.Tensor2D, chunk: number) => tf.Tensor2D,
): void {
  for (const [chunk, old] of chunks.entries()) {
    chunks[chunk] = tf.tidy(() => map(old, chunk));
    old.dispose();
  }
}

/** A^T B [p, q] of A [n, p] and B [n, q]. */
export function crossProduct(a: Rows, b: Rows): tf.Tensor2D {
  return sumChunks(a, (chunk) => tf.matMul(a[chunk], b[chunk], true, false));
}

/** The sum over chunks of what `term` makes of each, with one term at a time beside the sum. */
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

/** ||A||^2, of all of them together. */
export async function squaredNorm(...matrices: readonly tf.Tensor[]): Promise<number> {
  const sum = tf.tidy(() => tf.addN(matrices.map((matrix) => tf.sum(tf.square(matrix)))));
  const [value] = await sum.data();
  sum.dispose();
  return value;
}

/**
 * Scalars measured chunk by chunk, summed over chunks in float64.
 * @param measure the scalars of one chunk, always as many
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
