import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { NotPositiveDefiniteError } from '../../src/core/solvers/cholesky.js';
import { deviceInverse } from '../../src/core/solvers/damped-inverse.js';
import { startTestBackend } from '../backends.js';
import { matrix, normal } from './tensors.js';

/** X X^T of a random X [n, rank]: singular without a ridge. */
const gram = (n: number, rank: number): tf.Tensor2D =>
  tf.tidy(() => {
    const x = matrix(normal(new Random(3, `${n}`), n, rank));
    return tf.matMul(x, x, false, true);
  });

/** The largest entry of (A + ridge I) B - I. */
async function error(a: tf.Tensor2D, ridge: number, inverse: tf.Tensor2D): Promise<number> {
  const eye = tf.eye(a.shape[0]) as tf.Tensor2D;
  const difference = tf.tidy(() =>
    tf.max(tf.abs(tf.sub(tf.matMul(tf.add(a, tf.mul(eye, ridge)), inverse), eye))),
  );
  return (await difference.data())[0];
}

describe('inverses on the device', () => {
  beforeAll(startTestBackend);

  // One block, two, and several levels of blocks of unequal halves.
  it.each([1, 7, 128, 129, 300, 531])('of a system of %i rows by blocks', async (n) => {
    const a = gram(n, 40);
    const before = tf.memory().numTensors;
    const inverse = await deviceInverse(a, () => 0.5, 1);
    expect(tf.memory().numTensors).toBe(before + 1);
    // Twice what the condition number lets expect, since the product here is rounded, too.
    const accuracy = 2 ** -24 * ((n * 40) / 0.5 + 1);
    expect(await error(a, 0.5, inverse)).toBeLessThan(2 * accuracy + 1e-6);
    const exact = await deviceInverse(a, () => 0.5, 0);
    const gap = tf.div(tf.max(tf.abs(tf.sub(inverse, exact))), tf.max(tf.abs(exact)));
    expect((await gap.data())[0]).toBeLessThan(accuracy);
  });

  it('has a ridge for each row, which may depend on the mean diagonal', async () => {
    const a = tf.tensor2d([2, 0, 0, 6], [2, 2]);
    const inverse = await deviceInverse(a, (row, mean) => (row === 0 ? mean : 2), 1);
    expect(await inverse.array()).toEqual([
      [expect.closeTo(1 / 6, 6), 0],
      [0, expect.closeTo(1 / 8, 6)],
    ]);
  });

  it('refuses what has no factor', async () => {
    const nan = tf.fill([200, 200], Number.NaN) as tf.Tensor2D;
    await expect(deviceInverse(nan, () => 1, 1)).rejects.toThrow(NotPositiveDefiniteError);
    const negative = tf.neg(gram(200, 40)) as tf.Tensor2D;
    await expect(deviceInverse(negative, () => 1, 1)).rejects.toThrow(NotPositiveDefiniteError);
  });
});
