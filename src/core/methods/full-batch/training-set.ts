import * as tf from '@tensorflow/tfjs';
import { oneHot } from '../../batches.js';
import type { TrainingData } from '../method.js';

/**
 * Rows of one chunk. Everything a full-batch method does row by row is done chunk by chunk: small
 * enough that the intermediate results of a chunk do not count, large enough that calls do not.
 */
export const chunkRows = 2000;

/** Consecutive training rows on the device. */
export interface Chunk {
  /** [rows, features], preprocessed */
  readonly x: tf.Tensor2D;
  /** [rows, classes], one-hot */
  readonly y: tf.Tensor2D;
}

/**
 * The training images on the device, as separate chunks: slicing one large tensor would copy it.
 * 60,000 images of 784 pixels take 190 MB.
 */
export class TrainingSet {
  private constructor(
    readonly chunks: readonly Chunk[],
    readonly rows: number,
  ) {}

  static of(train: TrainingData, classes: number): TrainingSet {
    const rows = train.split.count;
    const chunks: Chunk[] = [];
    for (let start = 0; start < rows; start += chunkRows) {
      const length = Math.min(chunkRows, rows - start);
      const indices = Uint32Array.from({ length }, (_, i) => start + i);
      const y = oneHot(train.split.labels, indices, classes);
      chunks.push({ x: train.rows(indices), y: tf.tensor2d(y, [length, classes]) });
    }
    return new TrainingSet(chunks, rows);
  }

  get x(): tf.Tensor2D[] {
    return this.chunks.map(({ x }) => x);
  }

  get y(): tf.Tensor2D[] {
    return this.chunks.map(({ y }) => y);
  }

  dispose(): void {
    for (const { x, y } of this.chunks) tf.dispose([x, y]);
  }
}
