import type { DatasetInfo, LoadOptions, Split } from '../core/dataset.js';

/** One file of a data set, kept gzipped or plain. */
export interface DataFile {
  /** Name of the decompressed file; mirrors and folders may hold it with `.gz` too. */
  readonly name: string;
  /** Paths below the user's folders where other programs store the file, tried after `name`. */
  readonly otherNames?: readonly string[];
  /** Decompressed size. */
  readonly bytes: number;
  /** Size of the file on the mirrors: for display, not checked. */
  readonly downloadBytes?: number;
  /** How mirrors hold it: `NAME.gz`, the default, or `NAME`. */
  readonly mirrored?: 'gzip' | 'plain';
  /** SHA-256 in hex of the decompressed content, where one is published. */
  readonly sha256?: string;
  /** SHA-256 in hex of the file as mirrors hold it, where only that one is published. */
  readonly downloadSha256?: string;
  /** Files of the same name in other data sets: SHA-256 of the decompressed content -> data set. */
  readonly namesakes?: ReadonlyMap<string, string>;
  /** Sizes of files that are sometimes put in the place of this one -> what they are: `a file of SET`. */
  readonly otherSizes?: ReadonlyMap<number, string>;
  /**
   * Checks the format before the checksum, so that the error says what is wrong with the file.
   * @throws ContentError
   */
  readonly check?: (content: Uint8Array) => void | Promise<void>;
}

/** Where one file of a data set was found; without `path` when it is not on this machine. */
export interface LocatedFile {
  readonly file: Omit<DataFile, 'check'>;
  readonly path?: string;
  readonly origin?: Origin;
}

/** Where data files are searched for: the user's folder, then the cache. */
export interface Locations {
  readonly dataDir?: string;
  /** Absent where the user has no cache folder. */
  readonly cacheDir?: string;
}

export type Origin = 'data-dir' | 'cache';

/** A located file after reading it; without `problem` and `verified` when it is missing. */
export interface CheckedFile extends LocatedFile {
  /** What is wrong: a sentence without its full stop. */
  readonly problem?: string;
  /** What the content was verified against. */
  readonly verified?: 'checksum' | 'format';
  /** SHA-256 of the content found. */
  readonly sha256?: string;
}

/** How a data set is stored in files. */
export interface DatasetStorage {
  /**
   * Finds the files that a load needs, without reading them.
   * @returns `problem`: a sentence on why a load would refuse them as they are
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
  /** A validation split of its own. */
  readonly validation?: Split;
  readonly test: Split;
  /** Names of the features of a CSV file. */
  readonly columns?: readonly string[];
  readonly sha256: Readonly<Record<string, string>>;
}

/** Where the files of a data set are searched for and downloaded from. */
export interface DatasetPlaces {
  readonly name: string;
  /** Folder of the downloads in the cache, if it is not `name`: sets may share a download. */
  readonly cacheFolder?: string;
  /** Folders below the user's data folder, in the order they are searched; `.` is that folder itself. */
  readonly folders: readonly string[];
  /** Folders that other programs create there, searched before `.`. */
  readonly otherFolders?: readonly string[];
  /** Another format of the set that is not supported: its names below those folders, and the message. */
  readonly unsupported?: { readonly names: readonly string[]; readonly message: string };
  /** Base URLs, each ending in a slash, in the order they are tried; a file's name is appended. */
  readonly mirrors: readonly string[];
  /** Environment variable with comma-separated base URLs that replace `mirrors`. */
  readonly mirrorsVariable?: string;
}

/** One entry of the data-set registry. */
export interface DatasetDefinition extends DatasetInfo, DatasetPlaces {
  /** Absent for a generated data set. */
  readonly storage?: DatasetStorage;
  /**
   * @throws DataError when files are absent, unreachable or damaged
   */
  readonly load: (rows: RowCounts, options: LoadOptions) => Promise<RawDataset>;
}
