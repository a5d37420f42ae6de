import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { disposeCompiled } from '../../src/core/compile.js';
import { initialGram, runningGrams } from '../../src/core/methods/fenchel/gram/preconditioner.js';
import { Random } from '../../src/core/random.js';
import { factor, NotPositiveDefiniteError } from '../../src/core/solvers/cholesky.js';
import {
  deviceCholesky,
  deviceSolve,
  hasDeviceCholesky,
} from '../../src/core/solvers/device-cholesky.js';
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

  it.each([
    {
      matrix: [
        [1, 2],
        [2, 1],
      ],
      index: 1,
      pivot: -3,
    },
    {
      matrix: [
        [1, 1, 0],
        [1, 1, 0],
        [0, 0, 1],
      ],
      index: 1,
      pivot: 0,
    },
    {
      matrix: [
        [1, 0],
        [0, Number.NaN],
      ],
      index: 1,
      pivot: Number.NaN,
    },
    // Positive in float64 alone.
    {
      matrix: [
        [1, 1],
        [1, 1 + 2 ** -22],
      ],
      damping: 2 ** -30,
      index: 1,
      pivot: 2 ** -22 + 2 ** -29,
    },
  ])('says where the factorisation of $matrix breaks down, as on the host', async (entry) => {
    const { damping = 1e-30 } = entry;
    const size = entry.matrix.length;
    const gram = () => matrix(entry.matrix);
    const context = {};
    const update = runningGrams(() => [{ average: 0, refresh: 1, damping, gram }]);
    const outcome = await update(context, 0, [initialGram(size)], [matrix([[1]])]).then(
      () => undefined,
      (error) => error,
    );
    disposeCompiled(context);
    if (outcome === undefined) return expect(entry.damping).toBeDefined();
    expect(outcome).toBeInstanceOf(NotPositiveDefiniteError);
    expect(outcome).toMatchObject({ pivotIndex: entry.index, size });
    if (Number.isNaN(entry.pivot)) expect(outcome.pivot).toBeNaN();
    else expect(outcome.pivot).toBeCloseTo(entry.pivot, 8);
  });
});
