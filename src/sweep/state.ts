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

const State = z.object({
  id: z.string(),
  status: z.enum(runStatuses),
  /** Processes that ran it so far. */
  attempts: z.int().nonnegative(),
  pid: z.int().optional(),
  host: z.string().optional(),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  exitCode: z.int().optional(),
  error: z.string().optional(),
  /** The job that runs it, where a scheduler does. */
  job: z.object({ id: z.string(), task: z.string() }).optional(),
  results: z.array(MethodResult).optional(),
});

/** states/ID.json: what became of a trial, written by the process that runs it. */
export type TrialState = Readonly<z.infer<typeof State>>;

/** A trial without a readable state has not begun. */
export function readState(directory: string, id: string): TrialState {
  try {
    const parsed = State.safeParse(JSON.parse(readText(sweepPaths(directory).state(id))));
    if (parsed.success) return parsed.data;
  } catch {
    // Absent, or damaged by what no process of ours does: running it again is safe.
  }
  return { id, status: 'QUEUED', attempts: 0 };
}

/** Replaces the state of a trial, and adds the change to history.ndjson. @throws DiskError, LostLockError */
export function writeState(directory: string, state: TrialState): void {
  const path = sweepPaths(directory).state(state.id);
  makeFolder(dirname(path));
  writeFileAtomic(path, `${JSON.stringify(state, null, 1)}\n`);
  const { id, status, attempts, error } = state;
  const line = JSON.stringify({ at: new Date().toISOString(), id, status, attempts, error });
  const { history } = sweepPaths(directory);
  // One short write at the end of a file is not mixed with those of other processes.
  refuseIfLost(path);
  refuseIfLost(history);
  guardDisk(history, () => appendFileSync(history, `${line}\n`));
}
