import { denseLayers, type LayerShape } from '../../src/core/network/shape.js';
import { factor } from '../../src/core/solvers/cholesky.js';
import type { Training } from '../../src/core/training.js';
import { type Matrix, map, sumAll } from '../reference/matrix.js';

/** What the float64 references of whole steps share. */

/** ||A||, the Frobenius norm. */
export const norm = (a: Matrix): number => Math.sqrt(sumAll(map(a, (value) => value ** 2)));

/** A X = B for positive definite A. */
export function solve(a: Matrix, b: Matrix): Matrix {
  const solution = factor(Float64Array.from(a.flat()), a.length).solve(b.flat(), b[0].length);
  return a.map((_, i) => [...solution.slice(i * b[0].length, (i + 1) * b[0].length)]);
}

/** [W; b] of each layer. */
export const stacked = (training: Training): Promise<Matrix[]> =>
  Promise.all(
    training
      .parameters()
      .map(async ({ weights, bias }) => [...(await weights.array()), await bias.array()]),
  );

/** A + delta I */
export const damped = (a: Matrix, delta: number): Matrix =>
  map(a, (value, i, j) => value + (i === j ? delta : 0));

export const meanDiagonal = (a: Matrix) => a.reduce((sum, row, i) => sum + row[i], 0) / a.length;

/** A layer as the reference sees it: what one output position sees of a row, and how many there are. */
export interface ReferenceLayer {
  readonly positions: number;
  readonly windows: (x: Matrix) => Matrix;
}

/** The windows of 4 x 4 images with 2 channels under a 3 x 3 kernel, [n * 4, 18]. */
export function windowsOf(x: Matrix): number[][] {
  const offsets = [0, 1].flatMap((i) => [0, 1].map((j) => [i, j]));
  return x.flatMap((image) =>
    offsets.map(([i, j]) =>
      [0, 1, 2].flatMap((p) =>
        [0, 1, 2].flatMap((q) => [0, 1].map((c) => image[((i + p) * 4 + (j + q)) * 2 + c])),
      ),
    ),
  );
}

export const dense: ReferenceLayer = { positions: 1, windows: (x) => x };
export const convolution: ReferenceLayer = { positions: 4, windows: windowsOf };

/** [n * positions, channels] as [n, positions * channels], and back. */
export const byImage = (u: Matrix, positions: number): number[][] =>
  Array.from({ length: u.length / positions }, (_, i) =>
    u.slice(i * positions, (i + 1) * positions).flat(),
  );
export const byPosition = (u: Matrix, positions: number): Matrix =>
  u.flatMap((row) =>
    Array.from({ length: positions }, (_, p) =>
      row.slice((p * row.length) / positions, ((p + 1) * row.length) / positions),
    ),
  );

/** Networks of 32 inputs and 4 outputs, and their layers as the references see them. */
export const referenceNetworks = {
  'a convolution and a dense layer': {
    shapes: [
      {
        input: [4, 4, 2],
        output: [2, 2, 3],
        pool: 1,
        window: { kernel: 3, stride: 1, padding: 0 },
      },
      { input: [2, 2, 3], output: [1, 1, 4], pool: 1 },
    ] as LayerShape[],
    layers: [convolution, dense],
  },
  'three dense layers': { shapes: denseLayers([32, 8, 6, 4]), layers: [dense, dense, dense] },
};
