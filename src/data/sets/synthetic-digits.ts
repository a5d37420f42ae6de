import { createHash } from 'node:crypto';
import type { Split } from '../../core/dataset.js';
import type { DatasetDefinition } from '../definition.js';
import { imageSize, syntheticSplit } from '../synthetic/digits.js';

/** Digit-like images made by the program itself: no download, the same bytes on every machine. */
export const syntheticDigits: DatasetDefinition = {
  name: 'synthetic-digits',
  title: 'Synthetic handwritten digits (embedded)',
  shape: [imageSize, imageSize, 1],
  classes: 10,
  trainSize: 10_000,
  testSize: 2_000,
  folders: [],
  mirrors: [],
  load: async (rows) => {
    const train = syntheticSplit('train', rows.train);
    const test = syntheticSplit('test', rows.test);
    return { train, test, sha256: { generated: digest(train, test) } };
  },
};

/** SHA-256 of the training images and labels, then the test images and labels, that were made. */
function digest(...splits: Split[]): string {
  const hash = createHash('sha256');
  for (const { images, labels } of splits) hash.update(images).update(labels);
  return hash.digest('hex');
}
