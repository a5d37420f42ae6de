/**
 * Labelled images as the data-set files hold them.
 *
 * Pixels stay 8-bit on the host: a shuffled mini-batch is copied row by row and scaled while it is
 * copied (see batches.ts), which is two orders of magnitude faster than slicing a large tensor.
 */
export interface Split {
  /** [count, height * width * channels], row-major, channels last: 8-bit pixels, or numbers after preprocessing. */
  readonly images: Uint8Array | Float32Array;
  /** [count], class indices; empty in a regression. */
  readonly labels: Uint8Array | Uint32Array;
  /** [count, classes], row-major: the targets of a regression. */
  readonly targets?: Float32Array;
  readonly count: number;
}

/** The splits of a data set. */
export const splits = ['test', 'validation', 'train'] as const;
export type SplitName = (typeof splits)[number];

export interface Dataset {
  readonly name: string;
  /** [height, width, channels] */
  readonly shape: readonly [number, number, number];
  /** Outputs of the network: classes, or targets of a regression. */
  readonly classes: number;
  /** Names of the features of a CSV file, in order. */
  readonly columns?: readonly string[];
  readonly train: Split;
  /** Present when the config holds out a validation split; never part of `train`. */
  readonly validation?: Split;
  readonly test: Split;
  /** Of the source files, for run.json: file name (or `generated`) -> SHA-256. */
  readonly sha256: Readonly<Record<string, string>>;
  /**
   * Value of each of the 256 pixel levels after preprocessing: [channels][256], or [1][256] for all channels. Empty
   * where the images are no 8-bit pixels.
   */
  readonly levels: readonly Float32Array[];
  /** The numbers of the preprocessing, per channel. */
  readonly scaling: readonly ChannelScaling[];
  /** What each class is called; absent: its number. */
  readonly classNames?: readonly string[];
  /** How the training images of a batch are changed. */
  readonly augment?: Augmentation;
  /** Continually changing data: each epoch is a task of its own. */
  readonly stream?: Stream;
}

/** Preprocessing of a channel: the value of pixel level p in 0..255, or of a number p, is (p - mean) / std. */
export interface ChannelScaling {
  readonly mean: number;
  readonly std: number;
}

/** The value of each of the 256 pixel levels, per channel: [channels][256], or [1][256] for many equal ones. */
export function pixelLevels(scaling: readonly ChannelScaling[]): Float32Array[] {
  const [first] = scaling;
  // Flat features have one channel each, often all with the same scaling.
  const isShared =
    scaling.length > 4 &&
    scaling.every(({ mean, std }) => mean === first.mean && std === first.std);
  return (isShared ? [first] : scaling).map(({ mean, std }) =>
    Float32Array.from({ length: 256 }, (_, p) => (p - mean) / std),
  );
}

/** Random changes of the training images of a batch: the block `dataset.augment` of a config. */
export interface Augmentation {
  /**
   * Mirrors left and right. `alternating`: a pseudo-random half of the images in even epochs (from 0), the
   * other half in odd ones, so that each image is seen alternately (K. Jordan, "94% on CIFAR-10 in 3.29
   * Seconds on a Single GPU", arXiv:2404.00498). `random`: each image with probability 1/2 in each epoch.
   */
  readonly flip?: 'alternating' | 'random';
  /** Shifts by an integer in [-N, N] pixels in both directions; the border is reflected, without repeating its pixels. */
  readonly translate?: number;
  /** Sets a square of side N with a random centre to 0, after preprocessing; it is clipped at the border. */
  readonly cutout?: number;
}

/** Continually changing data, in which each epoch is a task: the block `dataset.stream` of a config. */
export interface Stream {
  /** Training images of a task, drawn anew for each and seen once; all of them when absent. */
  readonly taskSize?: number;
  /** What differs between tasks. `pixels`: all images of a task have their pixels permuted in the same way. */
  readonly permute: 'pixels';
}

export type Preprocessing = 'scale' | 'standardize' | 'none';

/** Properties of a data set that are known before it is loaded: enough to check a config. */
export interface DatasetInfo {
  readonly name: string;
  readonly title: string;
  readonly shape: readonly [number, number, number];
  readonly classes: number;
  /** What each class is called; absent: its number. */
  readonly classNames?: readonly string[];
  /** Whether the outputs are numbers rather than classes. */
  readonly isRegression?: boolean;
  readonly trainSize: number;
  readonly testSize: number;
  /** Of a validation split of its own. */
  readonly validationSize?: number;
  /** The images show characters, whose mirror images are others or none. */
  readonly hasCharacters?: boolean;
}

export interface LoadOptions {
  /** The user's folder of data files: searched before the cache, never written to. */
  readonly dataDir?: string;
  /** Folder of verified downloads. */
  readonly cacheDir?: string;
  /** No network access. */
  readonly offline?: boolean;
  /** Throw a `DownloadNeeded` instead of downloading, and write nothing. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  /** Progress of downloads, in bytes. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Called for problems that do not stop the load, e.g. a damaged file of the cache that is fetched again. */
  readonly onWarning?: (message: string) => void;
  /** Base URLs that replace the data set's own mirrors. */
  readonly mirrors?: readonly string[];
  /** Time limits and retries of downloads; see `data/http.ts` for the defaults. */
  readonly network?: Partial<NetworkSettings>;
}

export interface NetworkSettings {
  /** Until the response's headers have arrived. */
  readonly connectMs: number;
  /** Between two pieces of the body. */
  readonly idleMs: number;
  /** For one whole request; a large file gets more by default. */
  readonly totalMs: number;
  /** Most requests to one mirror for one file; only failures that may be temporary are retried. */
  readonly attempts: number;
  /** Wait before the second request; doubles before each further one. */
  readonly backoffMs: number;
  readonly redirects: number;
}

export interface DownloadProgress {
  readonly file: string;
  readonly url: string;
  readonly received: number;
  /** undefined when the server sends no length. */
  readonly total?: number;
}

/** The `dataset` block of a config. */
export interface DatasetRequest {
  readonly name: string;
  /** Use only the first `limit` training images (before the validation split is taken). */
  readonly limit?: number;
  /** Use only the first `testLimit` test images. */
  readonly testLimit?: number;
  /** Hold out this many training images as a validation split: the last ones; of `arrays`, a fixed random choice. */
  readonly validation?: number | ArraySource;
  readonly preprocessing: Preprocessing;
  /** Of the training images, in batches alone. */
  readonly augment?: Augmentation;
  readonly stream?: Stream;
  /** The following are of the data set `arrays` alone. */
  readonly train?: ArraySource;
  /** A number is the share of the training rows to hold out. */
  readonly test?: number | ArraySource;
  readonly channels?: 'first' | 'last';
}

/**
 * Where the rows of one split of the user's own data are. A text is a `.npz` file or a folder of images. Paths of a config
 * are relative to its file.
 */
export type ArraySource =
  | string
  /** Arrays of one NumPy archive, by name; found by their usual names when absent. */
  | { readonly npz: string; readonly x?: string; readonly y?: string }
  /** A pair of `.npy` or IDX files. */
  | { readonly x: string; readonly y?: string }
  /** A table with a header. `label` is the column of classes, `target` that of a regression. */
  | { readonly csv: string; readonly label?: string; readonly target?: string }
  /** A folder of PNG images, in one folder for each class. */
  | { readonly images: string };
