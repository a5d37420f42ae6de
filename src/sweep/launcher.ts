import { realpathSync } from 'node:fs';
import type { Device } from '../backend/backend.js';
import type { SweepPlan } from './plan.js';
import type { TrialState } from './state.js';

/** Options of `fln sweep-trial` that a launcher hands on to every trial. */
export interface TrialFlags {
  /** What to compute on, where the experiment leaves that open. */
  readonly device?: Device;
  readonly dataDir?: string;
  readonly offline?: boolean;
  readonly checkpointEvery?: number;
  readonly keepCheckpoints?: boolean;
}

export interface LaunchOptions {
  /** Trials at a time. */
  readonly jobs?: number;
  /** Let no new trial start once one has failed, and interrupt the others. */
  readonly failFast?: boolean;
  /** Stop when this many trials failed for the same reason. */
  readonly stopAfter?: number;
  /** GPUs of this machine, one for each trial at a time, as CUDA_VISIBLE_DEVICES names them. */
  readonly gpus?: readonly string[];
  /** Trials run on other machines, which may have what this one has not. */
  readonly elsewhere?: boolean;
  readonly flags: TrialFlags;
  readonly signal?: AbortSignal;
}

export interface LaunchResult {
  /** Why trials were left that are due; undefined when none were. */
  readonly stopped?: 'interrupted' | 'failures' | 'submitted';
}

/** What a sweep tells whoever listens; it never prints. */
export type SweepEvent =
  | { type: 'directory'; path: string }
  | { type: 'begun'; due: number; kept: number }
  | { type: 'trial-started'; id: string; gpu?: string }
  /** Share of the trial's batches that are done, in [0, 1]. */
  | { type: 'trial-progress'; id: string; share: number }
  | { type: 'trial-ended'; state: TrialState }
  | { type: 'submitted'; job: string; trials: number }
  | { type: 'warning'; message: string };

/** Starts the trials of a sweep that are due. */
export type Launcher = (
  plan: SweepPlan,
  options: LaunchOptions,
  emit: (event: SweepEvent) => void,
) => Promise<LaunchResult>;

/** The command that runs a trial in a process of its own, once the trial's id is added. */
export function trialCommand(directory: string, flags: TrialFlags): string[] {
  const { device, dataDir, offline, checkpointEvery, keepCheckpoints } = flags;
  return [
    process.execPath,
    ...process.execArgv,
    // The program itself: npx starts it by a link in a cache, which npm may empty before a job begins.
    realpathSync(process.argv[1]),
    'sweep-trial',
    ...(device === undefined ? [] : ['--device', device]),
    ...(dataDir === undefined ? [] : ['--data-dir', dataDir]),
    ...(offline ? ['--offline'] : []),
    ...(checkpointEvery === undefined ? [] : ['--checkpoint-every', String(checkpointEvery)]),
    ...(keepCheckpoints ? ['--keep-checkpoints'] : []),
    directory,
  ];
}
