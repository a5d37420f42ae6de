import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { DatasetInfo, DatasetRequest, Split } from '../../core/dataset.js';
import type { LossName } from '../../core/network/names.js';
import { Random } from '../../core/random.js';
import { DataError } from '../../errors.js';
import { isFolder } from '../../files/folder.js';
import type { DatasetDefinition, RawDataset } from '../definition.js';
import { type ArrayData, dataSamples } from './data.js';
import { labelsOf, taskOf } from './labels.js';
import type { Samples } from './numeric.js';
import { NoArrays, readSamples } from './samples.js';

export type { ArrayData } from './data.js';

/** Name of the data set that consists of the user's own arrays. */
export const arraysName = 'arrays';

const splitNames = ['train', 'test', 'validation'] as const;

type Request = Pick<DatasetRequest, 'train' | 'test' | 'validation' | 'channels'>;

/** Where a split of a config is wrong. */
export class SplitError extends DataError {
  constructor(
    readonly split: 'train' | 'test' | 'validation',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

interface Splits {
  readonly train: Split;
  readonly validation?: Split;
  readonly test: Split;
  readonly info: Omit<DatasetInfo, 'name' | 'title'>;
  readonly columns?: readonly string[];
  readonly sha256: Readonly<Record<string, string>>;
}

/**
 * The user's own data as a data set: reads everything now, since its shape decides whether the network fits. The first
 * load uses what was read; later ones read again.
 * @param request with absolute paths
 * @param data arrays in memory, instead of files
 * @throws SplitError
 */
export function arraysDefinition(
  request: Request,
  loss: LossName,
  data?: ArrayData,
): DatasetDefinition {
  const { info } = data ? readSplits(request, loss, data) : remembered(request, loss);
  return {
    ...facts(info),
    load: async (rows): Promise<RawDataset> => {
      const read = data ? readSplits(request, loss, data) : remembered(request, loss);
      // What a load returns is its own: numbers are standardized in place.
      last = undefined;
      if (JSON.stringify(read.info) !== JSON.stringify(info)) {
        throw new DataError(
          'the files of the data set were replaced while the program ran: start it again',
        );
      }
      const { info: _, ...splits } = read;
      if (typeof request.validation !== 'number' || splits.validation) return splits;
      // The last rows become the validation split: a fixed random choice, since files are often sorted by class.
      const used = parts(splits.train, firstRows(rows.train))[0];
      const [kept, held] = holdOut(rows.train, request.validation);
      return { ...splits, train: parts(used, Uint32Array.from([...kept, ...held]))[0] };
    },
  };
}

/**
 * The request with the paths of a folder that has the files, or the last folders and names of their paths; what the folder
 * lacks stays where it was.
 */
export function movedTo(folder: string, request: DatasetRequest): DatasetRequest {
  if (!isFolder(folder)) {
    throw new DataError(
      `The data folder ${resolve(folder)} (from --data-dir) does not exist, or is not a folder.`,
    );
  }
  const moved = (path: string): string => {
    const names = resolve(path).split(/[\\/]/).slice(1);
    const places = names.map((_, i) => join(resolve(folder), ...names.slice(i)));
    return places.find((place) => statSync(place, { throwIfNoEntry: false })) ?? path;
  };
  const source = <T>(value: T): T => {
    if (typeof value === 'string') return moved(value) as T;
    if (typeof value !== 'object' || value === null) return value;
    // Beside npz, x and y are names of arrays.
    const keys = 'npz' in value ? ['npz'] : ['x', 'y', 'csv', 'images'];
    const entries = Object.entries(value).map(([key, text]) => [
      key,
      keys.includes(key) ? moved(text) : text,
    ]);
    return Object.fromEntries(entries);
  };
  const { train, test, validation } = request;
  return { ...request, train: source(train), test: source(test), validation: source(validation) };
}

/** What was read last and not loaded yet: the trials of a sweep, and the check and the load of a run, read once. */
let last: { readonly key: string; readonly splits: Splits } | undefined;

function remembered(request: Request, loss: LossName): Splits {
  const key = JSON.stringify([request, loss, splitNames.map((split) => stampOf(request[split]))]);
  if (last?.key !== key) {
    last = undefined;
    last = { key, splits: readSplits(request, loss, undefined) };
  }
  return last.splits;
}

/** Changes with the files of a source: their sizes and times. */
function stampOf(source: Request['test']): unknown {
  if (typeof source === 'object') return Object.values(source).map(stampOf);
  const found =
    typeof source === 'string' ? statSync(source, { throwIfNoEntry: false }) : undefined;
  if (typeof source !== 'string' || found === undefined) return undefined;
  if (!found.isDirectory()) return [found.size, found.mtimeMs];
  return readdirSync(source).map((name) => [name, stampOf(join(source, name))]);
}

/** The data set of earlier results, of which only the shape is known. */
export const recordedArrays = (info: Omit<DatasetInfo, 'name' | 'title'>): DatasetDefinition => ({
  ...facts(info),
  load: async () => {
    throw new DataError('the data of earlier results is not read again');
  },
});

const facts = (info: Splits['info']) => ({
  name: arraysName,
  title: 'own data',
  folders: [],
  mirrors: [],
  ...info,
});

function readSplits(request: Request, loss: LossName, data: ArrayData | undefined): Splits {
  const { channels } = request;
  const sha256: Record<string, string> = {};
  const read = (
    split: 'train' | 'test' | 'validation',
    columns?: readonly string[],
  ): Samples | undefined => {
    const own = data?.[split];
    const source = data ? undefined : request[split];
    return located(split, () => {
      if (own !== undefined && typeof own !== 'number') return dataSamples(own, split, channels);
      if (source === undefined && split === 'test' && !data) return testOfTrain(request);
      if (source === undefined || typeof source === 'number') return undefined;
      return readSamples(source, { role: split, channels, columns });
    });
  };
  const trainSamples = read('train');
  if (trainSamples === undefined) throw new SplitError('train', 'is missing');
  const { shape, columns } = trainSamples;
  const task = located('train', () => taskOf(trainSamples, loss, 'the training split'));
  const splitOf = (split: 'train' | 'test' | 'validation', samples: Samples): Split =>
    located(split, () => {
      const name = { train: 'the training', test: 'the test', validation: 'the validation' }[split];
      refuseOtherShape(samples, trainSamples, `${name} split`);
      for (const [file, sum] of Object.entries(samples.sha256)) sha256[`${split}/${file}`] = sum;
      const { x: images, count } = samples;
      return { images, ...labelsOf(samples, task, `${name} split`), count };
    });

  let train = splitOf('train', trainSamples);
  const testSamples = read('test', columns);
  const validationSamples = read('validation', columns);
  const share = data ? data.test : request.test;
  let test = testSamples && splitOf('test', testSamples);
  if (test === undefined) {
    if (typeof share !== 'number') {
      throw new SplitError(
        'test',
        'is missing: name the files of the test split, or the share of the training rows to hold out for it, as in test: 0.2',
      );
    }
    const count = Math.round(share * train.count);
    if (count < 1 || count >= train.count) {
      throw new SplitError('test', `is ${share}, but ${train.count} rows cannot be divided so`);
    }
    [train, test] = parts(train, ...holdOut(train.count, count));
  }
  const validation = validationSamples && splitOf('validation', validationSamples);
  return {
    train,
    test,
    ...(validation && { validation }),
    ...(columns && { columns }),
    sha256,
    info: {
      shape,
      classes: task.outputs,
      ...(task.classNames && { classNames: task.classNames }),
      ...(task.isRegression && { isRegression: true }),
      trainSize: train.count,
      testSize: test.count,
      ...(validation && { validationSize: validation.count }),
    },
  };
}

/** The test split in the archive of the training split, where it has one. */
function testOfTrain({ train, channels }: Request): Samples | undefined {
  if (typeof train !== 'string' || !/\.npz$/i.test(train)) return undefined;
  try {
    return readSamples(train, { role: 'test', onlyOwnRole: true, channels });
  } catch (error) {
    if (error instanceof DataError && error.cause instanceof NoArrays) return undefined;
    throw error;
  }
}

function refuseOtherShape(samples: Samples, train: Samples, name: string): void {
  if (samples.shape.join() !== train.shape.join()) {
    throw new DataError(
      `${name} has rows of ${shapeOf(samples)}, and the training split of ${shapeOf(train)}.`,
    );
  }
  const isPixels = (values: Samples['x']) => values instanceof Uint8Array;
  if (isPixels(samples.x) !== isPixels(train.x)) {
    const kind = (values: Samples['x']) => (isPixels(values) ? '8-bit integers' : 'float32');
    throw new DataError(
      `${name} has ${kind(samples.x)}, and the training split ${kind(train.x)}; save both with one dtype.`,
    );
  }
}

const shapeOf = ({ shape: [height, width, channels] }: Samples): string =>
  height === 1 && width === 1 ? `${channels} features` : `${height}x${width}x${channels}`;

/** All rows but `count`, and these: a random choice that is the same in every run, each in the order of the data. */
function holdOut(rows: number, count: number): [kept: Uint32Array, held: Uint32Array] {
  const order = firstRows(rows);
  new Random(1, 'hold out').shuffle(order);
  return [order.subarray(count).toSorted(), order.subarray(0, count).toSorted()];
}

const firstRows = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => i);

/** Copies of rows of a split. */
function parts(split: Split, ...rows: readonly Uint32Array[]): Split[] {
  const take = <T extends Uint8Array | Uint32Array | Float32Array>(
    values: T,
    indices: Uint32Array,
  ): T => {
    const width = values.length / split.count;
    const taken = new (values.constructor as new (length: number) => T)(indices.length * width);
    for (const [i, row] of indices.entries()) {
      taken.set(values.subarray(row * width, (row + 1) * width), i * width);
    }
    return taken;
  };
  return rows.map((indices) => ({
    images: take(split.images, indices),
    labels: take(split.labels, indices),
    ...(split.targets && { targets: take(split.targets, indices) }),
    count: indices.length,
  }));
}

function located<T>(split: SplitError['split'], work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw new SplitError(split, error.message, { cause: error });
  }
}
