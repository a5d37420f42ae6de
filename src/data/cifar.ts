import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { type FileContent, unequalClass, wrongContent } from './content.js';
import { ContentError } from './content-error.js';
import type { DataFile, DatasetPlaces, LocatedFile, RawDataset } from './definition.js';
import type { DamagedFile } from './file-errors.js';
import { orDamaged, readFile } from './files.js';
import { maxArchiveBytes, readArchive } from './tar.js';

/**
 * The "binary version" of CIFAR-10 and CIFAR-100: files of records, each one label byte (CIFAR-100: two) and
 * then the pixels of a square image, row by row, first all of the red plane, then green, then blue.
 * Source: A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html
 */
interface CifarLayout {
  /** Height and width of an image. */
  readonly side: number;
  /** The label bytes of a record, in order: what messages call them, and their number of classes. */
  readonly labels: readonly { readonly name: string; readonly classes: number }[];
  /** Index in `labels` of the label that is the class of an image. */
  readonly label: number;
  /** Records of each training file and of each test file. */
  readonly recordsPerFile: { readonly train: number; readonly test: number };
  /** Names of the files, in the order of their rows in the split. */
  readonly trainFiles: readonly string[];
  readonly testFiles: readonly string[];
}

/** The layout of a data set in CIFAR's format, and where its files are found. */
export interface CifarSet extends DatasetPlaces, CifarLayout {
  /** The set in this format that may be taken for this one: its files, by name, and their sizes. */
  readonly relative?: { readonly what: string; readonly files: Readonly<Record<string, number>> };
  /**
   * The names of the files are such that other programs use them too: in the data folder itself, only the
   * archive is searched.
   */
  readonly commonNames?: boolean;
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

export type FoundFile = LocatedFile & { readonly path: string };

const channels = 3;

export const fileNames = ({ trainFiles, testFiles }: CifarLayout): string[] => [
  ...trainFiles,
  ...testFiles,
];

const recordBytes = ({ side, labels }: CifarLayout): number =>
  labels.length + channels * side * side;

const recordsOf = ({ trainFiles, recordsPerFile }: CifarLayout, name: string): number =>
  trainFiles.includes(name) ? recordsPerFile.train : recordsPerFile.test;

export const fileBytes = (layout: CifarLayout, name: string): number =>
  recordsOf(layout, name) * recordBytes(layout);

/** Size of all files together. */
export const setBytes = (layout: CifarLayout): number =>
  fileNames(layout).reduce((sum, name) => sum + fileBytes(layout, name), 0);

/** @throws ContentError when a file has another size, or a label out of range */
function checkRecords(content: Uint8Array, layout: CifarLayout, name: string): void {
  const bytes = fileBytes(layout, name);
  if (content.length !== bytes) {
    throw new ContentError(
      `is ${content.length} bytes long, expected ${recordsOf(layout, name)} records of ${recordBytes(layout)} = ${bytes} bytes`,
    );
  }
  for (let record = 0, at = 0; at < bytes; record++, at += recordBytes(layout)) {
    for (const [i, { name, classes }] of layout.labels.entries()) {
      if (content[at + i] < classes) continue;
      throw new ContentError(
        `has ${name} ${content[at + i]} in record ${record} (from 0); ${name}s run from 0 to ${classes - 1}`,
      );
    }
  }
}

/** One file of records; none has a published SHA-256. */
export const recordsFile = (set: CifarSet, name: string): DataFile => ({
  name,
  bytes: fileBytes(set, name),
  otherSizes: set.relative && otherSizes(set.relative),
  check: (content) => checkRecords(content, set, name),
});

const otherSizes = ({ what, files }: NonNullable<CifarSet['relative']>) =>
  new Map(Object.values(files).map((bytes) => [bytes, `a file of ${what}`]));

/** Assembles the files of one set, added in any order, and checks the complete set. */
class CifarCollector {
  readonly #layout: CifarLayout;
  readonly #train: MutableSplit;
  readonly #test: MutableSplit;
  readonly #sha256 = new Map<string, string>();

  constructor(layout: CifarLayout) {
    this.#layout = layout;
    const { trainFiles, testFiles, recordsPerFile } = layout;
    this.#train = emptySplit(layout, trainFiles.length * recordsPerFile.train);
    this.#test = emptySplit(layout, testFiles.length * recordsPerFile.test);
  }

