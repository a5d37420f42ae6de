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
import { UsageError } from '../errors.js';
import type { DatasetDefinition } from './definition.js';
import { findDataset } from './registry.js';

/**
 * Loads a data set as a config describes it: from the user's folder, the cache or a mirror, or
 * generated; then applies limits, validation split and preprocessing.
 *
 * @throws UsageError on an unknown name or too large splits; DataError when the data is missing,
 *   unreachable or damaged; `options.signal.reason` when aborted
 */
export async function loadDataset(
  request: DatasetRequest,
  options: LoadOptions = {},
): Promise<Dataset> {
  return loadDefinition(findDataset(request.name), request, options);
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
  const scaling = channelScaling(request.preprocessing, train, shape[2]);
  return {
    name,
    shape,
    classes,
    ...(classNames && { classNames }),
    train,
    ...(sizes.validation > 0 && { validation: rowsOf(raw.train, sizes.train, rows.train) }),
    test: rowsOf(raw.test, 0, sizes.test),
    sha256: raw.sha256,
    levels: pixelLevels(scaling),
    scaling,
  };
}

/**
 * Rows of each split after the request's limits, without loading anything.
 * @throws UsageError when the data set has fewer rows
 */
export function splitSizes(
  info: DatasetInfo,
  request: Omit<DatasetRequest, 'preprocessing'>,
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
  const validation = request.validation ?? 0;
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
  const features = split.images.length / split.count;
  return {
    images: split.images.subarray(start * features, end * features),
    labels: split.labels.subarray(start, end),
    count: end - start,
  };
}

/**
 * The preprocessing of each channel.
 *
 * scale: p / 255. standardize: (p / 255 - mean) / std, with the mean and the (population) standard
 * deviation of the channel over `train`; a constant channel is only centred. Here in pixel units.
 *
 * @param train the training images in use: neither validation nor test images enter the statistics
 */
function channelScaling(
  preprocessing: Preprocessing,
  train: Split,
  channels: number,
): ChannelScaling[] {
  return Array.from({ length: channels }, (_, channel) =>
    preprocessing === 'standardize'
      ? channelStatistics(train.images, channels, channel)
      : { mean: 0, std: 255 },
  );
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
