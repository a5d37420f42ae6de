import type { DatasetInfo, LoadOptions } from '../core/dataset.js';
import type { CheckedFile, DatasetDefinition, LocatedFile, Origin } from './definition.js';
import { repairAdvice } from './file-errors.js';
import { mirrorsOf, resolveLocations } from './locations.js';
import { datasets, findDataset } from './registry.js';

/** A data set and its files on this machine, without reading them. */
export interface DatasetLocation extends DatasetInfo {
  /** `generated` sets need no files; `absent` means that at least one file is missing. */
  readonly state: 'generated' | 'present' | 'absent';
  readonly files: readonly FileLocation[];
  /** Why a load would refuse the files as they are: a sentence. */
  readonly problem?: string;
  /** Base URLs that a download would try, in order. */
  readonly mirrors: readonly string[];
}

export interface FileLocation {
  readonly name: string;
  /** Decompressed size. */
  readonly bytes: number;
  /** Approximate size of the download; absent for a file that is not downloaded by itself. */
  readonly downloadBytes?: number;
  /** The published one: of the decompressed content, or of an archive as it is downloaded. */
  readonly sha256?: string;
  /** The published one of NAME.gz, where only that one is published. */
  readonly downloadSha256?: string;
  readonly path?: string;
  readonly origin?: Origin;
}

/** A file after its content has been checked. */
export interface FileCheck extends Omit<FileLocation, 'sha256'> {
  readonly state: 'ok' | 'damaged' | 'absent';
  /** What an intact file was verified against: its published SHA-256, or the format where none is published. */
  readonly verified?: 'checksum' | 'format';
  /** Of the content found in an intact file, else the published one. */
  readonly sha256?: string;
  /** What is wrong, and what to do. */
  readonly problem?: string;
}

/** @throws UsageError on an unknown name; DataError when the data folder does not exist */
export async function locateDataset(
  name: string,
  options: LoadOptions = {},
): Promise<DatasetLocation> {
  return locateDefinition(findDataset(name), options);
}

/** Every data set of the registry, in its order. */
export async function listDatasets(options: LoadOptions = {}): Promise<DatasetLocation[]> {
  return Promise.all(datasets.map((definition) => locateDefinition(definition, options)));
}

export async function locateDefinition(
  definition: DatasetDefinition,
  options: LoadOptions = {},
): Promise<DatasetLocation> {
  const { name, title, shape, classes, trainSize, testSize } = definition;
  const info = { name, title, shape, classes, trainSize, testSize };
  if (!definition.storage) return { ...info, state: 'generated', files: [], mirrors: [] };
  const { files, problem } = await definition.storage.locate(resolveLocations(options));
  const state = files.every(({ path }) => path !== undefined) ? 'present' : 'absent';
  const mirrors = mirrorsOf(definition, options);
  return { ...info, state, files: files.map(locationOf), ...(problem && { problem }), mirrors };
}

/** Reads every file of a data set that is on this machine, and checks it. */
export async function checkDataset(name: string, options: LoadOptions = {}): Promise<FileCheck[]> {
  return checkDefinition(findDataset(name), options);
}

export async function checkDefinition(
  { storage }: DatasetDefinition,
  options: LoadOptions = {},
): Promise<FileCheck[]> {
  if (!storage) return [];
  return (await storage.check(resolveLocations(options))).map(fileCheckOf);
}

/**
 * Downloads the files of a data set that are missing on this machine or damaged.
 * @throws DataError as `loadDataset`
 */
export async function fetchDataset(
  name: string,
  options: LoadOptions = {},
): Promise<DatasetLocation> {
  const definition = findDataset(name);
  const { trainSize, testSize } = definition;
  if (definition.storage) await definition.load({ train: trainSize, test: testSize }, options);
  return locateDefinition(definition, options);
}

const locationOf = ({ file, path, origin }: LocatedFile): FileLocation => ({
  name: file.name,
  bytes: file.bytes,
  downloadBytes: file.downloadBytes,
  sha256: file.sha256,
  ...(file.downloadSha256 !== undefined && { downloadSha256: file.downloadSha256 }),
  path,
  origin,
});

function fileCheckOf(checked: CheckedFile): FileCheck {
  const location = locationOf(checked);
  const { file, path, origin, problem, verified, sha256 } = checked;
  if (problem !== undefined) {
    return { ...location, state: 'damaged', problem: `${problem}. ${repairAdvice(origin)}` };
  }
  if (path === undefined) {
    return { ...location, state: 'absent', problem: `${file.name} is not on this machine.` };
  }
  return { ...location, state: 'ok', verified, sha256 };
}
