import {
  type ChannelScaling,
  type Dataset,
  type DatasetInfo,
  type DatasetRequest,
  type LoadOptions,
  type Preprocessing,
  pixelLevels,
  type Split,
} from '../core/dataset.js';
import type { LossName } from '../core/network/names.js';
import { UsageError } from '../errors.js';
import { arraysDefinition, arraysName } from './arrays/definition.js';
import type { DatasetDefinition } from './definition.js';
import { findDataset } from './registry.js';

/**
 * Loads a data set as a config describes it: from the user's folder, the cache or a mirror, or
 * generated; then applies limits, validation split and preprocessing.
 *
 * @param loss which decides whether own data with floating-point targets is a regression
 * @throws UsageError on an unknown name or too large splits; DataError when the data is missing,
 *   unreachable or damaged; `options.signal.reason` when aborted
 */
export async function loadDataset(
  request: DatasetRequest,
  options: LoadOptions = {},
  loss: LossName = 'cross-entropy',
): Promise<Dataset> {
  const definition =
    request.name === arraysName ? arraysDefinition(request, loss) : findDataset(request.name);
  return loadDefinition(definition, request, options);
}

/** {@link loadDataset} for a data set outside the registry. */
export async function loadDefinition(
  definition: DatasetDefinition,
  request: DatasetRequest,
  options: LoadOptions = {},
): Promise<Dataset> {
  const sizes = splitSizes(definition, request);
  const rows = { train: sizes.train + sizes.validation, test: sizes.test };
  const raw = await definition.load(rows, options);
  const train = rowsOf(raw.train, 0, sizes.train);
  const { name, shape, classes, classNames } = definition;
  const validation =
    raw.validation ?? (sizes.validation > 0 && rowsOf(raw.train, sizes.train, rows.train));
  const test = rowsOf(raw.test, 0, sizes.test);
  const scaling = channelScaling(request.preprocessing, train, shape[2]);
  const isPixels = train.images instanceof Uint8Array;
  if (!isPixels) for (const split of [train, validation, test]) if (split) rescale(split, scaling);
  return {
    name,
    shape,
    classes,
    ...(classNames && { classNames }),
    ...(raw.columns && { columns: raw.columns }),
    train,
    ...(validation && { validation }),
    test,
    sha256: raw.sha256,
    levels: isPixels ? pixelLevels(scaling) : [],
    scaling,
    ...(request.augment && { augment: request.augment }),
    ...(request.stream && { stream: request.stream }),
  };
}

/**
 * Rows of each split after the request's limits, without loading anything.
 * @throws UsageError when the data set has fewer rows
 */
export function splitSizes(
  info: DatasetInfo,
  request: Omit<DatasetRequest, 'preprocessing' | 'augment' | 'stream'>,
): { train: number; validation: number; test: number } {
  const used = atMost(
    request.limit,
    info.trainSize,
    'dataset.limit',
    `training images in ${info.name}`,
  );
  const test = atMost(
    request.testLimit,
    info.testSize,
    'dataset.testLimit',
    `test images in ${info.name}`,
  );
  if (info.validationSize !== undefined) {
    return { train: used, validation: info.validationSize, test };
  }
  const validation = Number(request.validation ?? 0);
  if (validation >= used) {
    throw new UsageError(
      `dataset.validation holds out ${validation} of ${used} training images, which leaves none for training.`,
    );
  }
  return { train: used - validation, validation, test };
}

function atMost(value: number | undefined, size: number, path: string, what: string): number {
  if (value !== undefined && value > size) {
    throw new UsageError(`${path} is ${value}, but there are only ${size} ${what}.`);
  }
  return value ?? size;
}

/** Rows [start, end) of a split, as views. */
function rowsOf(split: Split, start: number, end: number): Split {
  const part = <T extends Uint8Array | Uint32Array | Float32Array>(values: T): T => {
    const width = values.length / split.count;
    return values.subarray(start * width, end * width) as T;
  };
  return {
    images: part(split.images),
    labels: part(split.labels),
    ...(split.targets && { targets: part(split.targets) }),
    count: end - start,
  };
}

/**
 * The preprocessing of each channel.
 *
 * none: p. scale: p / 255. standardize: (p / 255 - mean) / std, with the mean and the (population) standard
 * deviation of the channel over `train`; a constant channel is only centred. Here in pixel units. Numbers that are no
 * pixels are not scaled.
 *
 * @param train the training images in use: neither validation nor test images enter the statistics
 */
function channelScaling(
  preprocessing: Preprocessing,
  train: Split,
  channels: number,
): ChannelScaling[] {
  const { images } = train;
  const isPixels = images instanceof Uint8Array;
  return Array.from({ length: channels }, (_, channel) => {
    if (preprocessing !== 'standardize') {
      return { mean: 0, std: isPixels && preprocessing === 'scale' ? 255 : 1 };
    }
    return isPixels
      ? channelStatistics(images, channels, channel)
      : numberStatistics(images, channels, channel);
  });
}

/** In pixel units, from exact integer sums: the same whatever the order of the images. */
function channelStatistics(images: Uint8Array, channels: number, channel: number) {
  const histogram = new Float64Array(256);
  for (let i = channel; i < images.length; i += channels) histogram[images[i]]++;
  let count = 0;
  let sum = 0;
  for (let p = 0; p < 256; p++) {
    count += histogram[p];
    sum += histogram[p] * p;
  }
  const mean = sum / count;
  let squares = 0;
  for (let p = 0; p < 256; p++) squares += histogram[p] * (p - mean) * (p - mean);
  const std = Math.sqrt(squares / count);
  return { mean, std: std > 0 ? std : 255 };
}

/** Mean and (population) standard deviation of a channel of numbers, in float64. */
function numberStatistics(values: Float32Array, channels: number, channel: number): ChannelScaling {
  const count = values.length / channels;
  let sum = 0;
  for (let i = channel; i < values.length; i += channels) sum += values[i];
  const mean = sum / count;
  let squares = 0;
  for (let i = channel; i < values.length; i += channels) squares += (values[i] - mean) ** 2;
  const std = Math.sqrt(squares / count);
  // The rounding of a constant channel's mean is not a spread.
  return { mean, std: std > 1e-7 * Math.abs(mean) ? std : 1 };
}

/** Numbers of a split to (x - mean) / std, in place. */
function rescale({ images }: Split, scaling: readonly ChannelScaling[]): void {
  if (scaling.every(({ mean, std }) => mean === 0 && std === 1)) return;
  for (let i = 0, channel = 0; i < images.length; i++) {
    images[i] = (images[i] - scaling[channel].mean) / scaling[channel].std;
    if (++channel === scaling.length) channel = 0;
  }
}
