import { realpathSync } from 'node:fs';
import type { ExperimentOptions } from '../experiment/run.js';
import type { SweepPlan } from './plan.js';
import type { TrialState } from './state.js';

/** Options of `fln sweep-trial` that launchers pass to every trial. */
export type TrialFlags = Pick<
  ExperimentOptions,
  'device' | 'dataDir' | 'offline' | 'checkpointEvery' | 'keepCheckpoints' | 'model'
>;

export interface LaunchOptions {
  /** Maximum number of trials that run at the same time. */
  readonly jobs?: number;
  /** After the first failure, start no new trial and interrupt the others. */
  readonly failFast?: boolean;
  /** Stop when this many trials failed for the same reason. */
  readonly stopAfter?: number;
  /** GPUs of this machine as in CUDA_VISIBLE_DEVICES; each runs one trial at a time. */
  readonly gpus?: readonly string[];
  /** Trials run on other machines, so this one is not checked. */
  readonly elsewhere?: boolean;
  readonly flags: TrialFlags;
  readonly signal?: AbortSignal;
}

export interface LaunchResult {
  /** Why due trials were not run; undefined when all were. */
  readonly stopped?: 'interrupted' | 'failures' | 'submitted';
}

/** Progress of a sweep. */
export type SweepEvent =
  | { type: 'directory'; path: string }
  /** `trainings`, with search: halving: the largest number that is left, since a trial is trained rung by rung. */
  | { type: 'begun'; due: number; kept: number; trainings?: number }
  | { type: 'trial-started'; id: string; gpu?: string }
  /** Completed share of the trial's batches, in [0, 1]. */
  | { type: 'trial-progress'; id: string; share: number }
  | { type: 'trial-ended'; state: TrialState }
  | { type: 'submitted'; job: string; trials: number }
  | { type: 'warning'; message: string };

/** Runs the due trials of a sweep. */
export type Launcher = (
  plan: SweepPlan,
  options: LaunchOptions,
  emit: (event: SweepEvent) => void,
) => Promise<LaunchResult>;

/** The command that runs a trial; its id is the last argument and has to be added. */
export function trialCommand(directory: string, flags: TrialFlags): string[] {
  const { device, dataDir, offline, checkpointEvery, keepCheckpoints, model } = flags;
  return [
    process.execPath,
    ...process.execArgv,
    // Resolved: npx runs a link in its cache, which npm may delete before a job starts.
    realpathSync(process.argv[1]),
    'sweep-trial',
    ...(device === undefined ? [] : ['--device', device]),
    ...(dataDir === undefined ? [] : ['--data-dir', dataDir]),
    ...(offline ? ['--offline'] : []),
    ...(checkpointEvery === undefined ? [] : ['--checkpoint-every', String(checkpointEvery)]),
    ...(keepCheckpoints ? ['--keep-checkpoints'] : []),
    ...(model === false ? ['--no-model'] : []),
    directory,
  ];
}
