import { type Dataset, pixelLevels, type Split } from '../../core/dataset.js';
import { ContentError } from '../../data/content-error.js';
import { parseIdxImages, parseIdxLabels } from '../../data/idx-format.js';
import { imageSize, syntheticSplit } from '../../data/synthetic/digits.js';
import { type DroppedFile, datasetSizes, type PlaygroundExperiment } from '../protocol.js';

/** Images and labels of an experiment, prepared as `fln run` prepares them. */
export type PlaygroundData = Pick<Dataset, 'train' | 'test' | 'levels' | 'shape' | 'classes'>;

/** The splits of MNIST. */
export type Mnist = Readonly<Record<'train' | 'test', Split>>;

const classes = 10;
/** Decompressed size of the largest file of MNIST, the training images; a larger one is none of its files. */
const mostBytes = 47_040_016;

/** What is wrong with an experiment, as sentences. */
export class Refused extends Error {
  constructor(readonly problems: readonly string[]) {
    super(problems.join(' '));
  }
}

/**
 * The first images of both splits.
 * @param mnist what was read from dropped files
 * @throws Refused where the files are missing, or there are fewer images
 */
export function dataOf(
  { dataset }: Pick<PlaygroundExperiment, 'dataset'>,
  mnist: Mnist | undefined,
): PlaygroundData {
  const { name, limit, testLimit } = dataset;
  const isGenerated = name === 'synthetic-digits';
  if (!isGenerated && !mnist) {
    throw new Refused(['Drop the four files of MNIST onto the page: it loads nothing by itself.']);
  }
  const sizes =
    mnist && !isGenerated
      ? { train: mnist.train.count, test: mnist.test.count }
      : datasetSizes[name];
  const problems = [
    ...(limit > sizes.train
      ? [`limit is more than the ${sizes.train} training images of ${name}.`]
      : []),
    ...(testLimit > sizes.test
      ? [`testLimit is more than the ${sizes.test} test images of ${name}.`]
      : []),
  ];
  if (problems.length > 0) throw new Refused(problems);
  const splits =
    mnist && !isGenerated
      ? { train: first(mnist.train, limit), test: first(mnist.test, testLimit) }
      : { train: generated('train', limit), test: generated('test', testLimit) };
  const levels = pixelLevels([{ mean: 0, std: 255 }]);
  return { ...splits, levels, shape: [imageSize, imageSize, 1], classes };
}

/** The generated digits so far: drawing them takes seconds, and every change of a setting asks for them. */
const drawn: Partial<Record<keyof Mnist, Split>> = {};

function generated(name: keyof Mnist, limit: number): Split {
  const known = drawn[name];
  const split = known && known.count >= limit ? known : syntheticSplit(name, limit);
  drawn[name] = split;
  return first(split, limit);
}

function first({ images, labels, count }: Split, limit: number): Split {
  const used = Math.min(limit, count);
  return {
    images: images.subarray(0, used * imageSize * imageSize),
    labels: labels.subarray(0, used),
    count: used,
  };
}

type Part = 'train-images' | 'train-labels' | 'test-images' | 'test-labels';
const parts: readonly Part[] = ['train-images', 'train-labels', 'test-images', 'test-labels'];

/**
 * MNIST, or another data set in the same format, from four IDX files, plain or gzipped, recognised by their names.
 * @throws ContentError that names the file and says what is wrong with it
 */
export async function readMnist(files: readonly DroppedFile[]): Promise<Mnist> {
  const found = new Map<Part, DroppedFile>();
  for (const file of files) {
    const part = partOf(file.name);
    if (part === undefined) {
      throw new ContentError(
        `${file.name} is not one of the files of MNIST: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz)`,
      );
    }
    found.set(part, file);
  }
  const missing = parts.filter((part) => !found.has(part));
  if (missing.length > 0) {
    throw new ContentError(
      `the ${missing.join(', ').replaceAll('-', ' ')} are missing: drop all four files of MNIST together`,
    );
  }
  const splitOf = async (name: 'train' | 'test'): Promise<Split> => {
    const imageFile = found.get(`${name}-images`)!;
    const labelFile = found.get(`${name}-labels`)!;
    const { images, count } = await named(imageFile, (content) =>
      parseIdxImages(content, imageSize, imageSize),
    );
    const labels = await named(labelFile, (content) => parseIdxLabels(content, classes));
    if (count === 0) throw new ContentError(`${imageFile.name} has no images`);
    if (labels.length !== count) {
      throw new ContentError(
        `${imageFile.name} has ${count} images and ${labelFile.name} has ${labels.length} labels: they do not belong together`,
      );
    }
    return { images, labels, count };
  };
  return { train: await splitOf('train'), test: await splitOf('test') };
}

function partOf(name: string): Part | undefined {
  const split = /^t10k|test/i.test(name) ? 'test' : /train/i.test(name) ? 'train' : undefined;
  const kind = /images/i.test(name) ? 'images' : /labels/i.test(name) ? 'labels' : undefined;
  return split && kind ? `${split}-${kind}` : undefined;
}

async function named<T>(file: DroppedFile, parse: (content: Uint8Array) => T): Promise<T> {
  try {
    return parse(await decompressed(file.bytes));
  } catch (error) {
    if (!(error instanceof ContentError)) throw error;
    throw new ContentError(`${file.name} ${error.message}`);
  }
}

/** Reads no further than the largest file of MNIST: a small gzip file may hold gigabytes. */
async function decompressed(bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const reader = new Blob([bytes as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream('gzip'))
    .getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > mostBytes) {
        void reader.cancel();
        throw new ContentError(
          `is longer than ${mostBytes} bytes decompressed, the largest file of MNIST`,
        );
      }
      chunks.push(value);
    }
  } catch (error) {
    if (error instanceof ContentError) throw error;
    throw new ContentError('is a damaged gzip file');
  }
  const content = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    content.set(chunk, at);
    at += chunk.length;
  }
  return content;
}
