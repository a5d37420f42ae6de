import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoadOptions } from '../core/dataset.js';
import { DataError } from '../errors.js';
import type { FileContent } from './content.js';
import type {
  CheckedFile,
  DatasetDefinition,
  LocatedFile,
  Locations,
  RawDataset,
} from './definition.js';
import {
  assemble,
  type EmnistFacts,
  type EmnistSet,
  filesOf,
  readEmnistArchive,
} from './emnist.js';
import { type DamagedFile, damagedError, MirrorsError, missingFilesError } from './file-errors.js';
import { checkFiles, orDamaged, readFile, startDownloader } from './files.js';
import {
  type Candidate,
  cacheFolders,
  candidates,
  firstExisting,
  resolveLocations,
  userFolders,
} from './locations.js';

/**
 * The registry entry of a set of EMNIST: its four files, or the archive of all sets. The downloaded archive in
 * the cache must be the published one byte for byte; of the user's own files and archives the format is checked,
 * since only the SHA-256 of the archive is published.
 */
export function emnistDataset(facts: EmnistFacts): DatasetDefinition {
  const { side, firstLabel, equalClasses, prefix, archive, ...rest } = facts;
  const set: EmnistSet = { ...facts, files: filesOf(facts) };
  return {
    ...rest,
    shape: [side, side, 1],
    hasCharacters: true,
    load: (_rows, options) => loadEmnist(set, options),
    storage: {
      locate: async (locations) => {
        const source = await locateSource(set, locations);
        if (source.kind === 'files') return { files: source.files };
        if (source.kind !== 'incomplete') return { files: [locatedArchive(set, source)] };
        return { files: source.files, problem: incompleteProblem(source.files) };
      },
      check: async (locations) => {
        const source = await locateSource(set, locations);
        if (source.kind === 'archive') return [await checkArchive(set, source)];
        if (source.kind === 'absent') return [locatedArchive(set, source)];
        return checkFiles(set.files, source.files);
      },
    },
  };
}

async function loadEmnist(set: EmnistSet, options: LoadOptions): Promise<RawDataset> {
  const locations = resolveLocations(options);
  const source = await locateSource(set, locations);
  if (source.kind === 'incomplete') throw new DataError(incompleteProblem(source.files));
  if (source.kind === 'absent') return download(set, locations, options);
  if (source.kind === 'files') {
    const contents: FileContent[] = [];
    for (const [i, { path }] of source.files.entries()) {
      options.signal?.throwIfAborted();
      const read = await readFile(set.files[i], path!, false);
      if ('problem' in read) throw damagedError(read, 'data-dir');
      contents.push(read);
    }
    return assemble(set, contents);
  }
  const { path, origin } = source;
  const read = await orDamaged(path, () =>
    readEmnistArchive(set, path, origin === 'cache', options),
  );
  if (!('problem' in read)) return assemble(set, read.contents);
  if (origin === 'data-dir' || options.offline) throw damagedError(read, origin);
  options.onWarning?.(`The cached file ${path} ${read.problem}; downloading it again.`);
  return download(set, locations, options, read);
}

async function download(
  set: EmnistSet,
  locations: Locations,
  options: LoadOptions,
  damaged?: DamagedFile,
): Promise<RawDataset> {
  const { name, bytes } = set.archive;
  const wanted = [name, `or all of ${set.files.map((file) => file.name).join(', ')}`];
  const absent = { places: set, wanted, damaged: damaged ? [damaged] : [], locations };
  if (options.offline) throw missingFilesError(absent);
  let contents: FileContent[] = [];
  try {
    const downloader = await startDownloader(set, [{ downloadBytes: bytes }], locations, options);
    const path = await downloader.fetch({
      name,
      remoteName: name,
      maxBytes: bytes,
      verify: async (path) => {
        ({ contents } = await readEmnistArchive(set, path, true, options));
        return name;
      },
    });
    if (damaged && damaged.path !== path) await rm(damaged.path, { force: true });
    return assemble(set, contents);
  } catch (error) {
    throw error instanceof MirrorsError ? missingFilesError({ ...absent, failure: error }) : error;
  }
}

/** The set's four files, or the archive of all sets. */
type EmnistSource =
  | { readonly kind: 'files'; readonly files: readonly LocatedFile[] }
  | { readonly kind: 'incomplete'; readonly files: readonly LocatedFile[] }
  | ({ readonly kind: 'archive' } & Candidate)
  | { readonly kind: 'absent' };

/** The files in the user's folders, else the archive there, else the archive in the cache. */
async function locateSource(set: EmnistSet, locations: Locations): Promise<EmnistSource> {
  const own = { ...locations, cacheDir: undefined };
  const files: LocatedFile[] = await Promise.all(
    set.files.map(async (file) => ({
      file,
      ...(await firstExisting(candidates(set, file, own))),
    })),
  );
  const found = files.filter(({ path }) => path !== undefined).length;
  if (found === files.length) return { kind: 'files', files };
  const archives = [
    ...userFolders(set, locations).flatMap((folder) =>
      set.archive.userNames.map((name) => ({
        path: join(folder, name),
        origin: 'data-dir' as const,
      })),
    ),
    ...cacheFolders(set, locations).map((folder) => ({
      path: join(folder, set.archive.name),
      origin: 'cache' as const,
    })),
  ];
  const archive = await firstExisting(archives);
  if (archive?.origin === 'data-dir') return { kind: 'archive', ...archive };
  if (found > 0) return { kind: 'incomplete', files };
  return archive ? { kind: 'archive', ...archive } : { kind: 'absent' };
}

function incompleteProblem(files: readonly LocatedFile[]): string {
  const names = (isThere: boolean) =>
    files
      .filter(({ path }) => (path !== undefined) === isThere)
      .map(({ file, path }) => path ?? file.name)
      .join(', ');
  return `Of the files of the set only a part is there, ${names(true)}: ${names(false)} (plain or .gz) are missing. Add them, or remove the others.`;
}

function locatedArchive(set: EmnistSet, source: EmnistSource): LocatedFile {
  const { name, bytes, sha256 } = set.archive;
  const file = { name, bytes, downloadBytes: bytes, sha256 };
  return source.kind === 'archive' ? { file, path: source.path, origin: source.origin } : { file };
}

async function checkArchive(
  set: EmnistSet,
  source: Extract<EmnistSource, { kind: 'archive' }>,
): Promise<CheckedFile> {
  const { path, origin } = source;
  const read = await orDamaged(path, () => readEmnistArchive(set, path, origin === 'cache', {}));
  const located = locatedArchive(set, source);
  if ('problem' in read) return { ...located, problem: `${path} ${read.problem}` };
  const verified = read.sha256 === set.archive.sha256 ? 'checksum' : 'format';
  return { ...located, sha256: read.sha256, verified };
}
