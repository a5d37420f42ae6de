import { readCifarArchive, readCifarFiles } from './cifar-read.js';
import {
  archiveFile,
  type CifarSet,
  type CifarSource,
  incompleteProblem,
  locateSource,
  recordsFile,
} from './cifar-set.js';
import type { CheckedFile, DatasetStorage, LocatedFile } from './definition.js';
import { checkFiles, orProblem } from './files.js';

/** Where a set of the CIFAR family lies, and whether it is intact. */
export const cifarStorage = (set: CifarSet): DatasetStorage => ({
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
  const read = await orProblem(path, () => readCifarArchive(set, path, origin === 'cache'));
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
  // What is wrong with the files together may be wrong with any of them.
  if ('problem' in whole && whole.path === folder) {
    const problem = `${folder} ${whole.problem}`;
    return checked.map((file) => ({ ...file, verified: undefined, problem }));
  }
  return checked;
}
