import { join } from 'node:path';
import type { BackendReport } from '../backend/backend.js';
import type { Experiment } from '../config/experiment.js';
import type { Dataset } from '../core/dataset.js';
import { describeLayers } from '../core/network/shape.js';
import { UsageError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import { readOptional } from '../files/read-optional.js';
import type { RunStatus, RunSummary } from '../report/run-summary.js';
import type { Provenance } from '../shared/provenance.js';
import type { RunId } from './events.js';

/** State of one training run in run.json. Times are ISO 8601, UTC. */
export interface RunEntry extends RunId {
  readonly status: RunStatus;
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** Each time the run went on from a checkpoint: when, and after which batch. */
  readonly resumed?: readonly { readonly at: string; readonly batch: number }[];
  readonly error?: string;
  readonly summary?: RunSummary;
}

/** Content of run.json: where the numbers of a run directory come from, and how far they are. */
export interface RunRecord extends Provenance {
  readonly experiment: {
    readonly name: string;
    readonly hash: string;
    readonly dataset: string;
    readonly network: {
      /** e.g. `784-300-10` */
      readonly layers: string;
      readonly widths: readonly number[];
      readonly activations: readonly string[];
    };
  };
  readonly backend: Omit<BackendReport, 'room'>;
  /** SHA-256 of each file of the data set, or of the generated one. */
  readonly dataset: { readonly name: string; readonly sha256: Readonly<Record<string, string>> };
  /** First start of the experiment in this directory, and end of the last session (absent while it runs). */
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly runs: readonly RunEntry[];
}

const recordName = 'run.json';

export function newRecord(
  experiment: Experiment,
  provenance: Provenance,
  { room: _, ...backend }: BackendReport,
  dataset: Dataset,
): RunRecord {
  const { name, hash, network } = experiment;
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
    },
    backend,
    dataset: { name: dataset.name, sha256: dataset.sha256 },
    startedAt: new Date().toISOString(),
    runs: [],
  };
}

/** @throws DiskError */
export function writeRecord(directory: string, record: RunRecord): void {
  writeFileAtomic(join(directory, recordName), `${JSON.stringify(record, null, 2)}\n`);
}

/**
 * @returns undefined when the directory has no run.json
 * @throws UsageError when there is one that this program did not write
 */
export function readRecord(directory: string): RunRecord | undefined {
  const path = join(directory, recordName);
  const text = readOptional(path, { wayOut: 'Choose another --out DIR' });
  if (text === undefined) return undefined;
  try {
    const record: RunRecord = JSON.parse(text);
    if (typeof record.experiment.hash === 'string' && Array.isArray(record.runs)) return record;
  } catch {
    // falls through to the message below
  }
  throw new UsageError(
    `${path} is damaged, or no run record of this program. Move it away, or choose another --out DIR`,
  );
}

export function sameRun(a: RunId, b: RunId): boolean {
  return a.label === b.label && a.seed === b.seed;
}
