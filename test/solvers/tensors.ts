import * as tf from '@tensorflow/tfjs';
import type { Random } from '../../src/core/random.js';
import type { Matrix, Vector } from '../reference/matrix.js';

/** Between the float64 reference's nested arrays and tensors. */
export const matrix = (values: Matrix): tf.Tensor2D =>
  tf.tensor2d(
    values.map((row) => [...row]),
    [values.length, values[0].length],
  );

export const vector = (values: Vector): tf.Tensor1D => tf.tensor1d([...values]);

/** A seeded [rows, columns] normal matrix. */
export const normal = (random: Random, rows: number, columns: number, scale = 1): number[][] =>
  Array.from({ length: rows }, () =>
    Array.from({ length: columns }, () => scale * random.normal()),
  );

/** Rows of class probabilities: one-hot, or soft. */
export function targets(random: Random, rows: number, classes: number, soft = false): number[][] {
  return Array.from({ length: rows }, () => {
    const row = Array.from({ length: classes }, () => (soft ? random.uniform() + 0.1 : 0));
    if (!soft) row[random.integer(classes)] = 1;
    const total = row.reduce((sum, value) => sum + value, 0);
    return row.map((value) => value / total);
  });
}
