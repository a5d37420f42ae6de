import type * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { eigenbasis, refinedEigenbasis } from '../../src/core/solvers/eigenbasis.js';
import { orthonormalBasis } from '../../src/core/solvers/orthonormal-basis.js';
import { startTestBackend, testBackend } from '../backends.js';
import {
  distance,
  dot,
  type Matrix,
  map,
  maxAbs,
  multiply,
  transpose,
} from '../reference/matrix.js';
import { matrix, normal } from '../solvers/tensors.js';

beforeAll(startTestBackend);

const random = new Random(5, 'eigenbasis');
const identity = (n: number): Matrix => map(normal(random, n, n), (_, i, j) => (i === j ? 1 : 0));
const arrayOf = async (tensor: tf.Tensor): Promise<Matrix> => (await tensor.array()) as Matrix;
const orthogonality = (q: Matrix) => distance(multiply(transpose(q), q), identity(q.length));

function semidefinite(n: number, rank: number): Matrix {
  const root = map(normal(random, n, n, 1 / Math.sqrt(n)), (value, _, j) => (j < rank ? value : 0));
  return multiply(root, transpose(root));
}

describe(`orthonormal bases and eigenbases, ${testBackend}`, () => {
  // One panel, several, a rank that ends inside of one, and zero.
  it.each([
    [1, 1],
    [7, 7],
    [75, 75],
    [75, 40],
    [40, 0],
  ])('Q of A = Q R, A [%i, %i] and zero columns', async (n, rank) => {
    const a = map(normal(random, n, n), (value, _, j) => (j < rank ? value : 0));
    const q = await arrayOf(await orthonormalBasis(matrix(a)));
    expect(orthogonality(q)).toBeLessThan(1e-5);
    const below = map(multiply(transpose(q), a), (value, i, j) => (i > j ? value : 0));
    expect(maxAbs(below)).toBeLessThan(2e-5 * (1 + maxAbs(a)));
  });

  it.each([
    [1, 1],
    [6, 6],
    [70, 70],
    [70, 12],
    [12, 0],
  ])('eigenvectors of a matrix [%i, .] of rank %i, eigenvalues descending', async (n, rank) => {
    const a = semidefinite(n, rank);
    const basis = await arrayOf(await eigenbasis(matrix(a)));
    expect(orthogonality(basis)).toBeLessThan(1e-5);
    const rotated = multiply(transpose(basis), multiply(a, basis));
    expect(maxAbs(map(rotated, (value, i, j) => (i === j ? 0 : value)))).toBeLessThan(3e-6);
    for (let i = 1; i < n; i++) expect(rotated[i][i]).toBeLessThan(rotated[i - 1][i - 1] + 1e-6);
  });

  it('a refined basis is the power step of the sorted columns, and tends to the eigenvectors', async () => {
    const a = semidefinite(8, 8);
    let basis = matrix(identity(8));
    const first = await refinedEigenbasis(matrix(a), basis);
    const order = [...(await first.order.data())];
    expect(order).toEqual(a.map((_, i) => i).sort((i, j) => a[j][j] - a[i][i]));
    // The first column is the largest one's image, normalised.
    const image = a.map((row) => row[order[0]]);
    const scale = Math.sqrt(dot(image, image));
    const column = (await arrayOf(first.basis)).map((row) => row[0]);
    expect(Math.abs(dot(column, image)) / scale).toBeCloseTo(1, 5);

    for (let t = 0; t < 100; t++) ({ basis } = await refinedEigenbasis(matrix(a), basis));
    const rotated = multiply(transpose(await arrayOf(basis)), multiply(a, await arrayOf(basis)));
    expect(maxAbs(map(rotated, (value, i, j) => (i === j ? 0 : value)))).toBeLessThan(1e-4);
  });

  it('ends with numbers that are not finite', async () => {
    const a = map(identity(5), (value, i) => (i === 2 ? Number.NaN : value));
    expect((await eigenbasis(matrix(a))).shape).toEqual([5, 5]);
    expect((await refinedEigenbasis(matrix(a), matrix(identity(5)))).basis.shape).toEqual([5, 5]);
  });
});
