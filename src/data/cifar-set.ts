import { type CifarLayout, checkRecords, fileBytes, fileNames } from './cifar-records.js';
import type { DataFile, DatasetPlaces, LocatedFile, Locations } from './definition.js';
import { type Candidate, cacheFolders, firstExisting, inFolder, userFolders } from './locations.js';

/** What a data set of the CIFAR family is, and where it may be had. */
export interface CifarSet extends DatasetPlaces, CifarLayout {
  readonly archive: {
    /** Name on mirrors and in folders, without `.gz`. */
    readonly name: string;
    /** Size of the gzip file that its authors publish. */
    readonly downloadBytes: number;
    /** SHA-256 of that gzip file. */
    readonly sha256: string;
    /** The folder in the archive that its files lie in; they may also lie at its top. */
    readonly folder: string;
  };
}

/** A whole set in one place: its archive, or its files side by side. */
export type CifarSource =
  | ({ readonly kind: 'archive' } & Candidate)
  | { readonly kind: 'files'; readonly folder: string; readonly files: readonly FoundFile[] }
  | { readonly kind: 'incomplete'; readonly folder: string; readonly files: readonly LocatedFile[] }
  | { readonly kind: 'absent' };

export type FoundFile = LocatedFile & { readonly path: string };

/**
 * The first whole set in the user's folders, else the archive in the cache. The files of two places
 * are never mixed: their records may be in another order, and then test images would be trained on.
 */
export async function locateSource(set: CifarSet, locations: Locations): Promise<CifarSource> {
  let incomplete: CifarSource | undefined;
  for (const folder of userFolders(set, locations)) {
    const files = await locateFiles(set, folder);
    const found = files.filter((file): file is FoundFile => file.path !== undefined);
    if (found.length === files.length) return { kind: 'files', folder, files: found };
    const archive = await firstExisting(inFolder(folder, set.archive.name, 'data-dir'));
    if (archive) return { kind: 'archive', ...archive };
    if (found.length > 0) incomplete ??= { kind: 'incomplete', folder, files };
  }
  if (incomplete) return incomplete;
  const cached = cacheFolders(set, locations).flatMap((folder) =>
    inFolder(folder, set.archive.name, 'cache'),
  );
  const archive = await firstExisting(cached);
  return archive ? { kind: 'archive', ...archive } : { kind: 'absent' };
}

export function incompleteProblem(source: Extract<CifarSource, { kind: 'incomplete' }>): string {
  const { folder, files } = source;
  const missing = files.filter(({ path }) => path === undefined).map(({ file }) => file.name);
  return `${folder} holds some files of the set and lacks ${missing.join(', ')} (plain or .gz). Add them, or take the others away.`;
}

/** The archive, as lists show it. */
export const archiveFile = (set: CifarSet) => ({
  name: `${set.archive.name}.gz`,
  bytes: fileNames(set).length * fileBytes(set),
  downloadBytes: set.archive.downloadBytes,
  sha256: set.archive.sha256,
});

/** One file of records by itself; none has a published SHA-256. */
export const recordsFile = (set: CifarSet, name: string): DataFile => ({
  name,
  bytes: fileBytes(set),
  check: (content) => checkRecords(content, set),
});

async function locateFiles(set: CifarSet, folder: string): Promise<LocatedFile[]> {
  return Promise.all(
    fileNames(set).map(async (name) => ({
      file: { name, bytes: fileBytes(set) },
      ...(await firstExisting(inFolder(folder, name, 'data-dir'))),
    })),
  );
}
