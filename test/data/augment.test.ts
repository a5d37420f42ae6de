import type { Tensor2D } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { gatherAugmented } from '../../src/core/augment.js';
import type { Augmentation } from '../../src/core/dataset.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { TrainingRun } from '../../src/core/training-run.js';
import { loadDataset } from '../../src/data/load.js';
import { startTestBackend } from '../backends.js';
import { tinyExperiment } from '../experiment/tiny.js';

const identity = [Float32Array.from({ length: 256 }, (_, p) => p)];
type Shape = readonly [number, number, number];

/** Images of the pixels 1, 2, 3, ... */
function numbered([height, width, channels]: Shape, count: number) {
  const images = Uint8Array.from({ length: count * height * width * channels }, (_, i) => i + 1);
  return { images, labels: new Uint8Array(count), count };
}

/** One image, changed as in an epoch. */
const changed = (shape: Shape, augment: Augmentation, epoch: number, seed = 1) => [
  ...gatherAugmented(numbered(shape, 1), [0], identity, augment, { shape, seed, epoch }),
];

/** All results of many epochs, each once. */
const results = (shape: Shape, augment: Augmentation) =>
  [
    ...new Set(Array.from({ length: 300 }, (_, epoch) => changed(shape, augment, epoch).join())),
  ].sort();

describe('augmentation', () => {
  it('shifts by each of the distances, and reflects the border', () => {
    // 1 2 3 / 4 5 6 / 7 8 9 with a border of one pixel, by hand.
    const padded = [
      [5, 4, 5, 6, 5],
      [2, 1, 2, 3, 2],
      [5, 4, 5, 6, 5],
      [8, 7, 8, 9, 8],
      [5, 4, 5, 6, 5],
    ];
    const windows = [0, 1, 2].flatMap((y) =>
      [0, 1, 2].map((x) =>
        padded
          .slice(y, y + 3)
          .map((row) => row.slice(x, x + 3))
          .join(),
      ),
    );
    expect(results([3, 3, 1], { translate: 1 })).toEqual(windows.sort());
    expect(new Set(results([1, 4, 1], { translate: 0 }))).toEqual(new Set(['1,2,3,4']));
  });

  it('mirrors left and right, all channels of a pixel together', () => {
    const shape = [2, 2, 3] as const;
    const image = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    const mirror = [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9];
    for (const flip of ['random', 'alternating'] as const) {
      expect(results(shape, { flip })).toEqual([image.join(), mirror.join()].sort());
    }
  });

  const shape = [1, 2, 1] as const;
  const flips = (flip: 'random' | 'alternating', epoch: number) => {
    const count = 120;
    const split = numbered(shape, count);
    const rows = Array.from({ length: count }, (_, row) => row);
    const values = gatherAugmented(split, rows, identity, { flip }, { shape, seed: 3, epoch });
    return rows.map((row) => values[2 * row] > values[2 * row + 1]);
  };

  it('alternating: mirrors about half of the images in even epochs, and the others in odd ones', () => {
    const first = flips('alternating', 0);
    const share = first.filter(Boolean).length / first.length;
    expect(Math.abs(share - 0.5)).toBeLessThan(0.15);
    for (const epoch of [1, 2, 3, 4]) {
      expect(flips('alternating', epoch)).toEqual(first.map((is) => is === (epoch % 2 === 0)));
    }
  });

  it('random: mirrors others in each epoch', () => {
    const [a, b, c] = [0, 1, 2].map((epoch) => flips('random', epoch));
    const agreeing = (x: boolean[], y: boolean[]) => x.filter((is, i) => is === y[i]).length / 120;
    for (const share of [agreeing(a, b), agreeing(b, c), agreeing(a, c)]) {
      expect(Math.abs(share - 0.5)).toBeLessThan(0.15);
    }
  });

  it('cuts out a square around each pixel, clipped at the border', () => {
    const cut = (rows: number[], columns: number[]) =>
      [1, 2, 3, 4, 5, 6, 7, 8, 9].map((value, i) =>
        rows.includes(Math.floor(i / 3)) && columns.includes(i % 3) ? 0 : value,
      );
    const odd = [
      [0, 1],
      [0, 1, 2],
      [1, 2],
    ];
    const even = [[0], [0, 1], [1, 2]];
    for (const [cutout, sides] of [
      [3, odd],
      [2, even],
    ] as const) {
      const expected = sides.flatMap((rows) => sides.map((columns) => cut(rows, columns).join()));
      expect(results([3, 3, 1], { cutout })).toEqual(expected.sort());
    }
  });

  it('depends on seed, epoch and row alone, and is the same on every platform', () => {
    const shape = [4, 4, 2] as const;
    const split = numbered(shape, 7);
    const all = { flip: 'random', translate: 2, cutout: 2 } as const;
    const gather = (rows: number[], seed = 5, epoch = 2) => {
      const values = gatherAugmented(split, rows, identity, all, { shape, seed, epoch });
      return rows.map((_, i) => values.slice(32 * i, 32 * (i + 1)));
    };
    const [a, b, c] = gather([6, 0, 3]);
    expect(gather([3])).toEqual([c]);
    expect(gather([0, 3, 3, 6])).toEqual([b, c, c, a]);
    expect(gather([3], 6)).not.toEqual([c]);
    expect(gather([3], 5, 3)).not.toEqual([c]);
    const small = [3, 3, 1] as const;
    const few = Array.from({ length: 6 }, (_, epoch) => changed(small, all, epoch).join(' '));
    expect(few).toEqual([
      '8 7 8 5 0 0 2 0 0',
      '9 0 0 6 5 4 3 2 1',
      '0 0 9 0 0 6 1 2 3',
      '8 0 0 5 0 0 2 3 2',
      '9 8 7 0 0 4 0 0 1',
      '0 8 7 0 5 4 3 2 1',
    ]);
    expect(() => gather([7])).toThrow(RangeError);
  });

  it('changes numbers as it changes pixels, also of channels with one preprocessing', () => {
    const shape = [3, 4, 5] as const;
    const pixels = numbered(shape, 3);
    const numbers = { ...pixels, images: Float32Array.from(pixels.images) };
    const augment = { flip: 'random', translate: 2, cutout: 1 } as const;
    for (const epoch of [0, 1, 2]) {
      const at = { shape, seed: 1, epoch };
      const expected = gatherAugmented(pixels, [2, 1], identity, augment, at);
      expect(gatherAugmented(numbers, [2, 1], [], augment, at)).toEqual(expected);
    }
  });
});