  /**
   * @param content checked by `checkRecords`; not kept
   * @param sha256 of the content, if already computed
   * @throws ContentError when this file was added before
   */
  add(name: string, content: Uint8Array, sha256?: string): void {
    const { trainFiles, testFiles, recordsPerFile } = this.#layout;
    if (this.#sha256.has(name)) throw new ContentError(`contains ${name} twice`);
    this.#sha256.set(name, sha256 ?? createHash('sha256').update(content).digest('hex'));
    const file = trainFiles.indexOf(name);
    if (file >= 0) unpack(content, this.#layout, this.#train, file * recordsPerFile.train);
    else unpack(content, this.#layout, this.#test, testFiles.indexOf(name) * recordsPerFile.test);
  }

  get isEmpty(): boolean {
    return this.#sha256.size === 0;
  }

  /**
   * @returns both splits, channels last, and the SHA-256 of each file
   * @throws ContentError when files are missing, two are the same, or class counts are unequal
   */
  finish(): RawDataset {
    const names = fileNames(this.#layout);
    const missing = names.filter((name) => !this.#sha256.has(name));
    if (missing.length > 0) throw new ContentError(`does not contain ${missing.join(', ')}`);
    const digests = names.map((name) => this.#sha256.get(name)!);
    const second = digests.findIndex((digest, i) => digests.indexOf(digest) < i);
    if (second >= 0) {
      const first = digests.indexOf(digests[second]);
      throw new ContentError(`has the same content in ${names[first]} and ${names[second]}`);
    }
    const { classes } = this.#layout.labels[this.#layout.label];
    checkClassCounts(this.#train.labels, classes, 'training');
    checkClassCounts(this.#test.labels, classes, 'test');
    const sha256 = Object.fromEntries(names.map((name, i) => [name, digests[i]]));
    return { train: this.#train, test: this.#test, sha256 };
  }
}

interface MutableSplit {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  readonly count: number;
}

function emptySplit({ side }: CifarLayout, count: number): MutableSplit {
  const features = channels * side * side;
  return { images: new Uint8Array(count * features), labels: new Uint8Array(count), count };
}

/** Writes a file's records from row `row` on, and turns colour planes into channels-last pixels. */
function unpack(content: Uint8Array, layout: CifarLayout, split: MutableSplit, row: number): void {
  const { images, labels } = split;
  const pixels = layout.labels.length;
  const plane = layout.side * layout.side;
  const record = recordBytes(layout);
  let to = row * channels * plane;
  for (let from = 0; from < content.length; from += record, row++) {
    labels[row] = content[from + layout.label];
    const end = from + pixels + plane;
    for (let red = from + pixels; red < end; red++) {
      images[to++] = content[red];
      images[to++] = content[red + plane];
      images[to++] = content[red + 2 * plane];
    }
  }
}

/** Every class of CIFAR has equally many images in each split: detects a file of another set. */
function checkClassCounts(labels: Uint8Array, classes: number, split: string): void {
  const found = unequalClass(labels, classes, `${split} images`);
  if (found) throw new ContentError(`has ${found}: its files do not form one complete set`);
}

/**
 * Reads a set from its record files, one after the other.
 *
 * @param onFile called after each file
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
    const read = await readFile(recordsFile(set, name), located.path, false);
    onFile(located, read);
    if ('problem' in read) bad ??= read;
    else collector.add(name, read.content, read.sha256);
  }
  return bad ?? orDamaged(folder, () => collector.finish());
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
  let relative: string | undefined;
  const sha256 = await readArchive(path, {
    maxBytes: maxUnpackedBytes(set),
    wanted: (member) => {
      const name = fileOf(set, member);
      if (name !== undefined) return fileBytes(set, name);
      if (posix.basename(member) in (set.relative?.files ?? {})) relative = set.relative?.what;
      return undefined;
    },
    onMember: (member) => {
      const name = fileOf(set, member.path)!;
      try {
        checkRecords(member.content, set, name);
      } catch (error) {
        throw new ContentError(`contains ${name}, which ${(error as Error).message}`);
      }
      collector.add(name, member.content);
    },
    signal,
  });
  if (relative !== undefined && collector.isEmpty) {
    throw new ContentError(`is an archive of ${relative}`);
  }
  const raw = collector.finish();
  if (official && sha256 !== set.archive.sha256) throw wrongContent(sha256, set.archive.sha256);
  return { raw, sha256 };
}

/** The name of the record file at a path of the archive; undefined for other files. */
function fileOf(set: CifarSet, member: string): string | undefined {
  const { dir, base } = posix.parse(member);
  const inPlace = dir === '' || dir === set.archive.folder;
  return inPlace && fileNames(set).includes(base) ? base : undefined;
}

/** Upper bound on the size of the archive, gzipped or plain. */
export const maxDownloadBytes = (set: CifarSet): number => maxArchiveBytes(maxUnpackedBytes(set));

/** An archive also contains headers, padding and a few short text files. */
const maxUnpackedBytes = (set: CifarSet) => setBytes(set) + (1 << 24);
