import { stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { LoadOptions } from '../core/dataset.js';
import { DataError } from '../errors.js';
import { defaultCacheDir } from '../files/cache.js';
import { isFolder } from '../files/folder.js';
import type { DataFile, DatasetPlaces, Locations, Origin } from './definition.js';

/**
 * `--data-dir`, else FLN_DATA_DIR; and the cache folder.
 * @throws DataError when the data folder does not exist
 */
export function resolveLocations(options: LoadOptions): Locations {
  const named = options.dataDir ?? (process.env.FLN_DATA_DIR || undefined);
  const cache = options.cacheDir ?? defaultCacheDir();
  const cacheDir = cache === undefined ? undefined : resolve(cache);
  if (named === undefined) return { cacheDir };
  const dataDir = resolve(named);
  if (!isFolder(dataDir)) {
    const origin = options.dataDir === undefined ? 'FLN_DATA_DIR' : '--data-dir';
    throw new DataError(
      `The data folder ${dataDir} (from ${origin}) does not exist, or is not a folder.`,
    );
  }
  return { dataDir, cacheDir };
}

/** The folder of a data set's verified downloads, as a list; empty where there is no cache. */
export const cacheFolders = (
  { name, cacheFolder = name }: DatasetPlaces,
  { cacheDir }: Locations,
): string[] => (cacheDir === undefined ? [] : [join(cacheDir, cacheFolder)]);

/**
 * The user's folders that may hold files of a data set, in the order they are searched. Where the
 * folder is DIR/MNIST/raw, DIR may also be the folder MNIST, or MNIST/raw itself.
 */
export function userFolders(
  { folders, otherFolders = [] }: DatasetPlaces,
  { dataDir }: Locations,
): string[] {
  if (dataDir === undefined) return [];
  const own = dataDir.split(sep);
  const last = folders.filter((folder) => folder === '.');
  const first = folders.filter((folder) => folder !== '.');
  const found = [...first, ...otherFolders, ...last].flatMap((folder) => {
    const parts = folder.split('/');
    const inside = parts
      .map((_, i) => i + 1)
      .filter((count) => {
        const end = own.slice(-count);
        return end.length === count && end.every((name, i) => name === parts[i]);
      });
    return [0, ...inside].map((count) => join(dataDir, ...parts.slice(count)));
  });
  return [...new Set(found)];
}

/** Paths at which a file may be found, in the order they are tried. */
export function candidates(
  places: DatasetPlaces,
  { name, otherNames = [] }: Pick<DataFile, 'name' | 'otherNames'>,
  locations: Locations,
): Candidate[] {
  const names = [name, ...otherNames];
  return [
    ...userFolders(places, locations).flatMap((folder) =>
      names.flatMap((name) => inFolder(folder, name, 'data-dir')),
    ),
    ...cacheFolders(places, locations).flatMap((folder) => inFolder(folder, name, 'cache')),
  ];
}

export interface Candidate {
  readonly path: string;
  readonly origin: Origin;
}

/** A file in one folder, plain and gzipped. */
export const inFolder = (folder: string, fileName: string, origin: Origin): Candidate[] => [
  { path: join(folder, fileName), origin },
  { path: join(folder, `${fileName}.gz`), origin },
];

/** The first candidate that exists; a folder of that name only where no file exists. */
export async function firstExisting(list: readonly Candidate[]): Promise<Candidate | undefined> {
  let folder: Candidate | undefined;
  for (const candidate of list) {
    const stats = await stat(candidate.path).catch(() => undefined);
    if (stats?.isDirectory()) folder ??= candidate;
    else if (stats !== undefined) return candidate;
  }
  return folder;
}

/** The base URLs to fetch from: the options', else the environment's, else the data set's own. */
export function mirrorsOf(places: DatasetPlaces, options: LoadOptions): readonly string[] {
  if (options.mirrors) return options.mirrors.map(withSlash);
  const variable = places.mirrorsVariable;
  const value = variable === undefined ? undefined : process.env[variable];
  if (!value) return places.mirrors;
  const urls = value.split(',').map((url) => url.trim());
  const bad = urls.find((url) => !/^https?:\/\//i.test(url) || !URL.canParse(url));
  if (bad !== undefined) {
    throw new DataError(
      `${variable} must hold http:// or https:// URLs separated by commas, got "${bad}".`,
    );
  }
  return urls.map(withSlash);
}

const withSlash = (url: string) => (url.endsWith('/') ? url : `${url}/`);
