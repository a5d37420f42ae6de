import { appendFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../files/atomic.js';
import { guardDisk } from '../files/disk.js';
import { makeFolder } from '../files/folder.js';
import { refuseIfLost } from '../files/lock.js';
import { readText } from '../files/read.js';
import { runStatuses } from '../runs/run-json.js';
import { sweepPaths } from './paths.js';

/** Final values of one method of a trial, means over its seeds. Accuracies are shares in [0, 1]. */
const MethodResult = z.object({
  method: z.string(),
  seeds: z.number(),
  validation_accuracy: z.number().optional(),
  validation_loss: z.number().optional(),
  test_accuracy: z.number().optional(),
  test_loss: z.number().optional(),
  train_loss: z.number().optional(),
  wall_s: z.number().optional(),
});
export type MethodResult = z.infer<typeof MethodResult>;

const Job = z.object({ id: z.string(), task: z.string() });

const State = z.object({
  id: z.string(),
  status: z.enum(runStatuses),
  /** Number of times it was started. */
  attempts: z.int().nonnegative(),
  pid: z.int().optional(),
  host: z.string().optional(),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  exitCode: z.int().optional(),
  error: z.string().optional(),
  /** Its Slurm job. */
  job: Job.optional(),
  results: z.array(MethodResult).optional(),
  /** With search: halving, the epoch up to which it is to be trained. */
  target: z.int().positive().optional(),
  /** Its results at the epochs up to which it has been trained, the first rung first. */
  rungs: z
    .array(z.object({ epoch: z.int(), results: z.array(MethodResult), job: Job.optional() }))
    .optional(),
});

/** states/ID.json: the state of a trial, written by the process that runs it. */
export type TrialState = Readonly<z.infer<typeof State>>;

/** Whether a trial has been trained up to its target and not yet been given a later one. */
export const isPaused = ({ status, target, rungs }: TrialState): boolean =>
  status === 'INTERRUPTED' && target !== undefined && rungs?.at(-1)?.epoch === target;

/** QUEUED where there is no readable state file. */
export function readState(directory: string, id: string): TrialState {
  try {
    const parsed = State.safeParse(JSON.parse(readText(sweepPaths(directory).state(id))));
    if (parsed.success) return parsed.data;
  } catch {
    // Absent or damaged: running the trial again is safe.
  }
  return { id, status: 'QUEUED', attempts: 0 };
}

/** Replaces the state of a trial and appends the change to history.ndjson. @throws DiskError, LostLockError */
export function writeState(directory: string, state: TrialState): void {
  const path = sweepPaths(directory).state(state.id);
  makeFolder(dirname(path));
  writeFileAtomic(path, `${JSON.stringify(state, null, 1)}\n`);
  const { id, status, attempts, error } = state;
  const line = JSON.stringify({ at: new Date().toISOString(), id, status, attempts, error });
  const { history } = sweepPaths(directory);
  // A single short append does not interleave with those of other processes.
  refuseIfLost(path);
  refuseIfLost(history);
  guardDisk(history, () => appendFileSync(history, `${line}\n`));
}
