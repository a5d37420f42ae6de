import { existsSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { epochRows, stepsOf } from '../core/batches.js';
import { methodVariant } from '../core/methods/registry.js';
import { FlnError, RunError } from '../errors.js';
import { DiskError } from '../files/disk.js';
import { LostLockError } from '../files/lock.js';
import { type Metrics, readMetrics } from '../runs/metrics.js';
import { folderOf, metricsPath } from '../runs/run-directory.js';
import type { RunDirectoryWriter } from '../runs/run-directory-writer.js';
import type { RunEntry, RunId, RunStatus, RunSummary } from '../runs/run-json.js';
import { summarise } from '../runs/summary.js';
import { runName } from '../shared/text.js';
import { Checkpoints } from './checkpoint/checkpoints.js';
import { type TrainingJob, train } from './train.js';

/** The backend cannot be used any more in this process. */
export class BackendFailure extends RunError {
  override name = 'BackendFailure';
}

/**
 * Trains one run and keeps its entry in run.json up to date.
 * @returns FAILED when this run alone failed: the reason is in its entry and was emitted
 * @throws DiskError, LostLockError and BackendFailure, after which no other run can be trained; other
 *   errors are bugs
 */
export async function superviseRun(
  job: Omit<TrainingJob, 'openMetrics' | 'openLayers' | 'checkpoints'>,
  directory: RunDirectoryWriter,
): Promise<RunStatus> {
  const { run, emit, resumeFrom } = job;
  const checkpoints = new Checkpoints(folderOf(directory.path, run));
  const totalBatches = stepsOf(job.method, epochRows(job.dataset, job.dataset.train.count));
  const begun = directory.begin(run, totalBatches, resumeFrom?.position.batch);
  const openMetrics = (columns: readonly string[]) =>
    directory.openMetrics(run, columns, resumeFrom?.position.metrics);
  const openLayers = () => directory.openLayers(run, resumeFrom?.position.layers);
  const end = (status: RunStatus, { error, paused }: Pick<RunEntry, 'error' | 'paused'> = {}) => {
    const endedAt = new Date().toISOString();
    const summary = summaryOf(directory, job, status, error);
    directory.update({ ...begun, status, endedAt, error, paused, summary });
    return summary;
  };

  const tensorsBefore = tf.memory().numTensors;
  try {
    const { status, paused } = await train({ ...job, openMetrics, openLayers, checkpoints });
    const summary = end(status, { paused });
    if (status === 'COMPLETED' && !job.checkpointing.keep) checkpoints.remove();
    if (status === 'COMPLETED') emit({ type: 'run-finished', run, summary });
    else if (paused) emit({ type: 'run-paused', run, ...paused });
    else emit({ type: 'run-interrupted', run, batch: summary.batches });
    warnOfLeaks(job, tf.memory().numTensors - tensorsBefore);
    return status;
  } catch (thrown) {
    // Another process has taken over the run's entry.
    if (thrown instanceof LostLockError) throw thrown;
    const error = asBackendFailure(thrown);
    const message = error instanceof Error ? error.message : String(error);
    try {
      end('FAILED', { error: message });
    } catch (second) {
      // A disk error of metrics.csv recurs with run.json: the first message is enough.
      if (!(error instanceof DiskError)) throw second;
    }
    const isolated = error instanceof FlnError && !(error instanceof DiskError);
    if (!isolated || error instanceof BackendFailure) throw error;
    emit({ type: 'run-failed', run, message });
    return 'FAILED';
  }
}

function summaryOf(
  directory: RunDirectoryWriter,
  { run, method }: Pick<TrainingJob, 'run' | 'method'>,
  status: RunStatus,
  error?: string,
): RunSummary {
  const metrics = directory.metrics(run) ?? earlierMetrics(directory, run);
  return {
    ...summarise({ ...metrics, method: run.label, seed: run.seed }, status, error),
    variant: methodVariant(method.config),
  };
}

/** Metrics of an earlier session, for a run that failed before it wrote a row. */
function earlierMetrics(
  { path }: RunDirectoryWriter,
  run: RunId,
): Pick<Metrics, 'rows' | 'columns'> {
  const file = metricsPath(path, run);
  return existsSync(file) ? readMetrics(file).metrics : { rows: 0, columns: {} };
}

function warnOfLeaks({ run, emit }: Pick<TrainingJob, 'run' | 'emit'>, tensors: number): void {
  if (tensors === 0) return;
  emit({
    type: 'warning',
    message: `${runName(run)}: ${tensors} tensors leaked; this is a bug, please report it`,
  });
}

/** A WebAssembly trap, nearly always for lack of memory, leaves the backend in an unknown state. */
function asBackendFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error.name !== 'RuntimeError') return error;
  return new BackendFailure(
    `the backend broke down (${error.message}), most likely because it ran out of memory. ` +
      'Try a smaller batchSize or network. Completed runs are kept: continue with --resume',
    { cause: error },
  );
}