describe('a training run with augmentation', () => {
  beforeAll(startTestBackend);

  it('shows an image of an epoch the same way to methods with other batches; data.rows has it unchanged', async () => {
    const experiment = tinyExperiment('dataset.augment={ flip: random, translate: 3, cutout: 5 }');
    const dataset = await loadDataset(experiment.dataset);
    const network = buildNetwork(experiment.network);
    const seen = async (batchSize: number | 'full') => {
      const images: Float32Array[][] = [[], []];
      const method = {
        init: () => 0,
        parameters: () => [],
        step: async (
          _: unknown,
          __: unknown,
          state: number,
          batch: { x: Tensor2D; indices: Uint32Array },
        ) => {
          const values = (await batch.x.data()) as Float32Array;
          const width = values.length / batch.indices.length;
          const filled = images.findIndex(
            (epoch) => Object.keys(epoch).length < dataset.train.count,
          );
          for (const [i, row] of batch.indices.entries()) {
            images[filled][row] = values.slice(i * width, (i + 1) * width);
          }
          return { state, metrics: { loss: 0, accuracy: 0 } };
        },
      };
      const definition = { load: async () => method as never };
      const run = new TrainingRun({
        method: { definition, config: {}, epochs: 2, batchSize },
        network,
        loss: 'mse',
        dataset,
        seed: 4,
      });
      const training = await run.start();
      for (let t = 1; t <= run.totalBatches; t++) await run.step(t);
      training.dispose();
      const plain = run.data.rows([0, 1]);
      const unchanged = (await plain.data()) as Float32Array;
      plain.dispose();
      return { images, unchanged };
    };
    const [a, b] = [await seen(30), await seen('full')];
    expect(a.images[0]).toHaveLength(200);
    expect(a.images).toEqual(b.images);
    expect(a.images[0]).not.toEqual(a.images[1]);
    const { train, levels } = dataset;
    expect([...a.unchanged]).toEqual(
      [...train.images.subarray(0, 2 * 784)].map((p) => levels[0][p]),
    );
  });
});
