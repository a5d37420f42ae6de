import { describe, expect, it } from 'vitest';
import { gatherRows } from '../../src/core/batches.js';
import type { DatasetRequest } from '../../src/core/dataset.js';
import { loadDataset, loadDefinition, splitSizes } from '../../src/data/load.js';
import { datasets, findDataset } from '../../src/data/registry.js';
import { syntheticDigits } from '../../src/data/sets/synthetic-digits.js';
import { UsageError } from '../../src/errors.js';

const digits = (rest: Partial<DatasetRequest> = {}) =>
  loadDataset({
    name: 'synthetic-digits',
    preprocessing: 'scale',
    limit: 60,
    testLimit: 20,
    ...rest,
  });

describe('class names', () => {
  it.each(datasets)('$name has one for each of its classes, or none', ({ classes, classNames }) => {
    if (classNames) expect(new Set(classNames).size).toBe(classes);
  });

  it('are in the order of the labels', () => {
    const names = (name: string) => findDataset(name).classNames!;
    expect(names('emnist-byclass').map((name) => name.charCodeAt(0))).toEqual(
      [48, 65, 97].flatMap((first) =>
        Array.from({ length: first === 48 ? 10 : 26 }, (_, i) => first + i),
      ),
    );
    expect(names('emnist-letters')[25]).toBe('Z');
    expect(names('emnist-balanced')[46]).toBe('t');
    for (const name of ['cifar100', 'cifar100-coarse']) {
      expect(names(name)).toEqual([...names(name)].sort());
    }
  });
});

describe('limits and splits', () => {
  it('takes the first rows, and the last of them for validation', async () => {
    const all = await digits();
    const held = await digits({ validation: 25 });
    expect([all.train.count, all.test.count, all.validation]).toEqual([60, 20, undefined]);
    expect([held.train.count, held.validation?.count]).toEqual([35, 25]);
    expect(held.train.images).toEqual(all.train.images.subarray(0, 35 * 784));
    expect(held.validation?.images).toEqual(all.train.images.subarray(35 * 784));
    expect(held.validation?.labels).toEqual(all.train.labels.subarray(35));
    expect(held.sha256).toEqual(all.sha256);
  });

  const info = findDataset('mnist');
  const sizes = (rest: object) => splitSizes(info, { name: 'mnist', ...rest });

  it('knows the sizes without loading', () => {
    expect(sizes({})).toEqual({ train: 60_000, validation: 0, test: 10_000 });
    const limited = sizes({ limit: 1000, validation: 100, testLimit: 50 });
    expect(limited).toEqual({ train: 900, validation: 100, test: 50 });
  });

  it.each([
    [
      { limit: 60_001 },
      'dataset.limit is 60001, but there are only 60000 training images in mnist',
    ],
    [{ testLimit: 10_001 }, 'dataset.testLimit is 10001'],
    [{ limit: 10, validation: 10 }, 'dataset.validation holds out 10 of 10'],
  ])('refuses %j', (rest, message) => {
    expect(() => sizes(rest)).toThrow(UsageError);
    expect(() => sizes(rest)).toThrow(message);
  });

  it('knows its data sets by name', async () => {
    expect(new Set(datasets.map(({ name }) => name)).size).toBe(datasets.length);
    const load = loadDataset({ name: 'minst', preprocessing: 'scale' });
    await expect(load).rejects.toThrow('no data set "minst"; did you mean "mnist"?');
  });
});

describe('preprocessing', () => {
  it('scale maps 0..255 to 0..1', async () => {
    const [level] = (await digits()).levels;
    expect([level[0], level[51], level[255]]).toEqual([0, Math.fround(0.2), 1]);
  });

  it('standardize gives the training rows mean 0 and deviation 1, whatever is held out', async () => {
    const { train, levels } = await digits({ preprocessing: 'standardize', validation: 20 });
    const values = gatherRows(train, [...Array(train.count).keys()], levels);
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
    expect(mean).toBeCloseTo(0, 5);
    expect(variance).toBeCloseTo(1, 5);
  });

  it('works channel by channel, and only centres a constant channel', async () => {
    const images = Uint8Array.from([10, 7, 30, 7]);
    const train = { images, labels: new Uint8Array(1), count: 1 };
    const definition = { ...syntheticDigits, shape: [1, 2, 2] as const, trainSize: 1, testSize: 1 };
    const two = { ...definition, load: async () => ({ train, test: train, sha256: {} }) };
    const request = { name: 'two', preprocessing: 'standardize' } as const;
    const { levels, scaling } = await loadDefinition(two, request);
    expect(scaling).toEqual([
      { mean: 20, std: 10 },
      { mean: 7, std: 255 },
    ]);
    const [first, second] = levels;
    expect([first[10], first[20], first[30]]).toEqual([-1, 0, 1]);
    expect(second[7]).toBe(0);
    expect(second[8]).toBeCloseTo(1 / 255);
  });
});

describe('MNIST', () => {
  it.skipIf(!process.env.FLN_DATA_DIR)('loads the real data, verified', async () => {
    const request = { name: 'mnist', preprocessing: 'standardize', validation: 5000 } as const;
    const { train, validation, test, levels, sha256 } = await loadDataset(request, {
      offline: true,
    });
    expect([train.count, validation?.count, test.count]).toEqual([55_000, 5000, 10_000]);
    expect([...train.labels.subarray(0, 8)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3]);
    expect([...test.labels.subarray(0, 8)]).toEqual([7, 2, 1, 0, 4, 1, 4, 9]);
    expect(Object.keys(sha256)).toHaveLength(4);
    // Published statistics of the 60,000 images: mean 0.1307, standard deviation 0.3081.
    expect(levels[0][0]).toBeCloseTo(-0.1307 / 0.3081, 2);
    expect(levels[0][255] - levels[0][0]).toBeCloseTo(1 / 0.3081, 2);
  });
});
