import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { loadDataset } from '../../src/data/load.js';
import { syntheticSplit } from '../../src/data/synthetic/digits.js';
import { trainedAccuracy } from './plain-models.js';

describe('synthetic-digits', () => {
  it('is the same set of bytes on every machine', () => {
    const { images, labels } = syntheticSplit('train', 100);
    expect([...labels.subarray(0, 12)]).toEqual([5, 9, 3, 9, 6, 5, 9, 9, 1, 4, 1, 0]);
    const sha256 = createHash('sha256').update(images).update(labels).digest('hex');
    expect(sha256).toBe('fdb2753b19a74ffe6c3d09b8b21d3137efa4221aa6f2bac3705ee63738f61321');
  });

  it('starts with the same images however many are made; training and test images differ', () => {
    const few = syntheticSplit('train', 5);
    const many = syntheticSplit('train', 20);
    expect(many.images.subarray(0, 5 * 784)).toEqual(few.images);
    expect(syntheticSplit('test', 5).images).not.toEqual(few.images);
  });

  it('has every class about equally often, and ink in every image', () => {
    const { images, labels, count } = syntheticSplit('train', 1000);
    const counts = new Array(10).fill(0);
    for (const label of labels) counts[label]++;
    for (const n of counts) expect(Math.abs(n - 100)).toBeLessThan(40);
    for (let i = 0; i < count; i++) {
      const dark = images.subarray(i * 784, (i + 1) * 784).filter((p) => p > 120).length;
      expect(dark).toBeGreaterThan(15);
      expect(dark).toBeLessThan(350);
    }
  });

  it('is hard enough that a linear model falls clearly short of a trained MLP', async () => {
    const request = { name: 'synthetic-digits', preprocessing: 'scale', limit: 4000 } as const;
    const dataset = await loadDataset({ ...request, testLimit: 1000 });
    const training = { batchSize: 100, seed: 1 };
    const linear = trainedAccuracy(dataset, { ...training, epochs: 5, learningRate: 0.5 });
    const mlp = trainedAccuracy(dataset, { ...training, hidden: 40, epochs: 5, learningRate: 2 });
    expect(linear).toBeGreaterThan(0.7);
    expect(linear).toBeLessThan(0.87);
    expect(mlp).toBeGreaterThan(0.87);
    expect(mlp - linear).toBeGreaterThan(0.05);
  });
});
