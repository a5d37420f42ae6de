import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backend/select.js';
import { sumOf } from '../../src/experiment/evaluate.js';

describe('the sum of the weights', () => {
  beforeAll(() => startBackend('wasm'));
  const layer = (weight: number, bias: number) => ({
    weights: tf.tensor2d([1, 2, weight, 4], [2, 2]),
    bias: tf.tensor1d([0.5, bias]),
  });

  it('adds weights and biases of all layers, and keeps nothing', async () => {
    const parameters = [layer(3, 0.25), layer(-7, 0)];
    const before = tf.memory().numTensors;
    expect(await sumOf(parameters)).toBe(11.25);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is not finite as soon as one of them is not', async () => {
    expect(await sumOf([layer(3, 0), layer(Number.NaN, 0)])).toBeNaN();
    expect(await sumOf([layer(3, Number.POSITIVE_INFINITY)])).toBe(Number.POSITIVE_INFINITY);
  });
});
