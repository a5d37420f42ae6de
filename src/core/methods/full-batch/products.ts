import * as tf from '@tensorflow/tfjs';

export * from './rows.js';

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
