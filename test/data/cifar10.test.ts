import { describe, expect, it } from 'vitest';
import { gatherRows } from '../../src/core/batches.js';
import { locateDataset } from '../../src/data/inspect.js';
import { loadDataset } from '../../src/data/load.js';
import { findDataset } from '../../src/data/registry.js';

const isHere =
  Boolean(process.env.FLN_DATA_DIR) && (await locateDataset('cifar10')).state === 'present';

describe('the real CIFAR-10', () => {
  it.skipIf(!isHere)('has its published size and statistics, standardized by channel', async () => {
    const request = { name: 'cifar10', preprocessing: 'standardize' } as const;
    const { train, test, levels, shape, sha256 } = await loadDataset(request, { offline: true });
    // 184 MB of pixels, a file at a time beside them, and Node with the test runner (kilobytes).
    expect(process.resourceUsage().maxRSS).toBeLessThan(900_000);
    expect([train.count, test.count, shape]).toEqual([50_000, 10_000, [32, 32, 3]]);
    expect(train.images.length).toBe(50_000 * 3072);
    expect(Object.keys(sha256)).toHaveLength(6);

    // A level p of channel c becomes (p - mean) / std.
    const std = levels.map((level) => 255 / (level[255] - level[0]));
    const mean = levels.map((level, c) => -level[0] * std[c]);
    for (const [c, published] of [125.307, 122.95, 113.865].entries()) {
      expect(mean[c]).toBeCloseTo(published, 2);
    }
    for (const [c, published] of [62.993, 62.089, 66.705].entries()) {
      expect(std[c]).toBeCloseTo(published, 2);
    }

    const rows = Array.from({ length: 5000 }, (_, i) => 10 * i);
    const values = gatherRows(train, rows, levels);
    for (let c = 0; c < 3; c++) {
      let sum = 0;
      let squares = 0;
      for (let i = c; i < values.length; i += 3) {
        sum += values[i];
        squares += values[i] * values[i];
      }
      // A tenth of the images has the statistics of all but for sampling: 5,000 images, +- 3 / sqrt(5000).
      expect(Math.abs((3 * sum) / values.length)).toBeLessThan(0.04);
      expect(Math.abs((3 * squares) / values.length - 1)).toBeLessThan(0.04);
    }
  });

  it('is what configs may ask for without having it', () => {
    const { shape, classes, trainSize, testSize } = findDataset('cifar10');
    expect({ shape, classes, trainSize, testSize }).toEqual({
      shape: [32, 32, 3],
      classes: 10,
      trainSize: 50_000,
      testSize: 10_000,
    });
  });
});
