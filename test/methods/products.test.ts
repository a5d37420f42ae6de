import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { chunkRows } from '../../src/core/batches.js';
import {
  crossProduct,
  gram,
  sumScalars,
  trainingSet,
} from '../../src/core/methods/full-batch/rows.js';
import { Random } from '../../src/core/random.js';
import { startTestBackend } from '../backends.js';
import { distance, type Matrix, multiply, transpose, withOnes } from '../reference/matrix.js';
import { matrix, normal } from '../solvers/tensors.js';

const random = new Random(4, 'products');
/** Chunks of different lengths. */
const a = [normal(random, 7, 5), normal(random, 4, 5), normal(random, 1, 5)];
const b = a.map((rows) => normal(random, rows.length, 3));
const asRows = (values: readonly Matrix[]) => values.map(matrix);

describe('products over chunks', () => {
  beforeAll(startTestBackend);

  it('A^T B is that of the whole matrices', async () => {
    const product = await crossProduct(asRows(a), asRows(b)).array();
    expect(distance(product, multiply(transpose(a.flat()), b.flat()))).toBeLessThan(1e-5);
  });

  it('A^T A is that of the whole matrix, with a column of ones and without', async () => {
    for (const ones of [false, true]) {
      const whole = ones ? withOnes(a.flat()) : a.flat();
      const expected = multiply(transpose(whole), whole);
      const product = [...(await gram(asRows(a), { ones }))];
      expect(distance([product], [expected.flat()])).toBeLessThan(1e-5);
    }
  });

  it('sums scalars, and keeps nothing', async () => {
    const chunks = asRows(b);
    const before = tf.memory().numTensors;
    const [sum, squares] = await sumScalars(chunks, (chunk) => [
      tf.sum(chunks[chunk]),
      tf.sum(tf.square(chunks[chunk])),
    ]);
    const values = b.flat(2);
    expect(sum).toBeCloseTo(
      values.reduce((total, value) => total + value, 0),
      4,
    );
    expect(squares).toBeCloseTo(
      values.reduce((total, value) => total + value ** 2, 0),
      4,
    );
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('training set', () => {
  beforeAll(startTestBackend);

  const count = chunkRows + 30;
  const split = {
    images: Uint8Array.from({ length: count * 2 }, (_, i) => i % 251),
    labels: Uint8Array.from({ length: count }, (_, i) => i % 3),
    count,
  };
  const rows = (indices: ArrayLike<number>) =>
    tf.tensor2d(Array.from(indices, (i) => [split.images[2 * i], split.images[2 * i + 1]]));

  it('holds every row once, in order, with its label', async () => {
    const set = trainingSet({ split, rows }, 3);
    const x = (await Promise.all(set.x.map((chunk) => chunk.array()))).flat();
    const y = (await Promise.all(set.y.map((chunk) => chunk.array()))).flat();
    expect(set.x.map((chunk) => chunk.shape[0])).toEqual([chunkRows, 30]);
    expect(x.flat()).toEqual([...split.images]);
    expect(y.map((row) => row.indexOf(1))).toEqual([...split.labels]);
    tf.dispose([set.x, set.y]);
  });
});
