import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backend/registry.js';
import { Random } from '../../src/core/random.js';

/** A seeded tensor, the same on every backend. */
function random(shape: number[], seed: number): tf.Tensor {
  const generator = new Random(seed, 'kernel-test');
  const values = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () =>
    generator.normal(),
  );
  return tf.tensor(values, shape);
}

async function evaluate(backend: string, compute: () => tf.Tensor) {
  await startBackend(backend);
  const result = tf.tidy(compute);
  const values = await result.data();
  const shape = result.shape;
  result.dispose();
  return { values, shape };
}

/** Runs the same computation on both backends and compares entry by entry. */
async function expectSameAsCpu(compute: () => tf.Tensor, tolerance = 2e-6): Promise<void> {
  const reference = await evaluate('cpu', compute);
  const before = tf.memory().numTensors;
  const wasm = await evaluate('wasm', compute);
  expect(tf.memory().numTensors).toBe(before);
  expect(wasm.shape).toEqual(reference.shape);
  const scale = Math.max(1, ...reference.values.map(Math.abs));
  let worst = 0;
  for (let i = 0; i < reference.values.length; i++) {
    worst = Math.max(worst, Math.abs(wasm.values[i] - reference.values[i]));
  }
  expect(worst / scale).toBeLessThan(tolerance);
}

const matrix = (rows: number, columns: number, seed: number) =>
  random([rows, columns], seed) as tf.Tensor2D;

describe('wasm kernels agree with the cpu backend', () => {
  beforeAll(() => startBackend('wasm'));

  for (const [transposeA, transposeB] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ]) {
    it(`matMul, transposeA ${transposeA}, transposeB ${transposeB}`, () =>
      expectSameAsCpu(() => {
        const a = transposeA ? matrix(13, 17, 1) : matrix(17, 13, 1);
        const b = transposeB ? matrix(7, 13, 2) : matrix(13, 7, 2);
        return tf.matMul(a, b, transposeA, transposeB);
      }));

    it(`fused matMul with bias and relu, transposeA ${transposeA}, transposeB ${transposeB}`, () =>
      expectSameAsCpu(() => {
        const a = transposeA ? matrix(13, 17, 1) : matrix(17, 13, 1);
        const b = transposeB ? matrix(7, 13, 2) : matrix(13, 7, 2);
        const bias = random([7], 3);
        return tf.fused.matMul({ a, b, transposeA, transposeB, bias, activation: 'relu' });
      }));
  }

  it('batched matMul with transposes and a broadcast batch', () =>
    expectSameAsCpu(() =>
      tf.matMul(
        random([3, 5, 4], 1) as tf.Tensor3D,
        random([1, 6, 5], 2) as tf.Tensor3D,
        true,
        true,
      ),
    ));

  for (const [axis, keepDims] of [
    [0, false],
    [0, true],
    [[0, 1], false],
    [[1, 0], true],
    [1, false],
    [[0, 1, 2], false],
    [-1, false],
  ] as const) {
    it(`sum over axis ${JSON.stringify(axis)}, keepDims ${keepDims}`, () =>
      expectSameAsCpu(() => tf.sum(random([6, 5, 4], 4), axis as number | number[], keepDims)));
  }

  it('sum of integers keeps its type', async () => {
    await startBackend('wasm');
    const sum = tf.sum(tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32'), 0);
    expect(sum.dtype).toBe('int32');
    expect([...(await sum.data())]).toEqual([4, 6]);
  });

  it('tanh, also where it saturates', () =>
    expectSameAsCpu(() =>
      tf.tanh(tf.concat([tf.mul(random([200], 5), 3), tf.tensor1d([-200, 0, 200])])),
    ));

  for (const [name, shape, filter, strides, padding] of [
    ['LeNet conv1', [4, 32, 32, 1], [5, 5, 1, 6], 1, 'valid'],
    ['LeNet conv2', [4, 14, 14, 6], [5, 5, 6, 16], 1, 'valid'],
    ['same padding', [3, 9, 8, 2], [3, 3, 2, 4], 1, 'same'],
    ['even filter, same padding', [3, 8, 8, 2], [2, 4, 2, 3], 1, 'same'],
    ['explicit padding beyond the filter', [2, 6, 6, 2], [2, 2, 2, 3], 1, 3],
    ['stride 2', [3, 11, 11, 2], [3, 3, 2, 4], 2, 'valid'],
    ['stride 2 that leaves a row', [3, 10, 12, 2], [3, 3, 2, 4], 2, 'valid'],
    ['stride 3, same padding', [2, 10, 10, 2], [4, 4, 2, 3], 3, 'same'],
  ] as const) {
    it(`convolution gradients: ${name}`, async () => {
      const output = () =>
        tf.conv2d(
          random([...shape], 6) as tf.Tensor4D,
          random([...filter], 7) as tf.Tensor4D,
          strides,
          padding,
        );
      const gradients = (which: 0 | 1) => () => {
        const weight = random(output().shape, 8);
        const loss = (x: tf.Tensor, w: tf.Tensor) =>
          tf.sum(tf.mul(tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, strides, padding), weight));
        return tf.grads(loss)([random([...shape], 6), random([...filter], 7)])[which];
      };
      await expectSameAsCpu(gradients(0));
      await expectSameAsCpu(gradients(1));
    });
  }

  for (const [size, strides, padding] of [
    [2, 2, 'valid'],
    [[2, 4], [2, 4], 'valid'],
    [3, 3, 'valid'],
    [3, 2, 'same'],
    [2, 1, 'valid'],
  ] as const) {
    it(`average-pooling gradient: window ${size}, stride ${strides}, ${padding}`, () =>
      expectSameAsCpu(() => {
        const pool = (x: tf.Tensor) =>
          tf.avgPool(
            x as tf.Tensor4D,
            size as number | [number, number],
            strides as number | [number, number],
            padding,
          );
        const x = random([3, 8, 8, 5], 9);
        return tf.grad((v) => tf.sum(tf.mul(pool(v), random(pool(x).shape, 10))))(x);
      }));
  }
});
