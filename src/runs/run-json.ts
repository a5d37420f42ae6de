import { join } from 'node:path';
import { z } from 'zod';
import { type BackendReport, devices } from '../backend/backend.js';
import type { Experiment } from '../config/experiment.js';
import { listOfEntries } from '../config/plugins/registry.js';
import type { Dataset, DatasetInfo } from '../core/dataset.js';
import { describeLayers } from '../core/network/shape.js';
import { arraysName } from '../data/arrays/definition.js';
import { UsageError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import { readOptional } from '../files/read.js';
import type { Provenance } from '../shared/provenance.js';
import { printable } from '../shared/text.js';

/** Identifies one training run of an experiment. */
export interface RunId {
  readonly label: string;
  readonly seed: number;
}

/** Status of a run, and of a trial of a sweep. */
export const runStatuses = ['QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'INTERRUPTED'] as const;
export type RunStatus = (typeof runStatuses)[number];

const share = z.number().min(0).max(1);
const nonNegative = z.number().min(0);

const summarySchema = z.object({
  method: z.string(),
  seed: z.number(),
  status: z.enum(runStatuses),
  batches: nonNegative,
  finalTestAccuracy: share.optional(),
  bestTestAccuracy: share.optional(),
  finalTestLoss: nonNegative.optional(),
  finalTrainLoss: nonNegative.optional(),
  finalValidationAccuracy: share.optional(),
  finalValidationLoss: nonNegative.optional(),
  /** By the mean of the outputs for an image and its mirror image: with `evaluate.flips`. */
  finalTestAccuracyFlips: share.optional(),
  finalValidationAccuracyFlips: share.optional(),
  /** Training time alone: evaluation and warm-up excluded, the method's set-up included. */
  wallSeconds: nonNegative,
  medianStepMs: nonNegative.optional(),
  /** Training seconds until the test accuracy first reached each threshold, e.g. `0.95`; absent if it did not. */
  secondsToAccuracy: z.record(z.string(), nonNegative),
  error: z.string().optional(),
  /** The algorithm, where the method's name does not determine it: `preconditioned`, `Algorithm 2`. */
  variant: z.string().optional(),
});

/** One line of summary.csv and summary.json. Accuracies are shares in [0, 1]; times are seconds. */
export type RunSummary = Readonly<z.infer<typeof summarySchema>>;

const pauseSchema = z.object({
  batch: z.number(),
  epoch: z.number(),
  validationAccuracy: share.optional(),
  validationLoss: nonNegative.optional(),
});

/** Where a run stopped on request (`--stop-at-epoch`), and its validation metrics there. */
export type Pause = Readonly<z.infer<typeof pauseSchema>>;

const entrySchema = z.object({
  label: z.string(),
  seed: z.number(),
  status: z.enum(runStatuses),
  startedAt: z.string().optional(),
  /** Batches of the whole run. */
  totalBatches: nonNegative.optional(),
  /** Each time the run resumed from a checkpoint: when, and after which batch. */
  resumed: z
    .array(z.object({ at: z.string(), batch: z.number() }))
    .readonly()
    .optional(),
  endedAt: z.string().optional(),
  error: z.string().optional(),
  /** Of a run that is INTERRUPTED because it was to stop there. */
  paused: pauseSchema.optional(),
  summary: summarySchema.optional(),
});

/** State of one training run in run.json. Times are ISO 8601, UTC. */
export type RunEntry = Readonly<z.infer<typeof entrySchema>>;

/** The content of `run.json` apart from the provenance: experiment, backend, data and the state of the runs. */
const recordSchema = z.object({
  experiment: z.object({
    name: z.string(),
    hash: z.string(),
    dataset: z.string(),
    network: z.object({
      /** e.g. `784-300-10` */
      layers: z.string(),
      widths: z.array(z.number()).readonly(),
      activations: z.array(z.string()).readonly(),
    }),
    /** Shape of own data, so that the config can be read without it. */
    data: z
      .object({
        shape: z.tuple([z.number(), z.number(), z.number()]).readonly(),
        classes: z.number(),
        classNames: z.array(z.string()).readonly().optional(),
        isRegression: z.boolean().optional(),
        trainSize: z.number(),
        testSize: z.number(),
        validationSize: z.number().optional(),
      })
      .optional(),
  }),
  backend: z.object({
    name: z.string(),
    version: z.string(),
    detail: z.string(),
    device: z.enum(devices).optional(),
  }),
  /** SHA-256 of each file of the data set, or of the generated one. */
  dataset: z.object({ name: z.string(), sha256: z.record(z.string(), z.string()).readonly() }),
  /** The models that the runs start from, instead of random weights: SHA-256 of the file, by seed. */
  init: z
    .object({
      from: z.string(),
      seed: z.union([z.literal('same'), z.number()]).optional(),
      label: z.string().optional(),
      sha256: z.record(z.string(), z.string()).readonly(),
    })
    .optional(),
  /** Own code of the experiment: SHA-256 of each file that a plugin consists of, and of the whole. */
  plugins: z
    .array(
      z.object({
        file: z.string(),
        sha256: z.string(),
        files: z.record(z.string(), z.string()).readonly(),
        defines: z.string(),
      }),
    )
    .readonly()
    .optional(),
  /** Where the runs were begun, with fewer epochs (`fln run --extend`). */
  extends: z.object({ directory: z.string(), hash: z.string() }).optional(),
  /** First start of the experiment in this directory. */
  startedAt: z.string(),
  /** End of the last session; absent while it runs. */
  endedAt: z.string().optional(),
  runs: z.array(entrySchema).readonly(),
});

/** Content of run.json. */
export type RunRecord = Provenance & Readonly<z.infer<typeof recordSchema>>;

/** The part of run.json that reports use. Fields may be absent: other programs or versions may have written it. */
export interface RunInfo {
  readonly name?: string;
  readonly dataset?: string;
  /** e.g. `784-300-10` */
  readonly layers?: string;
  readonly activations: readonly string[];
  readonly backend?: string;
  readonly runs: readonly RecordedRun[];
  /** The whole file, for the provenance section. */
  readonly json: unknown;
}

/** A run of run.json. Its summary remains available without metrics.csv. */
export interface RecordedRun extends Omit<RunEntry, 'resumed' | 'summary'> {
  /** The last time that it resumed. */
  readonly resumed?: { readonly at: string; readonly batch: number };
  readonly recorded?: Partial<RunSummary>;
}

const recordPath = (directory: string): string => join(directory, 'run.json');

export function newRecord(
  experiment: Experiment,
  provenance: Provenance,
  { memory: _, ...backend }: BackendReport,
  dataset: Dataset,
): RunRecord {
  const { name, hash, network, data } = experiment;
  return {
    ...provenance,
    experiment: {
      name,
      hash,
      dataset: experiment.dataset.name,
      network: {
        layers: describeLayers(network.layers),
        widths: network.widths,
        activations: network.activations,
      },
      ...(data.name === arraysName && { data: infoOf(data) }),
    },
    backend,
    dataset: { name: dataset.name, sha256: dataset.sha256 },
    ...(experiment.init && { init: experiment.init }),
    ...(experiment.plugins.length > 0 && {
      plugins: experiment.plugins.map((plugin) => ({
        file: plugin.file,
        sha256: plugin.sha256,
        files: plugin.files,
        defines: listOfEntries(plugin),
      })),
    }),
    startedAt: new Date().toISOString(),
    runs: [],
  };
}

function infoOf(data: DatasetInfo): RunRecord['experiment']['data'] {
  const { shape, classes, classNames, isRegression, trainSize, testSize, validationSize } = data;
  return { shape, classes, classNames, isRegression, trainSize, testSize, validationSize };
}

/** @throws DiskError */
export function writeRecord(directory: string, record: RunRecord): void {
  writeFileAtomic(recordPath(directory), `${JSON.stringify(record, null, 2)}\n`);
}

/**
 * The record of a directory to which results will be added.
 * @returns undefined when the directory has no run.json
 * @throws UsageError when there is one that this program did not write
 */
export function readRecord(directory: string): RunRecord | undefined {
  const path = recordPath(directory);
  const text = readOptional(path, { wayOut: 'Choose another --out DIR' });
  if (text === undefined) return undefined;
  try {
    const record = fitting(recordSchema, JSON.parse(text)) as Partial<RunRecord> | undefined;
    if (record?.experiment?.hash !== undefined && record.runs) return record as RunRecord;
  } catch {
    // falls through to the message below
  }
  throw new UsageError(
    `${path} is damaged, or not a run record of this program. Move it away, or choose another --out DIR`,
  );
}

/** The shape of the own data that a run directory was computed from; undefined without such data, or a valid run.json. */
export function recordedData(directory: string): RunRecord['experiment']['data'] {
  try {
    const record = fitting(recordSchema, readRunInfo(directory)?.json) as FittingRecord | undefined;
    return recordSchema.shape.experiment.shape.data.safeParse(record?.experiment?.data).data;
  } catch {
    return undefined;
  }
}

/**
 * Reads the valid parts of the `run.json` of a directory; undefined when there is none.
 * @throws Error (message without the path) when the file is unreadable or not a JSON object
 */
export function readRunInfo(directory: string): RunInfo | undefined {
  const text = readOptional(recordPath(directory));
  if (text === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`not valid JSON (${printable((error as Error).message)})`, { cause: error });
  }
  if (!isObject(json)) throw new Error('not a JSON object');
  const { experiment, dataset, backend, runs = [] } = fitting(recordSchema, json) as FittingRecord;
  const { layers, widths = [], activations = [] } = experiment?.network ?? {};
  return {
    name: shown(experiment?.name),
    dataset: shown(experiment?.dataset ?? dataset?.name),
    // Records of earlier versions have the widths alone.
    layers: shown(layers) ?? (widths.join('-') || undefined),
    activations: activations.map(printable),
    backend: shown(backend?.name),
    runs: runs.map(({ label, seed, status, error, summary, ...entry }) => {
      const { totalBatches, resumed, paused } = entry;
      const [startedAt, endedAt] = [shown(entry.startedAt), shown(entry.endedAt)];
      const times = { startedAt, endedAt, totalBatches, resumed: resumed?.at(-1) };
      return {
        label: printable(label),
        seed,
        status,
        error: shown(error),
        paused,
        ...times,
        recorded: summary,
      };
    }),
    json,
  };
}

const shown = (text: string | undefined) => (text === undefined ? undefined : printable(text));

/** run.json with the fields that are valid. */
interface FittingRecord {
  readonly experiment?: Partial<Omit<RunRecord['experiment'], 'network'>> & {
    readonly network?: Partial<RunRecord['experiment']['network']>;
  };
  readonly dataset?: Partial<RunRecord['dataset']>;
  readonly backend?: Partial<RunRecord['backend']>;
  readonly runs?: readonly (Omit<RunEntry, 'summary'> & {
    readonly summary?: Partial<RunSummary>;
  })[];
}

/**
 * The part of a value that fits a schema: without fields that do not fit, and without list items that lack
 * required fields. Fields that are not in the schema are kept, in their order.
 */
function fitting(schema: z.core.$ZodType, value: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodReadonly) {
    return fitting(schema.unwrap(), value);
  }
  if (schema instanceof z.ZodArray) {
    if (!Array.isArray(value)) return undefined;
    const items = value.map((item) => fitting(schema.element, item));
    return items.filter((item) => item !== undefined && hasRequired(schema.element, item));
  }
  if (schema instanceof z.ZodObject) {
    if (!isObject(value)) return undefined;
    const fields = Object.entries(value).map(([key, field]) => [
      key,
      Object.hasOwn(schema.shape, key) ? fitting(schema.shape[key], field) : field,
    ]);
    return Object.fromEntries(fields.filter(([, field]) => field !== undefined));
  }
  return z.safeParse(schema, value).data;
}

function hasRequired(schema: z.core.$ZodType, item: unknown): boolean {
  if (!(schema instanceof z.ZodObject) || !isObject(item)) return true;
  return Object.entries(schema.shape).every(
    ([key, field]) => field instanceof z.ZodOptional || item[key] !== undefined,
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function sameRun(a: RunId, b: RunId): boolean {
  return a.label === b.label && a.seed === b.seed;
}
