import type { DatasetInfo, LoadOptions, Split } from '../core/dataset.js';

/** One file of a data set, kept gzipped or plain. */
export interface DataFile {
  /** Name of the decompressed file; mirrors and folders may hold it with `.gz` too. */
  readonly name: string;
  /** Paths below the user's folders at which other programs leave the file, tried after `name`. */
  readonly otherNames?: readonly string[];
  /** Decompressed size. */
  readonly bytes: number;
  /** Size of the gzip file on the usual mirrors, where it has some: for display, not checked. */
  readonly downloadBytes?: number;
  /** SHA-256 in hex of the decompressed content, where one is published. */
  readonly sha256?: string;
  /**
   * Looks at the format before the checksum is compared, so that a wrong file is explained rather
   * than only refused.
   * @throws ContentError
   */
  readonly check?: (content: Uint8Array) => void;
}

/** Where one file of a data set lies; no `path` when it is not on this machine. */
export interface LocatedFile {
  readonly file: Omit<DataFile, 'check'>;
  readonly path?: string;
  readonly origin?: Origin;
}

/** Where data files are looked for: the user's folder, then the cache. */
export interface Locations {
  readonly dataDir?: string;
  /** Absent where no place for a cache is known. */
  readonly cacheDir?: string;
}

export type Origin = 'data-dir' | 'cache';

/** A located file after reading it; neither `problem` nor `verified` when it is not there. */
export interface CheckedFile extends LocatedFile {
  /** What is wrong: a sentence without its full stop. */
  readonly problem?: string;
  /** What the content that was found agrees with. */
  readonly verified?: 'checksum' | 'format';
  /** SHA-256 of the content that was found. */
  readonly sha256?: string;
}

/** How a data set lies in files. */
export interface DatasetStorage {
  /**
   * The files that a load would read, or would need, found without reading them.
   * @returns `problem`: a sentence on why a load would refuse them as they lie
   */
  readonly locate: (
    locations: Locations,
  ) => Promise<{ files: readonly LocatedFile[]; problem?: string }>;
  /** The same files, read. */
  readonly check: (locations: Locations) => Promise<readonly CheckedFile[]>;
}

/** How many of the first rows of each split the caller will use. */
export interface RowCounts {
  readonly train: number;
  readonly test: number;
}

/** A data set's own splits, before limits and preprocessing. */
export interface RawDataset {
  /** At least the rows asked for. */
  readonly train: Split;
  readonly test: Split;
  readonly sha256: Readonly<Record<string, string>>;
}

/** Where the files of a data set may be had. */
export interface DatasetPlaces {
  /** Of the data set: also the folder of its downloads in the cache. */
  readonly name: string;
  /** Folders below the user's data folder, in the order they are searched; `.` is that folder itself. */
  readonly folders: readonly string[];
  /** Folders that other programs make there, searched before `.`. */
  readonly otherFolders?: readonly string[];
  /** Another form of the set that is not read: its names below those folders, and what to say of it. */
  readonly unread?: { readonly names: readonly string[]; readonly message: string };
  /** Base URLs, each ending in a slash, in the order they are tried; a file's name is appended. */
  readonly mirrors: readonly string[];
  /** Environment variable with comma-separated base URLs that replace `mirrors`. */
  readonly mirrorsVariable?: string;
}

/** One line of the data-set registry. */
export interface DatasetDefinition extends DatasetInfo, DatasetPlaces {
  /** Absent for a generated data set. */
  readonly storage?: DatasetStorage;
  /**
   * @throws DataError when files are absent, unreachable or damaged
   */
  readonly load: (rows: RowCounts, options: LoadOptions) => Promise<RawDataset>;
}
