import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../errors.js';
import { noCacheDir } from '../files/cache.js';
import { causeOf, isSystemError } from '../files/disk.js';
import type { DatasetPlaces, Locations, Origin } from './definition.js';
import { cacheFolders, userFolders } from './locations.js';
import type { MirrorsError } from './mirrors-error.js';

/** A file that is there and not what it should be: `problem` is the rest of a sentence about it. */
export interface DamagedFile {
  readonly path: string;
  readonly problem: string;
}

/** Thrown in place of a download where `dryRun` is asked for; what is on this machine is intact. */
export class DownloadNeeded extends Error {
  /** @param bytes approximate size of the download */
  constructor(readonly bytes: number) {
    super('files of the data set have to be downloaded');
  }
}

export interface Absence {
  readonly places: DatasetPlaces;
  /** Names of the files that are needed and not here, without `.gz`. */
  readonly wanted: readonly string[];
  /** Cached copies of some of them that cannot be used. */
  readonly damaged: readonly DamagedFile[];
  readonly locations: Locations;
  /** Absent when downloads are switched off. */
  readonly failure?: MirrorsError;
}

/** The one message for data that is neither here nor to be had: what was tried, and the ways on. */
export function absentError(absence: Absence): DataError {
  const { places, wanted, damaged, locations, failure } = absence;
  const why = failure ? 'could not be downloaded' : 'downloads are switched off (--offline)';
  const lines = [`The data set ${places.name} is not complete on this machine, and ${why}.`];
  if (failure) lines.push(...mirrorReport(failure));
  lines.push(
    'Files wanted, gzipped (NAME.gz) or plain:',
    ...wanted.map((name) => `  ${name}`),
    'Looked in:',
    ...lookedIn(places, locations).map((folder) => `  ${folder}`),
    ...(locations.cacheDir === undefined ? [`  (${noCacheDir})`] : []),
    ...damaged.map(({ path, problem }) => `  (${path} ${problem})`),
    ...unreadForms(places, locations).map((text) => `  (${text})`),
    'Two ways on:',
    `  put the files into ${homes(places)}, and give --data-dir DIR or set FLN_DATA_DIR=DIR`,
    '  use the embedded data set, which needs no files: dataset: { name: synthetic-digits }',
  );
  return new DataError(lines.join('\n'), { cause: failure });
}

export function damagedError(
  { path, problem }: DamagedFile,
  origin: Origin | undefined,
): DataError {
  return new DataError(`${path} ${problem}. ${wayOut(origin)}`);
}

/** What the system says of a cache folder that it does not let us write to; other errors as they are. */
export function cacheError(error: unknown, folder: string): unknown {
  if (!isSystemError(error)) return error;
  return new DataError(
    `Cannot write to the cache folder ${folder}: ${causeOf(error)}. Make room or give access there, or set FLN_CACHE_DIR to another folder.`,
    { cause: error },
  );
}

/** What to do about a damaged file. */
export function wayOut(origin: Origin | undefined): string {
  return origin === 'cache'
    ? 'Delete this cached file and fetch it again with `fln data fetch`.'
    : 'Replace it by an intact copy, or remove it and let `fln data fetch` download one.';
}

function mirrorReport({ failures }: MirrorsError): string[] {
  const lines = failures.map(({ url, reason }) => `  ${url}: ${reason}`);
  return ['Mirrors tried:', ...lines];
}

const lookedIn = (places: DatasetPlaces, locations: Locations): string[] => [
  ...userFolders(places, locations),
  ...cacheFolders(places, locations),
];

/** Forms of a set that lie in the user's folders and are not read, a sentence each. */
function unreadForms(places: DatasetPlaces, locations: Locations): string[] {
  const { names, message } = places.unread ?? { names: [], message: '' };
  const paths = userFolders(places, locations).flatMap((folder) =>
    names.map((name) => join(folder, name)),
  );
  return paths.filter((path) => existsSync(path)).map((path) => `${path} ${message}`);
}

/** Where the user may put files: `DIR/mnist or DIR`. */
const homes = ({ folders }: DatasetPlaces): string =>
  folders.map((folder) => (folder === '.' ? 'DIR' : `DIR/${folder}`)).join(' or ');
