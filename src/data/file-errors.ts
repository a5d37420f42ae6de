import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../errors.js';
import { noCacheDir } from '../files/cache.js';
import { causeOf, isSystemError } from '../files/disk.js';
import type { DatasetPlaces, Locations, Origin } from './definition.js';
import { cacheFolders, userFolders } from './locations.js';

/** A file with wrong content: `problem` continues a sentence whose subject is the file. */
export interface DamagedFile {
  readonly path: string;
  readonly problem: string;
}

/** Thrown by a dry run instead of a download; the local files are intact. */
export class DownloadNeeded extends Error {
  /** @param bytes approximate size of the download */
  constructor(readonly bytes: number) {
    super('files of the data set must be downloaded');
  }
}

export interface MissingFiles {
  readonly places: DatasetPlaces;
  /** Names of the missing files, without `.gz`. */
  readonly wanted: readonly string[];
  /** Cached copies of some of them that are damaged. */
  readonly damaged: readonly DamagedFile[];
  readonly locations: Locations;
  /** Absent when downloads are disabled. */
  readonly failure?: MirrorsError;
}

/** The error for data that is not on this machine and was not downloaded: what was tried, and what to do. */
export function missingFilesError(missing: MissingFiles): DataError {
  const { places, wanted, damaged, locations, failure } = missing;
  const why = failure ? 'could not be downloaded' : 'downloads are disabled (--offline)';
  const searched = [...userFolders(places, locations), ...cacheFolders(places, locations)];
  const lines = [`The data set ${places.name} is not complete on this machine, and ${why}.`];
  if (failure) {
    lines.push(
      'Mirrors tried:',
      ...failure.failures.map(({ url, reason }) => `  ${url}: ${reason}`),
    );
  }
  lines.push(
    'Missing files, gzipped (NAME.gz) or plain:',
    ...wanted.map((name) => `  ${name}`),
    'Searched in:',
    ...searched.map((folder) => `  ${folder}`),
    ...(locations.cacheDir === undefined ? [`  (${noCacheDir})`] : []),
    ...damaged.map(({ path, problem }) => `  (${path} ${problem})`),
    ...unsupportedFiles(places, locations).map((text) => `  (${text})`),
    'To continue, either',
    `  put the files into ${userPaths(places)}, and give --data-dir DIR or set FLN_DATA_DIR=DIR, or`,
    '  use the embedded data set, which needs no files: dataset: { name: synthetic-digits }',
  );
  return new DataError(lines.join('\n'), { cause: failure });
}

export function damagedError(
  { path, problem }: DamagedFile,
  origin: Origin | undefined,
): DataError {
  return new DataError(`${path} ${problem}. ${repairAdvice(origin)}`);
}

/** Explains a system error of writing to the cache; returns any other error as it is. */
export function cacheError(error: unknown, folder: string): unknown {
  if (!isSystemError(error)) return error;
  return new DataError(
    `Cannot write to the cache folder ${folder}: ${causeOf(error)}. Free some space or give access there, or set FLN_CACHE_DIR to another folder.`,
    { cause: error },
  );
}

/** What to do about a damaged file. */
export function repairAdvice(origin: Origin | undefined): string {
  return origin === 'cache'
    ? 'Delete this cached file and fetch it again with `fln data fetch`.'
    : 'Replace it with an intact copy, or remove it and run `fln data fetch`.';
}

/** One sentence for each file in the user's folders whose format is not supported. */
function unsupportedFiles(places: DatasetPlaces, locations: Locations): string[] {
  const { names, message } = places.unsupported ?? { names: [], message: '' };
  const paths = userFolders(places, locations).flatMap((folder) =>
    names.map((name) => join(folder, name)),
  );
  return paths.filter((path) => existsSync(path)).map((path) => `${path} ${message}`);
}

/** Where the user may put files: `DIR/mnist or DIR`. */
const userPaths = ({ folders }: DatasetPlaces): string =>
  folders.map((folder) => (folder === '.' ? 'DIR' : `DIR/${folder}`)).join(' or ');

/** Why the download of a file from one mirror failed. */
export interface MirrorFailure {
  readonly url: string;
  readonly reason: string;
}

/** The download failed from every mirror. */
export class MirrorsError extends Error {
  override name = 'MirrorsError';
  constructor(
    fileName: string,
    readonly failures: readonly MirrorFailure[],
  ) {
    super(`${fileName} could not be downloaded from any mirror`);
  }
}
