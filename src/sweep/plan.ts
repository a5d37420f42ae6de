import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { checkOutputDirectory } from '../files/folder.js';
import type { RunStatus } from '../runs/run-json.js';
import type { Sweep, Trial } from './load.js';
import { type Manifest, manifestOf, readManifest } from './manifest.js';
import { countsOf, type SweepStatus, statusOf } from './status.js';

export interface SweepPlanOptions {
  /** Sweep directory; default `results/sweeps/NAME` in the current directory. */
  readonly outDir?: string;
  /** Go on with what did not end: queued and interrupted trials. */
  readonly resume?: boolean;
  /** Run the failed trials again, or all; without `resume`, no others. */
  readonly rerun?: 'failed' | 'all';
}

export interface SweepPlan {
  /** Absolute path. */
  readonly directory: string;
  readonly manifest: Manifest;
  /** As the directory tells it now. */
  readonly status: SweepStatus;
  /** Trials to run, in the order of the search. */
  readonly due: readonly Trial[];
}

/**
 * Decides which trials would run; writes nothing.
 * @throws UsageError when the directory holds something else, or trials that began when neither
 *   resume nor rerun is asked for
 */
export function planSweep(sweep: Sweep, options: SweepPlanOptions = {}): SweepPlan {
  const { resume, rerun } = options;
  const directory = resolve(options.outDir ?? defaultSweepDirectory(sweep.config.name));
  checkOutputDirectory(directory, 'sweep directory');
  if (existsSync(join(directory, 'run.json'))) {
    throw new UsageError(
      `${directory} is the run directory of an experiment; choose another sweep directory with --out DIR`,
    );
  }
  const earlier = readManifest(directory);
  if (earlier && earlier.name !== sweep.config.name) {
    throw new UsageError(
      `${directory} holds the sweep "${earlier.name}", and this one is "${sweep.config.name}"; choose another with --out DIR`,
    );
  }
  const manifest = manifestOf(sweep, earlier);
  const status = statusOf(directory, manifest);
  const states = new Map(status.trials.map(({ trial, state }) => [trial.id, state]));
  const begun = [...states.values()].some((state) => state.status !== 'QUEUED');
  if (begun && !resume && !rerun) {
    throw new UsageError(
      `${directory} already holds trials of this sweep (${describeCounts(countsOf(status.trials))}). ` +
        'Add --resume to run the trials that have not ended, --rerun failed to run the failed ones again, ' +
        '--rerun all to start over, or --out DIR to write elsewhere',
    );
  }
  const isDue = (status: RunStatus) => {
    if (status === 'RUNNING') return false;
    if (rerun === 'all') return true;
    if (status === 'FAILED') return rerun === 'failed';
    return status !== 'COMPLETED' && (resume || !rerun);
  };
  const due = sweep.trials.filter(({ id }) => isDue(states.get(id)?.status ?? 'QUEUED'));
  return { directory, manifest, status, due };
}

export const defaultSweepDirectory = (name: string): string => join('results', 'sweeps', name);

/** `3 completed, 1 failed` */
export function describeCounts(counts: Readonly<Record<RunStatus, number>>): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  return parts.map(([status, count]) => `${count} ${status.toLowerCase()}`).join(', ') || 'none';
}
