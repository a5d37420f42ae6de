import type { LoadOptions, Split } from '../core/dataset.js';
import { DataError } from '../errors.js';
import { ContentError } from './content.js';
import type { DataFile, DatasetDefinition } from './definition.js';
import { type ObtainedFile, obtainFiles, separateFiles } from './files.js';
import { parseIdxImages, parseIdxLabels } from './idx.js';

type FileFacts = Required<Omit<DataFile, 'check' | 'otherNames'>>;

/** The facts of a data set kept as four IDX files: greyscale images and labels, training and test. */
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
 * `train-images.idx3-ubyte` is the name inside the gzip file, which 7-zip and Kaggle give it; both
 * may lie in a folder of either name.
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
        'they do not belong together. Replace both by files of one data set.',
    );
  }
  return { images, labels, count };
}

function parsed<T>({ path, content }: IdxFile, parse: (content: Uint8Array) => T): T {
  try {
    return parse(content);
  } catch (error) {
    if (!(error instanceof ContentError)) throw error;
    throw new DataError(`${path} ${error.message}. Replace it by an intact copy.`, {
      cause: error,
    });
  }
}
