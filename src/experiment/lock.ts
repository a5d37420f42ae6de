import { join } from 'node:path';
import { RunError } from '../errors.js';
import { guardDisk } from '../files/disk.js';
import {
  describeHolder,
  type FileLock,
  type Holder,
  otherHolder,
  takeLock,
} from '../files/lock.js';

/** Name of the lock file in a run directory. */
export const lockName = 'lock';

/**
 * Takes the lock of a run directory, so that two processes never write into one. A lock left by a
 * process of this machine that has died is taken over.
 * @throws RunError when another process holds it, DiskError when the disk refuses
 */
export function lockDirectory(directory: string): FileLock {
  const path = join(directory, lockName);
  return guardDisk(path, () => takeLock(path, (holder) => refusal(directory, path, holder)));
}

/** @throws RunError when a living process, other than this one, holds the lock of a run directory */
export function refuseIfLocked(directory: string): void {
  const path = join(directory, lockName);
  const holder = otherHolder(path);
  if (holder !== undefined) throw refusal(directory, path, holder);
}

/** What to say when another process found this one dead, and writes where it did. */
export function lostLock(directory: string): RunError {
  return new RunError(
    `another process took over ${directory}, because this one gave no sign of life for minutes. ` +
      'It stops here and leaves the directory to the other; what it had written is kept',
  );
}

function refusal(directory: string, path: string, other: Holder | 'unreadable'): RunError {
  return new RunError(
    `${describeHolder(other)} is writing into ${directory}. Wait for it, or write elsewhere with --out DIR. ` +
      `If you are sure that it is no longer running, delete ${path}`,
  );
}
