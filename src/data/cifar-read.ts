import { posix } from 'node:path';
import { maxArchiveBytes, readArchive } from './archive.js';
import { CifarCollector, checkRecords, fileBytes, fileNames } from './cifar-records.js';
import { type CifarSet, type FoundFile, recordsFile } from './cifar-set.js';
import { ContentError, type FileContent, wrongContent } from './content.js';
import type { RawDataset } from './definition.js';
import type { DamagedFile } from './file-errors.js';
import { orProblem, readFile } from './files.js';

/**
 * Reads a set from its files, one after the other.
 *
 * @param onFile told of each file that was read
 * @returns the set, or what is wrong with the first bad file, or with the files together (`folder`)
 */
export async function readCifarFiles(
  set: CifarSet,
  folder: string,
  files: readonly FoundFile[],
  onFile: (file: FoundFile, read: FileContent | DamagedFile) => void = () => undefined,
): Promise<RawDataset | DamagedFile> {
  const collector = new CifarCollector(set);
  let bad: DamagedFile | undefined;
  for (const located of files) {
    const { name } = located.file;
    const read = await readFile(recordsFile(set, name), located.path);
    onFile(located, read);
    if ('problem' in read) bad ??= read;
    else collector.add(name, read.content, read.sha256);
  }
  return bad ?? orProblem(folder, () => collector.finish());
}

/**
 * Reads a set from its archive, gzipped or plain.
 *
 * @param official whether it must be the archive that the authors publish, byte for byte
 * @returns also the SHA-256 of the archive as it is stored
 * @throws ContentError whose subject is the archive; `signal.reason` when aborted
 */
export async function readCifarArchive(
  set: CifarSet,
  path: string,
  official: boolean,
  signal?: AbortSignal,
): Promise<{ raw: RawDataset; sha256: string }> {
  const collector = new CifarCollector(set);
  const sha256 = await readArchive(path, {
    maxBytes: maxUnpackedBytes(set),
    wanted: (member) => (fileOf(set, member) === undefined ? undefined : fileBytes(set)),
    onMember: (member) => {
      const name = fileOf(set, member.path)!;
      try {
        checkRecords(member.content, set);
      } catch (error) {
        throw new ContentError(`holds ${name}, which ${(error as Error).message}`);
      }
      collector.add(name, member.content);
    },
    signal,
  });
  const raw = collector.finish();
  if (official && sha256 !== set.archive.sha256) throw wrongContent(sha256, set.archive.sha256);
  return { raw, sha256 };
}

/** The file of the set that a member of the archive is, or undefined. */
function fileOf(set: CifarSet, member: string): string | undefined {
  const { dir, base } = posix.parse(member);
  const inPlace = dir === '' || dir === set.archive.folder;
  return inPlace && fileNames(set).includes(base) ? base : undefined;
}

/** The longest that a copy of the archive can be, gzipped or plain. */
export const maxDownloadBytes = (set: CifarSet): number => maxArchiveBytes(maxUnpackedBytes(set));

/** Beside its files an archive has headers, padding and a few short texts. */
const maxUnpackedBytes = (set: CifarSet) => fileNames(set).length * fileBytes(set) + (1 << 24);
