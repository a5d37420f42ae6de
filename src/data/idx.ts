import type { LoadOptions, Split } from '../core/dataset.js';
import { DataError } from '../errors.js';
import { unequalClass } from './content.js';
import { ContentError } from './content-error.js';
import type { DataFile, DatasetDefinition } from './definition.js';
import { type ObtainedFile, obtainFiles, separateFiles } from './files.js';
import { parseIdxImages, parseIdxLabels } from './idx-format.js';

type FileFacts = Omit<DataFile, 'check' | 'otherNames' | 'namesakes'>;

export type IdxFiles = Readonly<
  Record<'trainImages' | 'trainLabels' | 'testImages' | 'testLabels', FileFacts>
>;

/** A data set of four IDX files: greyscale images and labels, training and test. */
export interface IdxFacts extends Omit<DatasetDefinition, 'shape' | 'storage' | 'load'> {
  readonly height: number;
  readonly width: number;
  /** In each split every class has equally many images: checked where no SHA-256 is published. */
  readonly equalClasses?: boolean;
  readonly files: IdxFiles;
  /** The files of other sets with the same names, by the set's name: they are refused. */
  readonly namesakes?: Readonly<Record<string, IdxFiles>>;
}

/** The registry entry of a data set in IDX files: MNIST, Fashion-MNIST, KMNIST, ... */
export function idxDataset({ files, namesakes = {}, ...idx }: IdxFacts): DatasetDefinition {
  const { height, width, equalClasses = false, ...facts } = idx;
  const others = new Map(
    Object.entries(namesakes).flatMap(([name, files]) =>
      Object.values(files).map(({ sha256 = '' }): [string, string] => [sha256, name]),
    ),
  );
  const withNames = (file: FileFacts, check: (content: Uint8Array) => void) => ({
    ...file,
    otherNames: otherNames(file.name),
    namesakes: others,
    check,
  });
  const images = (file: FileFacts, size: number) =>
    withNames(file, (content) =>
      expectCount(parseIdxImages(content, height, width).count, size, 'images'),
    );
  const labels = (file: FileFacts, size: number) =>
    withNames(file, (content) => {
      const labels = parseIdxLabels(content, facts.classes);
      expectCount(labels.length, size, 'labels');
      const unequal = equalClasses && unequalClass(labels, facts.classes, 'labels');
      if (unequal) throw new ContentError(`has ${unequal}: it does not belong to ${facts.name}`);
    });
  const set = {
    ...facts,
    files: [
      images(files.trainImages, facts.trainSize),
      labels(files.trainLabels, facts.trainSize),
      images(files.testImages, facts.testSize),
      labels(files.testLabels, facts.testSize),
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
        sha256: Object.fromEntries(set.files.map(({ name }) => [name, obtained.get(name)!.sha256])),
      };
    },
  };
}

/**
 * `train-images.idx3-ubyte` is the name inside the gzip file, which 7-zip and Kaggle use; both names may
 * be in a folder of either name.
 */
export function otherNames(name: string): string[] {
  const names = [...new Set([name, name.replace(/-(?=idx\d-)/, '.')])];
  return [
    ...names.slice(1),
    ...names.flatMap((folder) => names.map((file) => `${folder}/${file}`)),
  ];
}

/** @throws ContentError when a file has the records of only a part of the set */
export function expectCount(found: number, expected: number, what: string): void {
  if (found !== expected) throw new ContentError(`has ${found} ${what}, expected ${expected}`);
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
