import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { disposeCompiled } from '../../src/core/compile.js';
import { invert } from '../../src/core/methods/preconditioned/moments.js';
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
      // The ridge, relative to the diagonal, is not a number either.
      index: 0,
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
    const relative = damping / ((entry.matrix[0][0] + entry.matrix[1][1]) / 2 || 1);
    const context = { config: { damping: relative } };
    const covariance = hasDeviceCholesky()
      ? matrix(entry.matrix)
      : Float64Array.from(entry.matrix.flat());
    const outcome = await invert(context, [covariance]).then(
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
