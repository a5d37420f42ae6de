import { join } from 'node:path';
import { readOptional } from '../files/read-optional.js';
import { type RunStatus, runStatuses } from './run-summary.js';
import { printable } from './text.js';

/** What a report takes from run.json. Every field may be absent: the file may be old or foreign. */
export interface RunInfo {
  readonly name?: string;
  readonly dataset?: string;
  /** e.g. `784-300-10` */
  readonly layers?: string;
  readonly activations?: readonly string[];
  readonly backend?: string;
  readonly runs: readonly RunEntry[];
  /** The whole file, for the provenance section. */
  readonly json: unknown;
}

export interface RunEntry {
  readonly label: string;
  readonly seed: number;
  readonly status: RunStatus;
  readonly error?: string;
  /** ISO 8601, UTC. */
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** What the run was recorded to end with: stays where its metrics.csv is left out. */
  readonly recorded?: RecordedResult;
}

/** Accuracies are shares in [0, 1]. */
export interface RecordedResult {
  readonly batches?: number;
  readonly finalTestAccuracy?: number;
  readonly bestTestAccuracy?: number;
  readonly finalTestLoss?: number;
  readonly finalTrainLoss?: number;
  readonly finalValidationAccuracy?: number;
  readonly finalValidationLoss?: number;
  readonly wallSeconds?: number;
  readonly medianStepMs?: number;
}

/**
 * Reads `run.json` of a run directory; undefined when there is none.
 * @throws Error (plain words, without the path) when the file is unreadable or no JSON object
 */
export function readRunInfo(directory: string): RunInfo | undefined {
  const text = readOptional(join(directory, 'run.json'));
  if (text === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`not valid JSON (${printable((error as Error).message)})`, { cause: error });
  }
  if (!isObject(json)) throw new Error('not a JSON object');
  return parseRunInfo(json);
}

/** Takes what can be used and passes over the rest. */
function parseRunInfo(json: Record<string, unknown>): RunInfo {
  const experiment = object(json.experiment);
  const network = object(experiment.network);
  const backend = object(json.backend);
  const dataset = experiment.dataset ?? json.dataset;
  return {
    name: string(experiment.name),
    dataset: string(dataset) ?? string(object(dataset).name),
    // Records of earlier versions have the widths alone.
    layers:
      string(network.layers) ?? (list(network.widths).filter(isNumber).join('-') || undefined),
    activations: list(network.activations)
      .map(string)
      .filter((name) => name !== undefined),
    backend: string(backend.name),
    runs: list(json.runs).flatMap((entry) => {
      const { label, seed, status, error, startedAt, endedAt, summary } = object(entry);
      const known = runStatuses.find((name) => name === status);
      if (typeof label !== 'string' || !isNumber(seed) || known === undefined) return [];
      const recorded = isObject(summary) ? recordedResult(summary) : undefined;
      const times = { startedAt: string(startedAt), endedAt: string(endedAt) };
      const id = { label: printable(label), seed };
      return [{ ...id, status: known, error: string(error), ...times, recorded }];
    }),
    json,
  };
}

function recordedResult(summary: Record<string, unknown>): RecordedResult {
  const share = (value: unknown) =>
    isNumber(value) && value >= 0 && value <= 1 ? value : undefined;
  const count = (value: unknown) => (isNumber(value) && value >= 0 ? value : undefined);
  return {
    batches: count(summary.batches),
    finalTestAccuracy: share(summary.finalTestAccuracy),
    bestTestAccuracy: share(summary.bestTestAccuracy),
    finalTestLoss: count(summary.finalTestLoss),
    finalTrainLoss: count(summary.finalTrainLoss),
    finalValidationAccuracy: share(summary.finalValidationAccuracy),
    finalValidationLoss: count(summary.finalValidationLoss),
    wallSeconds: count(summary.wallSeconds),
    medianStepMs: count(summary.medianStepMs),
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): value is number => Number.isFinite(value);
const object = (value: unknown) => (isObject(value) ? value : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const string = (value: unknown) => (typeof value === 'string' ? printable(value) : undefined);
