import type { DatasetInfo, LoadOptions } from './dataset.js';
import type { DatasetDefinition } from './definition.js';
import { wayOut } from './file-errors.js';
import { locateFiles, obtainFiles, readFile } from './files.js';
import { mirrorsOf, resolveLocations } from './locations.js';
import { datasets, findDataset } from './registry.js';

/** What is known of one data set on this machine without reading it. */
export interface DatasetLocation extends DatasetInfo {
  /** `generated` sets need no files; `absent` means that at least one file is missing. */
  readonly state: 'generated' | 'present' | 'absent';
  readonly files: readonly FileLocation[];
  /** Base URLs that a download would try, in order. */
  readonly mirrors: readonly string[];
}

export interface FileLocation {
  readonly name: string;
  /** Decompressed size. */
  readonly bytes: number;
  /** Approximate size of the download. */
  readonly downloadBytes: number;
  /** Of the decompressed content. */
  readonly sha256: string;
  readonly path?: string;
  readonly origin?: 'data-dir' | 'cache';
}

/** A file after its content has been compared with what it should be. */
export interface FileCheck extends FileLocation {
  readonly state: 'ok' | 'damaged' | 'absent';
  /** One sentence on what is wrong, and the way out. */
  readonly problem?: string;
}

/** @throws UsageError on an unknown name; DataError when the data folder that was named is not there */
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
  if (definition.files.length === 0) {
    return { ...info, state: 'generated', files: [], mirrors: [] };
  }
  const located = await locateFiles(definition, await resolveLocations(options));
  const files = located.map(({ file, path, origin }) => ({
    name: file.name,
    bytes: file.bytes,
    downloadBytes: file.downloadBytes,
    sha256: file.sha256,
    path,
    origin,
  }));
  const state = files.every(({ path }) => path !== undefined) ? 'present' : 'absent';
  return { ...info, state, files, mirrors: mirrorsOf(definition, options) };
}

/** Reads every file of a data set that is on this machine, and says of each whether it is intact. */
export async function checkDataset(name: string, options: LoadOptions = {}): Promise<FileCheck[]> {
  return checkDefinition(findDataset(name), options);
}

export async function checkDefinition(
  definition: DatasetDefinition,
  options: LoadOptions = {},
): Promise<FileCheck[]> {
  const { files } = await locateDefinition(definition, options);
  const checks: FileCheck[] = [];
  for (const [i, located] of files.entries()) {
    const { name, path, origin } = located;
    if (path === undefined) {
      checks.push({ ...located, state: 'absent', problem: `${name} is not on this machine.` });
      continue;
    }
    const found = await readFile(definition.files[i], path);
    if ('content' in found) checks.push({ ...located, state: 'ok' });
    else {
      const problem = `${path} ${found.problem}. ${wayOut(origin)}`;
      checks.push({ ...located, state: 'damaged', problem });
    }
  }
  return checks;
}

/**
 * Makes sure that every file of a data set is on this machine and intact, downloading what is not.
 * @throws DataError as `loadDataset`
 */
export async function fetchDataset(
  name: string,
  options: LoadOptions = {},
): Promise<DatasetLocation> {
  const definition = findDataset(name);
  if (definition.files.length > 0) await obtainFiles(definition, options);
  return locateDefinition(definition, options);
}
