import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { loadExperiment } from '../config/load.js';
import { FlnError, RunError, UsageError } from '../errors.js';
import type { ExperimentEvent } from '../experiment/events.js';
import { type ExperimentResult, runExperiment } from '../experiment/run.js';
import { makeFolder } from '../files/folder.js';
import { explainHeld, LostLockError, takeLock } from '../files/lock.js';
import type { RunSummary } from '../runs/run-json.js';
import { average } from '../shared/statistics.js';
import type { TrialFlags } from './launcher.js';
import { trialId } from './manifest.js';
import { refuseLinksIn, sweepPaths } from './paths.js';
import { type MethodResult, readState, type TrialState, writeState } from './state.js';

export interface TrialOptions extends TrialFlags {
  readonly signal?: AbortSignal;
  /** The Slurm job that this process belongs to. */
  readonly job?: TrialState['job'];
  /** Exit code of this process after an interruption. */
  readonly interruptedCode: () => number;
}

/**
 * Runs or resumes one trial of a sweep, up to the target in its state file where that has one, and updates the file. Launchers start each trial in its own
 * process, which calls this.
 * @throws UsageError when the sweep has no such trial, RunError when another process runs it; what
 *   `runExperiment` throws, after it is recorded in the state
 */
export async function runTrial(
  directory: string,
  id: string,
  options: TrialOptions,
  emit: (event: ExperimentEvent) => void,
): Promise<ExperimentResult['status']> {
  const paths = sweepPaths(directory);
  if (!trialId.test(id) || !existsSync(paths.config(id))) {
    throw new UsageError(
      `${directory} has no trial "${id}"; the ids are the names of the files in ${join(directory, 'configs')}`,
    );
  }
  refuseLinksIn(directory, [id]);
  makeFolder(dirname(paths.state(id)));
  const lock = takeLock(
    paths.trialLock(id),
    (held) => new RunError(explainHeld(held, `is running trial ${id}`, 'Wait for it')),
  );
  try {
    const before = readState(directory, id);
    if (before.status === 'COMPLETED') return 'completed';
    const { experiment } = loadExperiment(paths.config(id));
    if (experiment.hash !== id) {
      throw new UsageError(
        `${paths.config(id)} was changed: its hash is ${experiment.hash}. Start the sweep again to restore it`,
      );
    }
    const { job } = options;
    const running: TrialState = {
      id,
      status: 'RUNNING',
      attempts: before.attempts + 1,
      pid: process.pid,
      host: hostname(),
      startedAt: new Date().toISOString(),
      job,
      target: before.target,
      rungs: before.rungs,
    };
    writeState(directory, running);
    const end = (rest: Partial<TrialState>) =>
      writeState(directory, { ...running, endedAt: new Date().toISOString(), ...rest });
    try {
      const result = await runExperiment(
        experiment,
        {
          ...options,
          outDir: paths.trial(id),
          resume: true,
          rerun: 'failed',
          stopAtEpoch: before.target,
        },
        emit,
      );
      end(endOf(result, running, options.interruptedCode));
      return result.status;
    } catch (error) {
      // The process that took over the lock writes the state.
      if (error instanceof LostLockError) throw error;
      const [exitCode, text] =
        error instanceof FlnError ? [error.exitCode, error.message] : [1, String(error)];
      end({ status: 'FAILED', exitCode, error: text });
      throw error;
    }
  } finally {
    lock.release();
  }
}

function endOf(
  { status, runs }: ExperimentResult,
  { target, rungs, job }: TrialState,
  interruptedCode: () => number,
): Partial<TrialState> {
  // A result at the target; one for the same epoch is of an earlier attempt.
  const reached = (results: MethodResult[]) =>
    target && {
      rungs: [
        ...(rungs ?? []).filter(({ epoch }) => epoch < target),
        { epoch: target, results, job },
      ],
    };
  switch (status) {
    case 'interrupted':
      return { status: 'INTERRUPTED', exitCode: interruptedCode() };
    case 'paused':
      return { status: 'INTERRUPTED', exitCode: 0, ...reached(resultsOf(runs)) };
    case 'completed': {
      const results = resultsOf(runs);
      return { status: 'COMPLETED', exitCode: 0, results, ...reached(results) };
    }
    case 'failed': {
      const failed = runs.find((run) => run.status === 'FAILED');
      const error = failed?.error ?? 'a run failed';
      return { status: 'FAILED', exitCode: 1, error, results: resultsOf(runs) };
    }
  }
}

/** Means over the seeds of each method that completed or are paused. */
function resultsOf(runs: ExperimentResult['runs']): MethodResult[] {
  const completed = runs.flatMap(({ status, summary, paused }) => {
    if (status === 'COMPLETED' && summary) return [summary];
    if (!paused || !summary) return [];
    const { validationAccuracy, validationLoss } = paused;
    // The last evaluation in metrics.csv may be of an earlier batch.
    return [
      {
        ...summary,
        finalValidationAccuracy: validationAccuracy,
        finalValidationLoss: validationLoss,
        finalTestAccuracy: undefined,
        finalTestLoss: undefined,
      },
    ];
  });
  const methods = [...new Set(completed.map(({ method }) => method))];
  return methods.map((method) => {
    const own = completed.filter((summary) => summary.method === method);
    const mean = (value: (summary: RunSummary) => number | undefined) => {
      const values = own.map(value).filter((number) => number !== undefined);
      return values.length < own.length ? undefined : average(values);
    };
    return {
      method,
      seeds: own.length,
      validation_accuracy: mean((summary) => summary.finalValidationAccuracy),
      validation_loss: mean((summary) => summary.finalValidationLoss),
      test_accuracy: mean((summary) => summary.finalTestAccuracy),
      test_loss: mean((summary) => summary.finalTestLoss),
      train_loss: mean((summary) => summary.finalTrainLoss),
      wall_s: mean((summary) => summary.wallSeconds),
    };
  });
}
