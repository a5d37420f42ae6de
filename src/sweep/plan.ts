import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { checkOutputDirectory } from '../files/folder.js';
import type { RunStatus } from '../runs/run-json.js';
import { openTrials } from './halving/record.js';
import type { Sweep, Trial } from './load.js';
import { type Manifest, manifestOf, readManifest } from './manifest.js';
import { type SweepStatus, statusOf } from './status.js';

export interface SweepPlanOptions {
  /** Sweep directory; default `results/sweeps/NAME` in the current directory. */
  readonly outDir?: string;
  /** Run the queued and interrupted trials. */
  readonly resume?: boolean;
  /** Run the failed trials, or all, again; without `resume`, no others. */
  readonly rerun?: 'failed' | 'all';
}

export interface SweepPlan {
  /** Absolute path. */
  readonly directory: string;
  readonly manifest: Manifest;
  /** The current state. */
  readonly status: SweepStatus;
  /** Trials to run, in the order of the search. */
  readonly due: readonly Trial[];
}

/**
 * Decides which trials to run; writes nothing.
 * @throws UsageError when the directory contains something else, or started trials and neither `resume` nor
 *   `rerun` is given
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
      `${directory} contains the sweep "${earlier.name}", not "${sweep.config.name}"; choose another with --out DIR`,
    );
  }
  const manifest = manifestOf(sweep, earlier);
  const status = statusOf(directory, manifest);
  const states = new Map(status.trials.map(({ trial, state }) => [trial.id, state]));
  const isStarted = [...states.values()].some((state) => state.status !== 'QUEUED');
  if (isStarted && !resume && !rerun) {
    throw new UsageError(
      `${directory} already contains trials of this sweep (${describeCounts(status.counts)}). ` +
        'Add --resume to run the unfinished trials, --rerun failed to run the failed ones again, ' +
        '--rerun all to start over, or --out DIR to write elsewhere',
    );
  }
  const isMixed = status.trials.some(
    ({ trial, state }) => !trial.retired && state.status !== 'QUEUED',
  );
  if (isMixed && rerun !== 'all') refuseOtherSearch(directory, manifest, earlier);
  const isDue = (status: RunStatus) => {
    if (status === 'RUNNING') return false;
    if (rerun === 'all') return true;
    if (status === 'FAILED') return rerun === 'failed';
    return status !== 'COMPLETED' && (resume || !rerun);
  };
  const open = new Set(openTrials(status).map(({ trial }) => trial.id));
  const due = sweep.trials.filter(({ id }) => {
    const { status } = states.get(id) ?? { status: 'QUEUED' };
    if (manifest.halving === undefined || rerun === 'all') return isDue(status);
    // The search continues after the failed trials as well.
    return status === 'FAILED' ? rerun === 'failed' : status !== 'RUNNING' && open.has(id);
  });
  return { directory, manifest, status, due };
}

/** @throws UsageError when results of another kind of search, or of other rungs, would be mixed with those of this one */
function refuseOtherSearch(directory: string, manifest: Manifest, earlier?: Manifest): void {
  const rungsOf = (one: Manifest) => one.halving && rungText(one.halving);
  if (earlier === undefined || rungsOf(earlier) === rungsOf(manifest)) return;
  const describe = ({ search, halving }: Manifest) =>
    halving ? `halving with ${rungText(halving)}` : search;
  throw new UsageError(
    `the trials in ${directory} were started with another search (${describe(earlier)}; now: ${describe(manifest)}). ` +
      'Restore the sweep file, add --rerun all to start over, or --out DIR to write elsewhere',
  );
}

const rungText = ({ eta, epochs }: NonNullable<Manifest['halving']>) =>
  `eta ${eta} and rungs at ${epochs.join(', ')} epochs`;

export const defaultSweepDirectory = (name: string): string => join('results', 'sweeps', name);

/** `3 completed, 1 failed` */
export function describeCounts(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  return parts.map(([status, count]) => `${count} ${status.toLowerCase()}`).join(', ') || 'none';
}
