import type { DatasetInfo, LoadOptions, Split } from './dataset.js';

/** One file of a data set, kept gzipped or plain. */
export interface DataFile {
  /** Name of the decompressed file; mirrors and folders may hold it with `.gz` too. */
  readonly name: string;
  /** Decompressed size. */
  readonly bytes: number;
  /** Size of the gzip file on the usual mirrors: for display, not checked. */
  readonly downloadBytes: number;
  /** SHA-256 of the decompressed content, in hex. */
  readonly sha256: string;
  /**
   * Looks at the format before the checksum is compared, so that a wrong file is explained rather
   * than only refused.
   * @throws ContentError
   */
  readonly check?: (content: Uint8Array) => void;
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

/** One line of the data-set registry. */
export interface DatasetDefinition extends DatasetInfo {
  /** Empty for a generated data set. */
  readonly files: readonly DataFile[];
  /** Base URLs, each ending in a slash, in the order they are tried; `NAME.gz` is appended. */
  readonly mirrors: readonly string[];
  /** Environment variable with comma-separated base URLs that replace `mirrors`. */
  readonly mirrorsVariable?: string;
  /**
   * @throws DataError when files are absent, unreachable or damaged
   */
  readonly load: (rows: RowCounts, options: LoadOptions) => Promise<RawDataset>;
}
