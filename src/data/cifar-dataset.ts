import { rm } from 'node:fs/promises';
import type { LoadOptions } from '../core/dataset.js';
import { DataError } from '../errors.js';
import {
  type CifarSet,
  type FoundFile,
  fileBytes,
  fileNames,
  maxDownloadBytes,
  readCifarArchive,
  readCifarFiles,
  recordsFile,
  setBytes,
} from './cifar.js';
import type {
  CheckedFile,
  DatasetDefinition,
  DatasetStorage,
  LocatedFile,
  Locations,
  RawDataset,
} from './definition.js';
import { type DamagedFile, damagedError, MirrorsError, missingFilesError } from './file-errors.js';
import { checkFiles, orDamaged, startDownloader } from './files.js';
import {
  type Candidate,
  cacheFolders,
  firstExisting,
  inFolder,
  resolveLocations,
  userFolders,
} from './locations.js';

/** A data set in CIFAR's binary format. */
type CifarFacts = CifarSet & Pick<DatasetDefinition, 'title' | 'classNames'>;

/**
 * The registry entry of a data set in CIFAR's binary version: one archive, or its files in one folder.
 *
 * The downloaded archive in the cache must be the published one byte for byte. The user's own files
 * may be repacked or in another order: their format is checked, and the SHA-256 of each file is
 * recorded.
 */
export function cifarDataset(facts: CifarFacts): DatasetDefinition {
  const { side, labels, label, recordsPerFile, trainFiles, testFiles, ...rest } = facts;
  const { name, title, folders, mirrors, mirrorsVariable } = rest;
  return {
    name,
    title,
    shape: [side, side, 3],
    classes: labels[label].classes,
    classNames: facts.classNames,
    trainSize: trainFiles.length * recordsPerFile.train,
    testSize: testFiles.length * recordsPerFile.test,
    folders,
    mirrors,
    mirrorsVariable,
    storage: cifarStorage(facts),
    load: (_rows, options) => loadCifar(facts, options),
  };
}

async function loadCifar(set: CifarSet, options: LoadOptions): Promise<RawDataset> {
  const locations = resolveLocations(options);
  const source = await locateSource(set, locations);
  if (source.kind === 'incomplete') throw new DataError(incompleteProblem(source));
  if (source.kind === 'absent') return download(set, locations, options);
  const origin = source.kind === 'archive' ? source.origin : 'data-dir';
  const found = await readSource(set, source, options.signal);
  if (!('problem' in found)) return found;
  if (origin === 'data-dir' || options.offline) throw damagedError(found, origin);
  options.onWarning?.(`The cached file ${found.path} ${found.problem}; downloading it again.`);
  return download(set, locations, options, found);
}

function readSource(
  set: CifarSet,
  source: Extract<CifarSource, { kind: 'archive' | 'files' }>,
  signal: AbortSignal | undefined,
): Promise<RawDataset | DamagedFile> {
  if (source.kind === 'files') {
    return readCifarFiles(set, source.folder, source.files, () => signal?.throwIfAborted());
  }
  const { path, origin } = source;
  return orDamaged(
    path,
    async () => (await readCifarArchive(set, path, origin === 'cache', signal)).raw,
  );
}

async function download(
  set: CifarSet,
  locations: Locations,
  options: LoadOptions,
  damaged?: DamagedFile,
): Promise<RawDataset> {
  const wanted = [set.archive.name, `or all of ${fileNames(set).join(', ')}`];
  const absent = { places: set, wanted, damaged: damaged ? [damaged] : [], locations };
  if (options.offline) throw missingFilesError(absent);
  const name = `${set.archive.name}.gz`;
  let raw: RawDataset | undefined;
  try {
    const downloader = await startDownloader(set, [set.archive], locations, options);
    const path = await downloader.fetch({
      name,
      remoteName: name,
      maxBytes: maxDownloadBytes(set),
      verify: async (path) => {
        raw = (await readCifarArchive(set, path, true, options.signal)).raw;
        return name;
      },
    });
    if (damaged && damaged.path !== path) await rm(damaged.path, { force: true });
    return raw!;
  } catch (error) {
    throw error instanceof MirrorsError ? missingFilesError({ ...absent, failure: error }) : error;
  }
}

