import type { LoadOptions, Split } from '../core/dataset.js';
import { DataError } from '../errors.js';
import { ContentError } from './content.js';
import type { DataFile, DatasetDefinition } from './definition.js';
import { type ObtainedFile, obtainFiles, separateFiles } from './files.js';

type FileFacts = Required<Omit<DataFile, 'check' | 'otherNames'>>;

/** A data set of four IDX files: greyscale images and labels, training and test. */
export interface IdxFacts extends Omit<DatasetDefinition, 'shape' | 'storage' | 'load'> {
  readonly height: number;
  readonly width: number;
  readonly files: Readonly<
    Record<'trainImages' | 'trainLabels' | 'testImages' | 'testLabels', FileFacts>
  >;
}

/** The registry entry of a data set in IDX files: MNIST, Fashion-MNIST, KMNIST, ... */
export function idxDataset({ height, width, files, ...facts }: IdxFacts): DatasetDefinition {
  const images = (file: FileFacts) => ({
    ...file,
    otherNames: otherNames(file.name),
    check: (content: Uint8Array) => void parseIdxImages(content, height, width),
  });
  const labels = (file: FileFacts) => ({
    ...file,
    otherNames: otherNames(file.name),
    check: (content: Uint8Array) => void parseIdxLabels(content, facts.classes),
  });
  const set = {
    ...facts,
    files: [
      images(files.trainImages),
      labels(files.trainLabels),
      images(files.testImages),
      labels(files.testLabels),
    ],
  };
  return {
    ...facts,
    shape: [height, width, 1],
    storage: separateFiles(set),
    load: async (_rows, options: LoadOptions) => {
      const obtained = await obtainFiles(set, options);
      const of = (file: FileFacts) => obtained.get(file.name)!;
      return {
        train: idxSplit(of(files.trainImages), of(files.trainLabels), height, width, facts.classes),
        test: idxSplit(of(files.testImages), of(files.testLabels), height, width, facts.classes),
        sha256: Object.fromEntries(set.files.map((file) => [file.name, file.sha256])),
      };
    },
  };
}

/**
 * `train-images.idx3-ubyte` is the name inside the gzip file, which 7-zip and Kaggle use; both names may
 * be in a folder of either name.
 */
function otherNames(name: string): string[] {
  const names = [...new Set([name, name.replace(/-(?=idx\d-)/, '.')])];
  return [
    ...names.slice(1),
    ...names.flatMap((folder) => names.map((file) => `${folder}/${file}`)),
  ];
}

type IdxFile = Pick<ObtainedFile, 'path' | 'content'>;

/**
 * Joins an image file and its label file.
 * @throws DataError naming both files when they disagree on the number of records
 */
export function idxSplit(
  imageFile: IdxFile,
  labelFile: IdxFile,
  height: number,
  width: number,
  classes: number,
): Split {
  const { count, images } = parsed(imageFile, (content) => parseIdxImages(content, height, width));
  const labels = parsed(labelFile, (content) => parseIdxLabels(content, classes));
  if (labels.length !== count) {
    throw new DataError(
      `${imageFile.path} has ${count} images and ${labelFile.path} has ${labels.length} labels: ` +
        'they do not belong together. Replace both with files of one data set.',
    );
  }
  return { images, labels, count };
}

function parsed<T>({ path, content }: IdxFile, parse: (content: Uint8Array) => T): T {
  try {
    return parse(content);
  } catch (error) {
    if (!(error instanceof ContentError)) throw error;
    throw new DataError(`${path} ${error.message}. Replace it with an intact copy.`, {
      cause: error,
    });
  }
}

/**
 * IDX, the format of MNIST and its relatives: two zero bytes, a type byte (8 = unsigned byte), the
 * number of dimensions, each dimension as a big-endian 32-bit integer, then the values row by row.
 * Source: "FILE FORMATS FOR THE MNIST DATABASE", Y. LeCun, C. Cortes, C. Burges.
 */
const unsignedByte = 0x08;

/**
 * @returns the images of an IDX file of 8-bit pixels: [count, height * width] as a view of `content`
 * @throws ContentError when the file is not images of this size
 */
export function parseIdxImages(
  content: Uint8Array,
  height: number,
  width: number,
): { count: number; images: Uint8Array } {
  const { dimensions, values } = parseIdx(content, 3);
  const [count, rows, columns] = dimensions;
  if (rows !== height || columns !== width) {
    throw new ContentError(`has images of ${rows}x${columns} pixels, expected ${height}x${width}`);
  }
  return { count, images: values };
}

/**
 * @returns the labels of an IDX file, [count], as a view of `content`
 * @throws ContentError when the file is not labels, or one of them is not in 0..classes-1
 */
export function parseIdxLabels(content: Uint8Array, classes: number): Uint8Array {
  const { values } = parseIdx(content, 1);
  const bad = values.findIndex((label) => label >= classes);
  if (bad >= 0) {
    throw new ContentError(
      `has label ${values[bad]} in record ${bad} (from 0); labels run from 0 to ${classes - 1}`,
    );
  }
  return values;
}

function parseIdx(content: Uint8Array, rank: number): { dimensions: number[]; values: Uint8Array } {
  const header = 4 + 4 * rank;
  if (content.length < 4) {
    throw new ContentError(`is ${content.length} bytes long, too short for an IDX file`);
  }
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const magic = view.getUint32(0);
  const expected = (unsignedByte << 8) | rank;
  if (magic !== expected) {
    throw new ContentError(
      `starts with the IDX magic number ${hex(magic)}, expected ${hex(expected)} (8-bit values, ${rank} ${rank === 1 ? 'dimension' : 'dimensions'})`,
    );
  }
  if (content.length < header) {
    throw new ContentError(`ends inside its IDX header (${content.length} bytes)`);
  }
  const dimensions = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const declared = dimensions.reduce((product, size) => product * size, 1);
  const found = content.length - header;
  if (found < declared) {
    throw new ContentError(
      `is truncated: its header declares ${dimensions.join(' x ')} = ${declared} bytes, and ${found} follow`,
    );
  }
  if (found > declared) {
    throw new ContentError(
      `has ${found - declared} bytes after the ${dimensions.join(' x ')} = ${declared} that its header declares`,
    );
  }
  return { dimensions, values: content.subarray(header) };
}

const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;
