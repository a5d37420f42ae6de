import type { DatasetDefinition } from '../../src/data/definition.js';
import { svhnDataset } from '../../src/data/svhn.js';
import { type MatEntry, matFile } from './mat-file.js';

export const side = 2;
export const sizes = { train: 6, test: 3 };

/** Column-major [2, 2, 3, count]: a pixel that differs in every place. */
const pixels = (count: number) =>
  Array.from({ length: count * side * side * 3 }, (_, i) => (i * 7) % 256);
const labels = { train: [1, 10, 2, 3, 10, 9], test: [10, 5, 1] };

/** The arrays of a good file. */
export const arrays = (split: 'train' | 'test'): [MatEntry, MatEntry] => [
  { name: 'X', dimensions: [side, side, 3, sizes[split]], values: pixels(sizes[split]) },
  { name: 'y', dimensions: [sizes[split], 1], values: labels[split] },
];

export const plainFiles: Readonly<Record<'train.mat' | 'test.mat', Buffer>> = {
  'train.mat': matFile(arrays('train')),
  'test.mat': matFile(arrays('test')),
};

/** A data set in SVHN's format; without `sha256`, files of any content in that format are accepted. */
export function tinySvhn(sha256: { train?: string; test?: string } = {}): DatasetDefinition {
  const file = (split: 'train' | 'test') => ({
    name: `${split}.mat`,
    bytes: sha256[split] === undefined ? 100_000 : plainFiles[`${split}.mat`].length,
    downloadBytes: plainFiles[`${split}.mat`].length,
    sha256: sha256[split],
  });
  return svhnDataset({
    name: 'tiny-svhn',
    title: 'Tiny SVHN',
    side,
    trainSize: sizes.train,
    testSize: sizes.test,
    folders: ['tiny-svhn', '.'],
    mirrors: [],
    files: { train: file('train'), test: file('test') },
  });
}
