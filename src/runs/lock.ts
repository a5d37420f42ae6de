import { join } from 'node:path';
import { RunError } from '../errors.js';
import { guardDisk } from '../files/disk.js';
import { explainHeld, type FileLock, type HeldLock, lockOfOther, takeLock } from '../files/lock.js';

/** Name of the lock file in a run directory; what is beside it begins with it. */
export const lockName = 'lock';

/**
 * Takes the lock of a run directory, so that two processes never write into one. A lock that a dead
 * process left is taken over.
 * @throws RunError when another process holds it, DiskError when the disk refuses
 */
export function lockDirectory(directory: string): FileLock {
  const path = join(directory, lockName);
  return guardDisk(path, () => takeLock(path, (lock) => refusal(directory, lock)));
}

/** @throws RunError when a living process, other than this one, holds the lock of a run directory */
export function refuseIfLocked(directory: string, mayWrite: boolean): void {
  const lock = lockOfOther(join(directory, lockName), mayWrite);
  if (lock !== undefined) throw refusal(directory, lock);
}

const refusal = (directory: string, lock: HeldLock): RunError =>
  new RunError(
    explainHeld(
      lock,
      `is writing into ${directory}`,
      'Wait for it, or write elsewhere with --out DIR',
    ),
  );
