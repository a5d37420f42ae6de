import type { Device } from '../backend/backend.js';
import type { DatasetRequest } from '../core/dataset.js';
import type { MethodDefinition, NetworkShape } from '../core/methods/method.js';
import type { LossName } from '../core/network/names.js';
import type { ResolvedLayer } from './layers.js';

/** One entry of `methods`, validated and with every default filled in. */
export interface ResolvedMethod {
  readonly label: string;
  readonly definition: MethodDefinition;
  /** Output of `definition.schema`: every field present. */
  readonly config: Readonly<Record<string, unknown>> & { readonly name: string };
  /** Its own, or the experiment's. */
  readonly epochs: number;
  readonly batchSize: number | 'full';
}

/** What the CI gate checks for one label. */
export interface Expectation {
  readonly paper?: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** A validated experiment: everything a result depends on, nothing about where it is written. */
export interface Experiment {
  readonly name: string;
  readonly dataset: DatasetRequest;
  readonly layers: readonly ResolvedLayer[];
  readonly network: NetworkShape;
  readonly loss: LossName;
  /** Of the methods that have no number of their own. */
  readonly epochs: number;
  /** Rows per step, of the methods that have no size of their own; `full` takes the whole training split in one step. */
  readonly batchSize: number | 'full';
  readonly seeds: readonly number[];
  readonly evaluate: {
    /** Test metrics every so many batches, plus the first and the last. */
    readonly every: number;
    /** `last` and `never` keep the test set untouched while settings are tuned. */
    readonly test: 'every' | 'last' | 'never';
    /** How images are classified; absent: by the forward pass. */
    readonly predict?: 'lifted';
    /** Penalty weight of lifted prediction, there with it alone. */
    readonly lambda?: number;
  };
  readonly backend: string;
  /** What the backend has to compute on; absent: what it finds. */
  readonly device?: Device;
  readonly methods: readonly ResolvedMethod[];
  readonly expect: Readonly<Record<string, Expectation>>;
  /** The resolved config as plain data, in the order of the schema: config.yaml and the hash are made of it. */
  readonly resolved: Readonly<Record<string, unknown>>;
  /** First 12 hex digits of the SHA-256 of everything the numbers depend on (not name, expect or labels' order in figures). */
  readonly hash: string;
}