/** A complete set in one place: its archive, or its files in one folder. */
type CifarSource =
  | ({ readonly kind: 'archive' } & Candidate)
  | { readonly kind: 'files'; readonly folder: string; readonly files: readonly FoundFile[] }
  | { readonly kind: 'incomplete'; readonly folder: string; readonly files: readonly LocatedFile[] }
  | { readonly kind: 'absent' };

/**
 * The first complete set in the user's folders, else the archive in the cache. Files of two places are
 * never mixed: if their records are in different orders, test images could be used for training.
 */
async function locateSource(set: CifarSet, locations: Locations): Promise<CifarSource> {
  let incomplete: CifarSource | undefined;
  const folders = set.commonNames ? set.folders.filter((folder) => folder !== '.') : set.folders;
  const ownFolders = userFolders({ ...set, folders }, locations);
  for (const folder of userFolders(set, locations)) {
    const files = ownFolders.includes(folder) ? await locateFiles(set, folder) : [];
    const found = files.filter((file): file is FoundFile => file.path !== undefined);
    if (files.length > 0 && found.length === files.length)
      return { kind: 'files', folder, files: found };
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

function incompleteProblem(source: Extract<CifarSource, { kind: 'incomplete' }>): string {
  const { folder, files } = source;
  const missing = files.filter(({ path }) => path === undefined).map(({ file }) => file.name);
  return `${folder} contains only a part of the set: ${missing.join(', ')} (plain or .gz) are missing. Add them, or remove the others.`;
}

/** The archive, as `fln data list` shows it. */
const archiveFile = (set: CifarSet) => ({
  name: `${set.archive.name}.gz`,
  bytes: setBytes(set),
  downloadBytes: set.archive.downloadBytes,
  sha256: set.archive.sha256,
});

async function locateFiles(set: CifarSet, folder: string): Promise<LocatedFile[]> {
  return Promise.all(
    fileNames(set).map(async (name) => ({
      file: { name, bytes: fileBytes(set, name) },
      ...(await firstExisting(inFolder(folder, name, 'data-dir'))),
    })),
  );
}

/** Where the files of a set in CIFAR's format are, and whether they are intact. */
const cifarStorage = (set: CifarSet): DatasetStorage => ({
  locate: async (locations) => {
    const source = await locateSource(set, locations);
    if (source.kind === 'files') return { files: source.files };
    if (source.kind === 'incomplete') {
      return { files: source.files, problem: incompleteProblem(source) };
    }
    return { files: [locatedArchive(set, source)] };
  },
  check: async (locations) => {
    const source = await locateSource(set, locations);
    if (source.kind === 'archive') return [await checkArchive(set, source)];
    if (source.kind === 'files') return checkWholeSet(set, source);
    if (source.kind === 'absent') return [locatedArchive(set, source)];
    const files = source.files.map(({ file }) => recordsFile(set, file.name));
    return checkFiles(files, source.files);
  },
});

function locatedArchive(set: CifarSet, source: CifarSource): LocatedFile {
  const file = archiveFile(set);
  return source.kind === 'archive' ? { file, path: source.path, origin: source.origin } : { file };
}

async function checkArchive(
  set: CifarSet,
  source: Extract<CifarSource, { kind: 'archive' }>,
): Promise<CheckedFile> {
  const { path, origin } = source;
  const read = await orDamaged(path, () => readCifarArchive(set, path, origin === 'cache'));
  const located = locatedArchive(set, source);
  if ('problem' in read) return { ...located, problem: `${path} ${read.problem}` };
  const { sha256 } = read;
  return { ...located, sha256, verified: sha256 === set.archive.sha256 ? 'checksum' : 'format' };
}

async function checkWholeSet(
  set: CifarSet,
  { folder, files }: Extract<CifarSource, { kind: 'files' }>,
): Promise<CheckedFile[]> {
  const checked: CheckedFile[] = [];
  const whole = await readCifarFiles(set, folder, files, (located, read) =>
    checked.push({
      ...located,
      ...('problem' in read
        ? { problem: `${read.path} ${read.problem}` }
        : { verified: 'format', sha256: read.sha256 }),
    }),
  );
  // A problem of the set as a whole may come from any of its files.
  if ('problem' in whole && whole.path === folder) {
    const problem = `${folder} ${whole.problem}`;
    return checked.map((file) => ({ ...file, verified: undefined, problem }));
  }
  return checked;
}
