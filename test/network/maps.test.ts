import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildMap } from '../../src/core/network/network.js';
import {
  type ImageShape,
  type LayerShape,
  pooledShape,
  unitsIn,
} from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { startTestBackend } from '../backends.js';
import type { Matrix } from '../reference/matrix.js';
import { matrix, normal, vector } from '../solvers/tensors.js';

const cases: Record<string, LayerShape> = {
  dense: { input: [1, 1, 7], output: [1, 1, 5], pool: 1 },
  'dense on a pooled image': { input: [4, 6, 3], output: [1, 1, 5], pool: 2 },
  convolution: {
    input: [6, 7, 2],
    output: [4, 5, 3],
    pool: 1,
    window: { kernel: 3, stride: 1, padding: 0 },
  },
  'padded convolution': {
    input: [5, 5, 1],
    output: [5, 5, 4],
    pool: 1,
    window: { kernel: 5, stride: 1, padding: 2 },
  },
  'strided convolution': {
    input: [8, 7, 2],
    output: [4, 4, 3],
    pool: 1,
    window: { kernel: 3, stride: 2, padding: 1 },
  },
  'convolution of a pooled image that the windows do not fill': {
    input: [9, 11, 2],
    output: [2, 3, 3],
    pool: 2,
    window: { kernel: 3, stride: 1, padding: 0 },
  },
};
const batch = 3;

/** A(X; W) + b of one row, from the definition, in float64. */
function apply(
  shape: LayerShape,
  row: readonly number[],
  weights: Matrix,
  bias: readonly number[],
) {
  const { input, output, pool, window } = shape;
  const seen = pooledShape(input, pool);
  const at = ([, width, channels]: ImageShape, i: number, j: number, c: number) =>
    (i * width + j) * channels + c;
  const pooled = (i: number, j: number, c: number) => {
    if (i < 0 || j < 0 || i >= seen[0] || j >= seen[1]) return 0;
    let sum = 0;
    for (let p = 0; p < pool; p++) {
      for (let q = 0; q < pool; q++) sum += row[at(input, pool * i + p, pool * j + q, c)];
    }
    return sum / pool ** 2;
  };
  const [rows, columns] = window ? [window.kernel, window.kernel] : [seen[0], seen[1]];
  const { stride, padding } = window ?? { stride: 1, padding: 0 };
  const result: number[] = [];
  for (let i = 0; i < output[0]; i++) {
    for (let j = 0; j < output[1]; j++) {
      for (let o = 0; o < output[2]; o++) {
        let u = bias[o];
        for (let p = 0; p < rows; p++) {
          for (let q = 0; q < columns; q++) {
            for (let c = 0; c < seen[2]; c++) {
              const weight = weights[(p * columns + q) * seen[2] + c][o];
              u += weight * pooled(stride * i + p - padding, stride * j + q - padding, c);
            }
          }
        }
        result.push(u);
      }
    }
  }
  return result;
}

describe.each(Object.entries(cases))('%s', (name, shape) => {
  beforeAll(startTestBackend);
  const map = buildMap(shape);
  const random = new Random(3, name);
  const [patch, channels] = map.weightShape;
  const x = normal(random, batch, map.inputs);
  const d = normal(random, batch, map.outputs);
  const weights = normal(random, patch, channels);
  const bias = normal(random, 1, channels)[0];
  const layer = () => ({ weights: matrix(weights), bias: vector(bias) });
  const inner = async (a: tf.Tensor, b: tf.Tensor) => (await tf.sum(tf.mul(a, b)).data())[0];

  it('has the sizes of its shape', () => {
    expect(map.inputs).toBe(unitsIn(shape.input));
    expect(map.outputs).toBe(unitsIn(shape.output));
    expect(map.positions * channels).toBe(map.outputs);
  });

  it('is what its definition says', async () => {
    const u = await map.apply(matrix(x), layer()).array();
    for (const [i, row] of x.entries()) {
      for (const [j, value] of apply(shape, row, weights, bias).entries()) {
        expect(Math.abs(u[i][j] - value)).toBeLessThan(1e-4);
      }
    }
  });

  it('is patches times weights', async () => {
    const u = tf.add(tf.matMul(map.patches(matrix(x)), matrix(weights)), vector(bias));
    const difference = tf.sub(tf.reshape(u, [batch, -1]), map.apply(matrix(x), layer()));
    expect((await tf.max(tf.abs(difference)).data())[0]).toBeLessThan(1e-4);
  });

  it('has the adjoints that the inner products ask for', async () => {
    const linear = map.apply(matrix(x), { ...layer(), bias: tf.zeros([channels]) });
    const forward = await inner(linear, matrix(d));
    const back = await inner(matrix(x), map.adjoint(matrix(d), matrix(weights)));
    expect(Math.abs(back - forward)).toBeLessThan(1e-4 * (1 + Math.abs(forward)));
    const affine = await inner(map.apply(matrix(x), layer()), matrix(d));
    const stacked = matrix([...weights, bias]);
    const parameters = await inner(stacked, map.gradient(matrix(x), matrix(d)));
    expect(Math.abs(parameters - affine)).toBeLessThan(1e-4 * (1 + Math.abs(affine)));
  });

  it('agrees with automatic differentiation', async () => {
    const objective = (input: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
      tf.sum(
        tf.mul(
          map.apply(input as tf.Tensor2D, { weights: w as tf.Tensor2D, bias: b as tf.Tensor1D }),
          matrix(d),
        ),
      ) as tf.Scalar;
    const [dx, dw, db] = tf.grads(objective)([matrix(x), matrix(weights), vector(bias)]);
    const far = async (a: tf.Tensor, b: tf.Tensor) =>
      (await tf.max(tf.abs(tf.sub(a, b))).data())[0];
    expect(await far(dx, map.adjoint(matrix(d), matrix(weights)))).toBeLessThan(1e-4);
    const gradient = map.gradient(matrix(x), matrix(d));
    expect(await far(tf.concat([dw, tf.reshape(db, [1, -1])]), gradient)).toBeLessThan(1e-4);
  });

  it('stretches no input by more than its bound', async () => {
    const single = normal(random, 1, map.inputs);
    const seen = (await tf.norm(map.patches(matrix(single))).data())[0] ** 2;
    const size = (await tf.norm(matrix(single)).data())[0] ** 2;
    expect(seen).toBeLessThanOrEqual(map.overlap * size * (1 + 1e-5));
  });

  it('leaks nothing', () => {
    const [inputs, outputs, parameters] = [matrix(x), matrix(d), layer()];
    const before = tf.memory().numTensors;
    const made = [
      map.apply(inputs, parameters),
      map.adjoint(outputs, parameters.weights),
      map.gradient(inputs, outputs),
      map.patches(inputs),
    ];
    expect(tf.memory().numTensors).toBe(before + made.length);
    tf.dispose([made, inputs, outputs, parameters.weights, parameters.bias]);
  });
});
