import type { LayerMetrics, WatchedUpdate } from '../core/methods/method.js';

/**
 * What the page, its worker and the command that writes the page share: an experiment, the fields to change it by, and
 * the messages between page and worker.
 */

/** Data sets that the page can train on: generated ones, and MNIST from files that are dropped onto it. */
export const playgroundDatasets = ['synthetic-digits', 'mnist'] as const;

/** Images that they have, as under `fln run`. */
export const datasetSizes = {
  'synthetic-digits': { train: 10_000, test: 2000 },
  mnist: { train: 60_000, test: 10_000 },
} as const;

/** Of a layer: preconditioners have the square of it as entries, and a page has little memory and patience. */
export const mostUnits = 2000;

/** An entry of `methods`, as a config has it. */
export type MethodEntry = Readonly<Record<string, unknown>> & {
  readonly name: string;
  readonly label?: string;
  readonly solver?: string;
};

/** An experiment as its file has it: `fln run` accepts it, and the page trains it with one seed. */
export interface PlaygroundExperiment {
  readonly name: string;
  readonly dataset: {
    readonly name: (typeof playgroundDatasets)[number];
    readonly limit: number;
    readonly testLimit: number;
  };
  readonly network: { readonly layers: readonly DenseLayer[] };
  readonly loss: string;
  readonly epochs: number;
  readonly batchSize: number;
  readonly seeds: readonly [number];
  readonly evaluate: { readonly every: number };
  readonly backend: 'wasm';
  readonly methods: readonly MethodEntry[];
}

export interface DenseLayer {
  readonly dense: number;
  /** Of every layer but the last. */
  readonly activation?: string;
}

/** A field of the config, as a control of the page shows it. */
export interface Field {
  /** In the block that it belongs to: `targetStep`, `noise.read`. */
  readonly path: string;
  readonly description: string;
  readonly kind: 'number' | 'choice' | 'toggle';
  /** Limits that the config has. */
  readonly min?: number;
  readonly max?: number;
  readonly isInteger?: boolean;
  /** A number that cannot be deleted: the config has no default. */
  readonly isRequired?: boolean;
  /** Ends of the slider, inside the limits. */
  readonly slider?: {
    readonly from: number;
    readonly to: number;
    readonly scale: 'linear' | 'log';
  };
  readonly options?: readonly string[];
  readonly default?: unknown;
  /** Shown at once, rather than under "more fields". */
  readonly isMain: boolean;
}

/** A method that can be chosen. */
export interface MethodForm {
  readonly name: string;
  readonly solver?: string;
  readonly summary: string;
  /** Fields that a newly chosen method starts with. */
  readonly start: Readonly<Record<string, unknown>>;
  readonly fields: readonly Field[];
}

/** What the page is written with. */
export interface PageData {
  readonly experiment: PlaygroundExperiment;
  readonly methods: readonly MethodForm[];
  readonly experimentFields: Readonly<Record<string, Field>>;
  readonly activations: readonly string[];
  /** Of the curves; their colours are in the style sheet. */
  readonly dashes: readonly (readonly number[])[];
}

/** A file that was dropped onto the page. */
export interface DroppedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export type ToWorker =
  /** The backend's binaries, with SIMD and without. */
  | { readonly type: 'start'; readonly wasm: Readonly<Record<'simd' | 'plain', Uint8Array>> }
  /** `number` numbers the runs: what the worker says of earlier ones is ignored. */
  | {
      readonly type: 'configure';
      readonly experiment: PlaygroundExperiment;
      readonly number: number;
    }
  | { readonly type: 'go' | 'pause' | 'batch' | 'block' }
  /** The method whose layers are looked at, by its label. */
  | { readonly type: 'look'; readonly label: string }
  | { readonly type: 'files'; readonly files: readonly DroppedFile[] }
  /** An image [784] of 8-bit grey to classify. */
  | { readonly type: 'classify'; readonly pixels: Uint8Array };

/** One batch of one method; losses and accuracies as in metrics.csv. */
export interface BatchRow {
  readonly label: string;
  readonly batch: number;
  readonly seconds: number;
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  readonly testLoss?: number;
  readonly testAccuracy?: number;
}

/** Pictures of the layers of one method after one batch. */
export interface Insight {
  readonly label: string;
  readonly batch: number;
  /** First-layer weights of the first units, [units][784]. */
  readonly filters: readonly Float32Array[];
  /** Inputs and hidden activations of a few test images, layer by layer: [images][units]. */
  readonly activations: readonly (readonly Float32Array[])[];
  readonly histograms: readonly Histogram[];
}

export const signalNames = ['back-propagation', 'one-sided', 'two-sided'] as const;
export type SignalName = (typeof signalNames)[number];

/** Pre-activations of a hidden layer, and the step of the X-update from them. */
export interface Histogram {
  readonly low: number;
  readonly high: number;
  /** Share of the pre-activations in each bin. */
  readonly counts: readonly number[];
  /** Root mean square of r over each bin, of methods that take one step per block; NaN where there are no pre-activations. */
  readonly steps?: readonly number[];
  /** Slope of each rule's signal g in r over each bin, sum g r / sum r^2: phi' where r is small. */
  readonly slopes?: Readonly<Record<SignalName, readonly number[]>>;
}

/** A block of Algorithm 2. */
export type Block = Pick<WatchedUpdate, 'block' | 'layer'>;

/** A method that is trained. */
export interface TrainedMethod {
  readonly label: string;
  readonly totalBatches: number;
  /** The blocks of one alternation of Algorithm 2 in turn, and the alternations of a batch; none of other methods. */
  readonly blocks: readonly Block[];
  readonly alternations: number;
}

export type FromWorker =
  | { readonly type: 'ready' }
  | {
      readonly type: 'configured';
      readonly number: number;
      readonly runs: readonly TrainedMethod[];
    }
  | { readonly type: 'refused'; readonly number: number; readonly problems: readonly string[] }
  | {
      readonly type: 'rows';
      readonly number: number;
      readonly rows: readonly BatchRow[];
      /** Tensors that the worker holds. */
      readonly tensors: number;
    }
  | {
      readonly type: 'layers';
      readonly number: number;
      readonly label: string;
      readonly batch: number;
      readonly layers: readonly LayerMetrics[];
    }
  | { readonly type: 'insight'; readonly number: number; readonly insight: Insight }
  /** Paused after a block update. */
  | {
      readonly type: 'block';
      readonly number: number;
      readonly label: string;
      /** Which of `blocks`, and in which alternation; both from 0. */
      readonly line: number;
      readonly alternation: number;
      readonly update: WatchedUpdate;
    }
  | { readonly type: 'ended'; readonly number: number }
  | {
      readonly type: 'failed';
      readonly number: number;
      readonly label: string;
      readonly message: string;
    }
  | {
      readonly type: 'data';
      readonly message: string;
      readonly limit: number;
      readonly testLimit: number;
    }
  | { readonly type: 'refused-files'; readonly message: string }
  | {
      readonly type: 'classified';
      readonly label: string;
      /** Probabilities of the classes, or the outputs of a network trained with squared error. */
      readonly outputs: readonly number[];
      readonly hidden: readonly Float32Array[];
    }
  /** A mistake of the program, which ends the worker. */
  | { readonly type: 'broken'; readonly message: string };
