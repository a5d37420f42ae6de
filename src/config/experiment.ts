import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { Augmentation } from '../core/dataset.js';
import type { MethodDefinition, NetworkShape } from '../core/methods/method.js';
import { type ArrayData, arraysName } from '../data/arrays/definition.js';
import type { DatasetDefinition } from '../data/definition.js';
import type { ResolvedLayer } from './layers.js';
import type { LoadedPlugin } from './plugins/registry.js';
import type { ExperimentOutput, InitConfig } from './schema.js';

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

/** `init` with the checksum of the model of every seed of the config. */
export type PinnedInit = InitConfig & { readonly sha256: Readonly<Record<string, string>> };

/** A validated experiment: everything that a result depends on, and nothing about where it is written. */
export interface Experiment
  extends Readonly<
    Omit<
      ExperimentOutput,
      '$schema' | 'plugins' | 'dataset' | 'network' | 'init' | 'evaluate' | 'methods'
    >
  > {
  readonly plugins: readonly LoadedPlugin[];
  readonly layers: readonly ResolvedLayer[];
  readonly network: NetworkShape;
  /** The model that every run starts from: `from` is absolute, `sha256` has every seed. */
  readonly init?: PinnedInit;
  readonly dataset: Omit<ExperimentOutput['dataset'], 'augment'> & {
    /** Without what is switched off; absent when nothing is left. */
    readonly augment?: Augmentation;
  };
  /** The data set, which loads `dataset`. */
  readonly data: DatasetDefinition;
  /**
   * Of `dataset: { name: arrays }`: the experiment on arrays in memory. Without files in the config, `network` and
   * `data` are known only then.
   * @throws ConfigError, DataError
   */
  readonly withData?: (data: ArrayData) => Experiment;
  readonly evaluate: Omit<ExperimentOutput['evaluate'], 'flips' | 'predict'> & {
    /** Whether accuracies are measured with mirror images too; absent when not. */
    readonly flips?: true;
    /** How images are classified; by the forward pass when absent. */
    readonly predict?: 'lifted';
  };
  readonly methods: readonly ResolvedMethod[];
  /** The resolved config as plain data, in the order of the schema; config.yaml and the hash are made from it. */
  readonly resolved: Readonly<Record<string, unknown>>;
  /** See {@link experimentHash}. */
  readonly hash: string;
}

/**
 * First 12 hex digits of the SHA-256 of everything that the numbers of an experiment depend on: the
 * resolved config without `name`, `expect` and `tuning`. The order of keys, methods and seeds does not matter,
 * since every (method, seed) is a run of its own. Of plugins and of models to start from the checksums count, not the
 * paths; of files of data their names, since run.json has their SHA-256: the hash is the same wherever they are.
 */
export function experimentHash(resolved: Readonly<Record<string, unknown>>): string {
  const {
    name: _,
    expect: __,
    tuning: ___,
    methods,
    seeds,
    plugins,
    dataset,
    init,
    ...rest
  } = resolved;
  const content = canonical({
    ...rest,
    dataset: withoutFolders(dataset as object),
    init: (init as PinnedInit | undefined)?.sha256,
    plugins: (plugins as { sha256: string }[] | undefined)?.map(({ sha256 }) => sha256).sort(),
    methods: (methods as { label: string }[]).toSorted((a, b) => (a.label < b.label ? -1 : 1)),
    seeds: (seeds as number[]).toSorted((a, b) => a - b),
  });
  return createHash('sha256').update(content).digest('hex').slice(0, 12);
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function withoutFolders(dataset: object): object {
  if (!('name' in dataset) || dataset.name !== arraysName) return dataset;
  const nameOf = (value: unknown): unknown => {
    if (typeof value === 'string') return basename(value);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, nameOf(inner)]));
  };
  return Object.fromEntries(Object.entries(dataset).map(([key, value]) => [key, nameOf(value)]));
}
