import * as tf from '@tensorflow/tfjs';
import type { TrainingData } from '../method.js';
import { trainingSet } from './rows.js';

/** The training set of a method that frees it itself. */
export class TrainingSet {
  private constructor(
    readonly x: tf.Tensor2D[],
    readonly y: tf.Tensor2D[],
    readonly rows: number,
  ) {}

  static of(train: TrainingData, classes: number): TrainingSet {
    const { x, y, rows } = trainingSet(train, classes);
    return new TrainingSet(x, y, rows);
  }

  dispose(): void {
    tf.dispose([this.x, this.y]);
  }
}
