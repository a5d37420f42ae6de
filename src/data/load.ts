import type { Dataset, DatasetInfo, DatasetRequest, LoadOptions, Split } from '../core/dataset.js';
import { UsageError } from '../errors.js';
import type { DatasetDefinition } from './definition.js';
import { pixelLevels } from './preprocessing.js';
import { findDataset } from './registry.js';

/**
 * Loads a data set as a config asks for it: from the user's folder, the cache or a mirror, or
 * generated; then its limits, its validation split and its preprocessing.
 *
 * @throws UsageError on an unknown name or splits that do not fit; DataError when the data is absent,
 *   unreachable or damaged; `options.signal.reason` when aborted
 */
export async function loadDataset(
  request: DatasetRequest,
  options: LoadOptions = {},
): Promise<Dataset> {
  return loadDefinition(findDataset(request.name), request, options);
}

/** `loadDataset` for a data set that need not be in the registry. */
export async function loadDefinition(
  definition: DatasetDefinition,
  request: DatasetRequest,
  options: LoadOptions = {},
): Promise<Dataset> {
  const sizes = splitSizes(definition, request);
  const rows = { train: sizes.train + sizes.validation, test: sizes.test };
  const raw = await definition.load(rows, options);
  const train = rowsOf(raw.train, 0, sizes.train);
  const { name, shape, classes } = definition;
  return {
    name,
    shape,
    classes,
    train,
    ...(sizes.validation > 0 && { validation: rowsOf(raw.train, sizes.train, rows.train) }),
    test: rowsOf(raw.test, 0, sizes.test),
    sha256: raw.sha256,
    levels: pixelLevels(request.preprocessing, train, shape[2]),
  };
}

/**
 * Rows of each split under the request's limits, known without loading anything.
 * @throws UsageError when there are not that many rows
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
      `dataset.validation holds out ${validation} of ${used} training images: none would be left to train on.`,
    );
  }
  return { train: used - validation, validation, test };
}

function atMost(value: number | undefined, size: number, path: string, what: string): number {
  if (value !== undefined && value > size) {
    throw new UsageError(`${path} is ${value}, and there are only ${size} ${what}.`);
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
