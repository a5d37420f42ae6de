import { rm } from 'node:fs/promises';
import type { LoadOptions } from '../core/dataset.js';
import { DataError } from '../errors.js';
import { maxDownloadBytes, readCifarArchive, readCifarFiles } from './cifar-read.js';
import { fileNames } from './cifar-records.js';
import { type CifarSet, type CifarSource, incompleteProblem, locateSource } from './cifar-set.js';
import { cifarStorage } from './cifar-storage.js';
import type { DatasetDefinition, Locations, RawDataset } from './definition.js';
import { absentError, type DamagedFile, damagedError } from './file-errors.js';
import { orProblem, startDownloader } from './files.js';
import { resolveLocations } from './locations.js';
import { MirrorsError } from './mirrors-error.js';

/** The facts of a data set kept as CIFAR-10 is. */
export type CifarFacts = CifarSet & Pick<DatasetDefinition, 'title'>;

/**
 * The registry entry of a data set in CIFAR's binary version: one archive, or its files side by side.
 *
 * The archive in the cache, a download, must be the published one byte for byte. What the user keeps
 * may be packed anew or in another order: its format is checked, and the SHA-256 of each file
 * recorded.
 */
export function cifarDataset(facts: CifarFacts): DatasetDefinition {
  const { name, title, side, classes, recordsPerFile, trainFiles, testFiles } = facts;
  return {
    name,
    title,
    shape: [side, side, 3],
    classes,
    trainSize: trainFiles.length * recordsPerFile,
    testSize: testFiles.length * recordsPerFile,
    folders: facts.folders,
    mirrors: facts.mirrors,
    mirrorsVariable: facts.mirrorsVariable,
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
  options.onWarning?.(`The cached file ${found.path} ${found.problem}; fetching it again.`);
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
  return orProblem(
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
  const absence = { places: set, wanted, damaged: damaged ? [damaged] : [], locations };
  if (options.offline) throw absentError(absence);
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
    throw error instanceof MirrorsError ? absentError({ ...absence, failure: error }) : error;
  }
}
