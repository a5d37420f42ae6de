import { rm } from 'node:fs/promises';
import type { LoadOptions } from '../core/dataset.js';
import { DataError } from '../errors.js';
import { noCacheDir } from '../files/cache.js';
import { causeOf, isSystemError } from '../files/disk.js';
import { probeWritable } from '../files/folder.js';
import { type FileContent, maxStoredBytes, readContent } from './content.js';
import { ContentError } from './content-error.js';
import type {
  CheckedFile,
  DataFile,
  DatasetPlaces,
  DatasetStorage,
  LocatedFile,
  Locations,
} from './definition.js';
import type { Download, Downloader } from './download.js';
import {
  cacheError,
  type DamagedFile,
  DownloadNeeded,
  damagedError,
  MirrorsError,
  missingFilesError,
} from './file-errors.js';
import {
  cacheFolders,
  candidates,
  firstExisting,
  mirrorsOf,
  resolveLocations,
} from './locations.js';

/** Files that are each located, verified and downloaded by themselves. */
export interface FileSet extends DatasetPlaces {
  readonly files: readonly DataFile[];
}

/** A file whose content has been verified. */
export interface ObtainedFile extends FileContent {
  readonly path: string;
}

export const separateFiles = (set: FileSet): DatasetStorage => ({
  locate: async (locations) => ({ files: await locateFiles(set, locations) }),
  check: async (locations) => checkFiles(set.files, await locateFiles(set, locations)),
});

/** Reads located files one after the other; `files` has what each of them should be. */
export async function checkFiles(
  files: readonly DataFile[],
  located: readonly LocatedFile[],
): Promise<CheckedFile[]> {
  const checked: CheckedFile[] = [];
  for (const [i, file] of files.entries()) checked.push(await checkFile(file, located[i]));
  return checked;
}

async function checkFile(file: DataFile, located: LocatedFile): Promise<CheckedFile> {
  if (located.path === undefined) return located;
  const found = await readFile(file, located.path, located.origin === 'cache');
  if ('problem' in found) return { ...located, problem: `${found.path} ${found.problem}` };
  return { ...located, verified: found.verified, sha256: found.sha256 };
}

/** Finds each file of a set: the first of the user's folders and the cache that has it. */
async function locateFiles(set: FileSet, locations: Locations): Promise<LocatedFile[]> {
  return Promise.all(
    set.files.map(async (file) => ({
      file,
      ...(await firstExisting(candidates(set, file, locations))),
    })),
  );
}

/**
 * The verified content of every file of a set, by file name: from the user's folder, else from the
 * cache, else downloaded into the cache. A damaged file in the user's folder is an error; a damaged
 * file in the cache is downloaded again.
 *
 * @throws DataError when a file is damaged, or missing and not downloaded
 */
export async function obtainFiles(
  set: FileSet,
  options: LoadOptions,
): Promise<Map<string, ObtainedFile>> {
  const locations = resolveLocations(options);
  const obtained = new Map<string, ObtainedFile>();
  const missing: DataFile[] = [];
  const damaged = new Map<DataFile, DamagedFile>();
  for (const [i, { path, origin }] of (await locateFiles(set, locations)).entries()) {
    options.signal?.throwIfAborted();
    const file = set.files[i];
    const found = path === undefined ? undefined : await readFile(file, path, origin === 'cache');
    if (found && 'content' in found) {
      obtained.set(file.name, found);
      continue;
    }
    if (found && (origin === 'data-dir' || options.offline)) throw damagedError(found, origin);
    if (found) damaged.set(file, found);
    missing.push(file);
  }
  if (missing.length > 0) {
    const fetched = await download(set, missing, damaged, locations, options);
    for (const [name, file] of fetched) obtained.set(name, file);
  }
  return obtained;
}

/** The file's content, or what is wrong with it; for `official` see `readContent`. */
export async function readFile(
  file: DataFile,
  path: string,
  official: boolean,
): Promise<ObtainedFile | DamagedFile> {
  const found = await orDamaged(path, () => readContent(path, file, official));
  return 'problem' in found ? found : { path, ...found };
}

/** What `read` returns, or what is wrong with the file at `path`. */
export async function orDamaged<T>(
  path: string,
  read: () => T | Promise<T>,
): Promise<T | DamagedFile> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ContentError) return { path, problem: error.message };
    if (!isSystemError(error)) throw error;
    return { path, problem: `cannot be read: ${causeOf(error)}` };
  }
}

async function download(
  set: FileSet,
  missing: readonly DataFile[],
  damaged: ReadonlyMap<DataFile, DamagedFile>,
  locations: Locations,
  options: LoadOptions,
): Promise<Map<string, ObtainedFile>> {
  const wanted = missing.map(({ name }) => name);
  const absent = { places: set, wanted, damaged: [...damaged.values()], locations };
  if (options.offline) throw missingFilesError(absent);
  for (const { path, problem } of damaged.values()) {
    options.onWarning?.(`The cached file ${path} ${problem}; downloading it again.`);
  }
  const downloader = await startDownloader(set, missing, locations, options);
  const obtained = new Map<string, ObtainedFile>();
  for (const file of missing) {
    const bad = damaged.get(file);
    try {
      const path = await downloader.fetch(downloadOf(file));
      if (bad && bad.path !== path) await rm(bad.path, { force: true });
      obtained.set(file.name, { path, ...(await readContent(path, file, true)) });
    } catch (error) {
      throw error instanceof MirrorsError
        ? missingFilesError({ ...absent, failure: error })
        : error;
    }
  }
  return obtained;
}

/** A server that unpacks NAME.gz on the way is accepted. */
const downloadOf = (file: DataFile): Download => ({
  name: file.name,
  remoteName: file.mirrored === 'plain' ? file.name : `${file.name}.gz`,
  maxBytes: maxStoredBytes(file),
  verify: async (path) => {
    const { gzipped } = await readContent(path, file, true);
    return gzipped ? `${file.name}.gz` : file.name;
  },
});

/** @throws DataError when the mirrors or the cache folder cannot be used; DownloadNeeded in a dry run */
export async function startDownloader(
  places: DatasetPlaces,
  wanted: readonly Pick<DataFile, 'downloadBytes'>[],
  locations: Locations,
  options: LoadOptions,
): Promise<Downloader> {
  const [folder] = cacheFolders(places, locations);
  if (folder === undefined) throw new DataError(`${noCacheDir}, or the data with --data-dir DIR.`);
  const mirrors = mirrorsOf(places, options);
  try {
    probeWritable(folder);
  } catch (error) {
    throw cacheError(error, folder);
  }
  if (options.dryRun) {
    throw new DownloadNeeded(wanted.reduce((sum, { downloadBytes = 0 }) => sum + downloadBytes, 0));
  }
  // Imported here, so that a run whose data is on this machine never loads the HTTP library.
  const { Downloader, removeStaleParts } = await import('./download.js');
  await removeStaleParts(folder);
  return new Downloader(mirrors, folder, options);
}
