import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  checkFactor,
  deviceCholesky,
  deviceSolve,
  hasDeviceCholesky,
} from '../../src/backend/device-cholesky.js';
import { RunError } from '../../src/errors.js';
import { Random } from '../../src/shared/random.js';
import { factor } from '../../src/solvers/cholesky.js';
import { startTestBackend, testBackend } from '../backends.js';
import { multiply, transpose } from '../reference/matrix.js';
import { matrix, normal } from '../solvers/tensors.js';

describe(`Cholesky on the device, ${testBackend}`, () => {
  beforeAll(startTestBackend);

  it('solves as the float64 factorisation on the host does', async ({ skip }) => {
    skip(!hasDeviceCholesky(), `${testBackend} factors on the host`);
    const random = new Random(1, 'cholesky');
    const [n, columns] = [40, 7];
    const root = normal(random, n, n);
    const a = multiply(root, transpose(root)).map((row, i) =>
      row.map((value, j) => value / n + (i === j ? 0.5 : 0)),
    );
    const rhs = normal(random, n, columns);
    const wanted = factor(Float64Array.from(a.flat()), n).solve(rhs.flat(), columns);

    const l = deviceCholesky(matrix(a));
    const solution = deviceSolve(l, matrix(rhs));
    const error = Math.max(
      ...(await solution.data()).map((value, i) => Math.abs(value - wanted[i])),
    );
    expect(error).toBeLessThan(1e-4 * Math.max(...wanted.map(Math.abs)));
    const above = tf.tidy(() => tf.sum(tf.abs(tf.sub(l, tf.linalg.bandPart(l, -1, 0)))));
    expect((await above.data())[0]).toBe(0);
  });

  it('says in plain words that a matrix is not positive definite', async ({ skip }) => {
    skip(!hasDeviceCholesky(), `${testBackend} factors on the host`);
    const indefinite = matrix([
      [1, 2],
      [2, 1],
    ]);
    const sum = (await tf.sum(deviceCholesky(indefinite)).data())[0];
    expect(() => checkFactor(sum)).toThrow(RunError);
    expect(() => checkFactor(sum)).toThrow('not positive definite');
    expect(() => checkFactor(12)).not.toThrow();
  });
});
