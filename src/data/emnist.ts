import type { FileHandle } from 'node:fs/promises';
import { posix } from 'node:path';
import type { LoadOptions, Split } from '../core/dataset.js';
import { unzip, type ZipEntry, zipEntries } from './arrays/zip.js';
import {
  contentOf,
  type FileContent,
  hashOf,
  maxStoredBytes,
  refuseNonData,
  unequalClass,
  withFile,
  wrongContent,
} from './content.js';
import { ContentError } from './content-error.js';
import type { DataFile, DatasetDefinition, DatasetPlaces, RawDataset } from './definition.js';
import { expectCount, otherNames } from './idx.js';
import { parseIdxImages, parseIdxLabels } from './idx-format.js';

/** One of the six data sets of EMNIST: four IDX files, which all sets have in one ZIP archive. */
export interface EmnistFacts
  extends DatasetPlaces,
    Pick<DatasetDefinition, 'title' | 'classes' | 'classNames' | 'trainSize' | 'testSize'> {
  /** Height and width of an image. */
  readonly side: number;
  /** The label of the first class in the files. */
  readonly firstLabel: number;
  /** In each split every class has equally many images. */
  readonly equalClasses: boolean;
  /** Start of the names of its files, such as `emnist-letters`. */
  readonly prefix: string;
  readonly archive: {
    /** Name on mirrors and in the cache. */
    readonly name: string;
    /** Names in the user's folders. */
    readonly userNames: readonly string[];
    readonly bytes: number;
    readonly sha256: string;
  };
}

export interface EmnistSet extends EmnistFacts {
  readonly files: readonly DataFile[];
}

/** Training images and labels, test images and labels. */
export function filesOf(facts: EmnistFacts): DataFile[] {
  const { side, classes, firstLabel, equalClasses, trainSize, testSize, prefix } = facts;
  return [['train', trainSize] as const, ['test', testSize] as const].flatMap(
    ([split, size]): DataFile[] => {
      const [images, labels] = ['images-idx3-ubyte', 'labels-idx1-ubyte'].map(
        (kind) => `${prefix}-${split}-${kind}`,
      );
      return [
        {
          name: images,
          otherNames: otherNames(images),
          bytes: 16 + size * side * side,
          check: (content) =>
            expectCount(parseIdxImages(content, side, side).count, size, 'images'),
        },
        {
          name: labels,
          otherNames: otherNames(labels),
          bytes: 8 + size,
          check: (content) => {
            const found = parseIdxLabels(content, classes, firstLabel);
            expectCount(found.length, size, 'labels');
            const unequal = equalClasses && unequalClass(found, classes, 'labels');
            if (unequal) throw new ContentError(`has ${unequal}`);
          },
        },
      ];
    },
  );
}

/** The end of an archive that holds its directory, of a few dozen entries. */
const directoryBytes = 1 << 20;
/** Most bytes of an entry's header: its fixed part, its name and its extra field. */
const headerBytes = 30 + 2 * 0xffff;

/**
 * Reads the files of one set from the archive, which is never in memory as a whole.
 *
 * @param official whether it must be the published archive, byte for byte
 * @returns the content of each of `set.files`, and the SHA-256 of the archive
 * @throws ContentError whose subject is the archive; `signal.reason` when aborted
 */
export async function readEmnistArchive(
  set: EmnistSet,
  path: string,
  official: boolean,
  { signal }: Pick<LoadOptions, 'signal'>,
): Promise<{ contents: FileContent[]; sha256: string }> {
  // A copy that was packed again may be somewhat longer.
  return withFile(path, set.archive.bytes * 2, async (handle) => {
    refuseNonData(await readAt(handle, 0, 256));
    const { size } = await handle.stat();
    const start = Math.max(0, size - directoryBytes);
    const entries = zipEntries(await readAt(handle, start, size - start), start);
    const contents: FileContent[] = [];
    for (const file of set.files) {
      signal?.throwIfAborted();
      const entry = entries.find(({ name }) => {
        const base = posix.basename(name);
        return base === file.name || base === `${file.name}.gz`;
      });
      if (entry === undefined) throw new ContentError(`does not contain ${file.name}.gz`);
      contents.push(await readEntry(handle, entry, file));
    }
    const sha256 = await hashOf(handle, signal);
    if (official && sha256 !== set.archive.sha256) throw wrongContent(sha256, set.archive.sha256);
    return { contents, sha256 };
  });
}

async function readEntry(
  handle: FileHandle,
  entry: ZipEntry,
  file: DataFile,
): Promise<FileContent> {
  const most = maxStoredBytes(file);
  try {
    if (Math.max(entry.bytes, entry.storedBytes) > most) {
      throw new ContentError(`has ${entry.bytes} bytes, more than any copy of the expected file`);
    }
    const bytes = await readAt(handle, entry.offset, headerBytes + entry.storedBytes);
    return await contentOf(unzip(bytes, { ...entry, offset: 0 }), file);
  } catch (error) {
    if (!(error instanceof ContentError)) throw error;
    throw new ContentError(`contains ${entry.name}, which ${error.message}`);
  }
}

/** Up to `length` bytes from `position` on; fewer at the end of the file. */
async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { size } = await handle.stat();
  const buffer = Buffer.alloc(Math.max(0, Math.min(length, size - position)));
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
  return buffer.subarray(0, bytesRead);
}

/** The splits, from the contents of `set.files`. */
export function assemble(set: EmnistSet, contents: readonly FileContent[]): RawDataset {
  const split = (first: number): Split => {
    const { count, images } = parseIdxImages(contents[first].content, set.side, set.side);
    transpose(images, set.side);
    const labels = parseIdxLabels(contents[first + 1].content, set.classes, set.firstLabel);
    return { images, labels, count };
  };
  const sha256 = Object.fromEntries(set.files.map(({ name }, i) => [name, contents[i].sha256]));
  return { train: split(0), test: split(2), sha256 };
}

/** EMNIST stores its images column by column; turned in place into rows. */
function transpose(images: Uint8Array, side: number): void {
  for (let start = 0; start < images.length; start += side * side) {
    for (let row = 1; row < side; row++) {
      for (let column = 0; column < row; column++) {
        const a = start + row * side + column;
        const b = start + column * side + row;
        const value = images[a];
        images[a] = images[b];
        images[b] = value;
      }
    }
  }
}
