import type { LoadOptions, Split } from '../core/dataset.js';
import { ContentError } from './content-error.js';
import type { DataFile, DatasetDefinition, DatasetPlaces } from './definition.js';
import { damagedError } from './file-errors.js';
import { type ObtainedFile, obtainFiles, orDamaged, separateFiles } from './files.js';
import { readMat } from './mat.js';

/** A data set in the format of SVHN's cropped digits: one MATLAB file for each split. */
export interface SvhnFacts extends DatasetPlaces, Pick<DatasetDefinition, 'title'> {
  /** Height and width of an image. */
  readonly side: number;
  readonly trainSize: number;
  readonly testSize: number;
  readonly files: Readonly<Record<'train' | 'test', Omit<DataFile, 'check' | 'mirrored'>>>;
}

const classes = 10;
const channels = 3;

/**
 * The registry entry of a data set in SVHN's format 2. Each file has two arrays: `X` [side, side, 3, n]
 * of 8-bit pixels and `y` [n, 1] of labels 1 to 10, where 10 stands for the digit 0.
 */
export function svhnDataset(facts: SvhnFacts): DatasetDefinition {
  const { side, trainSize, testSize, files, ...places } = facts;
  const file = (of: SvhnFacts['files']['train'], size: number): DataFile => ({
    ...of,
    mirrored: 'plain',
    check: async (content) => void (await readDigits(content, side, size, 0)),
  });
  const set = { ...places, files: [file(files.train, trainSize), file(files.test, testSize)] };
  return {
    ...places,
    shape: [side, side, channels],
    hasCharacters: true,
    classes,
    trainSize,
    testSize,
    storage: separateFiles(set),
    load: async (rows, options: LoadOptions) => {
      const obtained = await obtainFiles(set, options);
      const sha256 = Object.fromEntries([...obtained].map(([name, found]) => [name, found.sha256]));
      const split = async ({ name }: Pick<DataFile, 'name'>, size: number, count: number) => {
        const { path, content } = obtained.get(name) as ObtainedFile;
        // Its memory is free as soon as its images are read.
        obtained.delete(name);
        const read = await orDamaged(path, () => readDigits(content, side, size, count));
        if ('problem' in read) throw damagedError(read, undefined);
        return read;
      };
      const train = await split(files.train, trainSize, rows.train);
      return { train, test: await split(files.test, testSize, rows.test), sha256 };
    },
  };
}

/**
 * @param size how many images the file must have
 * @param count how many of them to return
 * @returns the first `count` images, [count, side * side * 3], channels last, and their digits
 * @throws ContentError when the file has other arrays than these
 */
async function readDigits(
  content: Uint8Array,
  side: number,
  size: number,
  count: number,
): Promise<Split> {
  const features = side * side * channels;
  // The labels may be stored as doubles; each array has a header of a few dozen bytes.
  const arrays = await readMat(content, ['X', 'y'], size * (features + 8) + (1 << 16));
  const X = arrays.get('X')!;
  const y = arrays.get('y')!;
  const expected = [side, side, channels, size].join('x');
  if (X.dimensions.join('x') !== expected || !(X.values instanceof Uint8Array)) {
    const kind = X.values instanceof Uint8Array ? '' : ' that are not 8-bit';
    throw new ContentError(
      `has images X of ${X.dimensions.join('x')}${kind}, expected ${expected} (height, width, colours, images)`,
    );
  }
  if (y.values.length !== size) {
    throw new ContentError(`has ${size} images and ${y.values.length} labels`);
  }
  const labels = Uint8Array.from(y.values, (label) => label % classes);
  const bad = y.values.findIndex(
    (label) => !(Number.isInteger(label) && label >= 1 && label <= classes),
  );
  if (bad >= 0) {
    throw new ContentError(
      `has label ${y.values[bad]} in record ${bad} (from 0); labels run from 1 to ${classes} (digit 0)`,
    );
  }
  const images = toChannelsLast(X.values, side, count);
  return { images, labels: labels.subarray(0, count), count };
}

/** From column-major [side, side, 3, n] to row-major [n, side, side, 3]. */
function toChannelsLast(values: Uint8Array, side: number, count: number): Uint8Array {
  const plane = side * side;
  const images = new Uint8Array(count * plane * channels);
  let to = 0;
  for (let image = 0; image < count; image++) {
    const start = image * plane * channels;
    for (let row = 0; row < side; row++) {
      for (let at = start + row; at < start + plane; at += side) {
        images[to++] = values[at];
        images[to++] = values[at + plane];
        images[to++] = values[at + 2 * plane];
      }
    }
  }
  return images;
}
