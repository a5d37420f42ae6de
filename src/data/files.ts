import { rm, stat } from 'node:fs/promises';
import { ContentError, readContent } from './content.js';
import type { LoadOptions } from './dataset.js';
import type { DataFile, DatasetDefinition } from './definition.js';
import type { Downloader } from './download.js';
import { absentError, type DamagedFile, damagedError } from './file-errors.js';
import {
  cacheFolder,
  candidates,
  type Locations,
  mirrorsOf,
  resolveLocations,
} from './locations.js';
import { MirrorsError } from './mirrors-error.js';

/** Where one file of a data set lies; no `path` when it is not on this machine. */
export interface LocatedFile {
  readonly file: DataFile;
  readonly path?: string;
  readonly origin?: 'data-dir' | 'cache';
}

/** A file whose content has been verified. */
export interface ObtainedFile {
  readonly path: string;
  readonly content: Uint8Array;
}

/** Finds each file of a data set: the first of the user's folder and the cache that has it. */
export async function locateFiles(
  definition: DatasetDefinition,
  locations: Locations,
): Promise<LocatedFile[]> {
  return Promise.all(
    definition.files.map(async (file) => {
      for (const { path, origin } of candidates(definition, file.name, locations)) {
        if (await exists(path)) return { file, path, origin };
      }
      return { file };
    }),
  );
}

/**
 * The verified content of every file of a data set, by file name: from the user's folder, else from
 * the cache, else downloaded into the cache. A damaged file in the user's folder is an error, since
 * it was named; a damaged file in the cache is fetched again.
 *
 * @throws DataError when a file is damaged, or absent and not to be had
 */
export async function obtainFiles(
  definition: DatasetDefinition,
  options: LoadOptions,
): Promise<Map<string, ObtainedFile>> {
  const locations = await resolveLocations(options);
  const obtained = new Map<string, ObtainedFile>();
  const missing: DataFile[] = [];
  const damaged = new Map<DataFile, DamagedFile>();
  for (const located of await locateFiles(definition, locations)) {
    options.signal?.throwIfAborted();
    const { file, path, origin } = located;
    const found = path === undefined ? undefined : await readFile(file, path);
    if (found && 'content' in found) {
      obtained.set(file.name, found);
      continue;
    }
    if (found && (origin === 'data-dir' || options.offline)) throw damagedError(found, origin);
    if (found) damaged.set(file, found);
    missing.push(file);
  }
  if (missing.length > 0) {
    const fetched = await download(definition, missing, damaged, locations, options);
    for (const [name, file] of fetched) obtained.set(name, file);
  }
  return obtained;
}

/** The file's content, or what is wrong with it. */
export async function readFile(file: DataFile, path: string): Promise<ObtainedFile | DamagedFile> {
  try {
    return { path, content: (await readContent(path, file)).content };
  } catch (error) {
    if (error instanceof ContentError) return { path, problem: error.message };
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return { path, problem: `cannot be read (${error.message})` };
  }
}

async function download(
  definition: DatasetDefinition,
  missing: readonly DataFile[],
  damaged: ReadonlyMap<DataFile, DamagedFile>,
  locations: Locations,
  options: LoadOptions,
): Promise<Map<string, ObtainedFile>> {
  const absence = { definition, missing, damaged: [...damaged.values()], locations };
  if (options.offline) throw absentError(absence);
  const downloader = await startDownloader(definition, locations, options);
  const obtained = new Map<string, ObtainedFile>();
  for (const file of missing) {
    const bad = damaged.get(file);
    if (bad) options.onWarning?.(`The cached file ${bad.path} ${bad.problem}; fetching it again.`);
    try {
      const path = await downloader.fetch(file);
      if (bad && bad.path !== path) await rm(bad.path, { force: true });
      obtained.set(file.name, { path, content: (await readContent(path, file)).content });
    } catch (error) {
      throw error instanceof MirrorsError ? absentError({ ...absence, failure: error }) : error;
    }
  }
  return obtained;
}

async function startDownloader(
  definition: DatasetDefinition,
  locations: Locations,
  options: LoadOptions,
): Promise<Downloader> {
  const folder = cacheFolder(definition, locations);
  const mirrors = mirrorsOf(definition, options);
  // Only now, so that a run whose data is on this machine never loads the network library.
  const { Downloader, removeStaleParts } = await import('./download.js');
  await removeStaleParts(folder);
  return new Downloader(mirrors, folder, options);
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
