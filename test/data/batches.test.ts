import { describe, expect, it } from 'vitest';
import { BatchSource, epochOrder, gatherRows, oneHot } from '../../src/core/batches.js';

const split = (images: number[], count: number) => ({
  images: Uint8Array.from(images),
  labels: Uint8Array.from({ length: count }, (_, i) => i % 3),
  count,
});
const level = (scale: number) => Float32Array.from({ length: 256 }, (_, p) => p * scale);

describe('gatherRows', () => {
  it('copies the rows asked for, in order, through the levels', () => {
    const rows = gatherRows(split([1, 2, 3, 4, 5, 6], 3), [2, 0, 2], [level(0.5)]);
    expect([...rows]).toEqual([2.5, 3, 0.5, 1, 2.5, 3]);
  });

  it('gives the same values whether or not rows start at word boundaries', () => {
    const pixels = Array.from({ length: 8 * 12 }, (_, i) => (i % 3 === 0 ? 0 : (i * 37) % 256));
    const aligned = split(pixels, 8);
    const padded = Uint8Array.from([99, ...pixels]);
    const shifted = { ...aligned, images: padded.subarray(1) };
    const levels = [Float32Array.from({ length: 256 }, (_, p) => (p - 30) / 7)];
    const rows = [7, 0, 3, 3];
    const expected = rows.flatMap((row) =>
      pixels.slice(12 * row, 12 * row + 12).map((p) => levels[0][p]),
    );
    const reused = new Float32Array(48).fill(5);
    expect([...gatherRows(aligned, rows, levels, reused)]).toEqual(expected);
    expect([...gatherRows(shifted, rows, levels)]).toEqual(expected);
  });

  it('uses the levels of each channel, channels last', () => {
    const rgb = split([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 2);
    const rows = gatherRows(rgb, [1], [level(1), level(10), level(100)]);
    expect([...rows]).toEqual([7, 80, 900, 10, 110, 1200]);
  });

  it('fills the array it is given', () => {
    const out = new Float32Array(2);
    expect(gatherRows(split([1, 2, 3, 4], 2), [1], [level(1)], out)).toBe(out);
    expect([...out]).toEqual([3, 4]);
  });

  it('refuses rows outside the split and an array of another size', () => {
    const two = split([1, 2, 3, 4], 2);
    expect(() => gatherRows(two, [2], [level(1)])).toThrow(RangeError);
    expect(() => gatherRows(two, [-1], [level(1)])).toThrow(RangeError);
    expect(() => gatherRows(two, [0], [level(1)], new Float32Array(3))).toThrow(RangeError);
  });
});

describe('oneHot', () => {
  it('has a 1 at each label', () => {
    const labels = Uint8Array.from([2, 0, 1]);
    expect([...oneHot(labels, [0, 2], 3)]).toEqual([0, 0, 1, 0, 1, 0]);
    expect(() => oneHot(labels, [3], 3)).toThrow(RangeError);
  });
});

describe('epochOrder', () => {
  it('is a permutation that depends on the seed and the epoch alone', () => {
    const order = epochOrder(1000, 1, 0);
    expect([...order].sort((a, b) => a - b)).toEqual([...Array(1000).keys()]);
    expect(epochOrder(1000, 1, 0)).toEqual(order);
    expect(epochOrder(1000, 1, 1)).not.toEqual(order);
    expect(epochOrder(1000, 2, 0)).not.toEqual(order);
  });

  it('is the same on every platform', () => {
    expect([...epochOrder(10, 1, 0)]).toEqual([4, 5, 3, 7, 6, 0, 2, 1, 9, 8]);
  });
});

describe('BatchSource', () => {
  it('shows every row once an epoch, in a short last batch too', () => {
    const source = new BatchSource({ count: 10 }, 4, 7);
    expect(source.batchesPerEpoch).toBe(3);
    for (const epoch of [0, 1]) {
      const batches = [0, 1, 2].map((b) => source.indices(3 * epoch + b));
      expect(batches.map(({ length }) => length)).toEqual([4, 4, 2]);
      expect(batches.flatMap((rows) => [...rows])).toEqual([...epochOrder(10, 7, epoch)]);
    }
  });

  it('gives any batch without those before it', () => {
    const forwards = new BatchSource({ count: 50 }, 7, 3);
    const batches = Array.from({ length: 30 }, (_, b) => forwards.indices(b));
    const jumping = new BatchSource({ count: 50 }, 7, 3);
    for (const b of [29, 0, 13, 12, 28]) expect(jumping.indices(b)).toEqual(batches[b]);
  });

  it('leaves its order alone when the caller changes a batch', () => {
    const source = new BatchSource({ count: 10 }, 5, 3);
    const before = [...source.indices(0)];
    source.indices(0).fill(0);
    expect([...source.indices(0)]).toEqual(before);
  });

  it.each(['full', 10, 99] as const)('keeps the natural order in one batch of %s', (size) => {
    const source = new BatchSource({ count: 10 }, size, 3);
    expect(source.batchesPerEpoch).toBe(1);
    expect([...source.indices(0)]).toEqual([...Array(10).keys()]);
    expect([...source.indices(5)]).toEqual([...Array(10).keys()]);
  });
});
