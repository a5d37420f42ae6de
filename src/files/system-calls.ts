import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { errorName } from './disk.js';

/*
 * System calls on which file systems differ: network mounts, FUSE and folders shared with another
 * system may lack fsync, or refuse for a moment to rename a file that somebody else has open.
 */

/** Errors of a file system without fsync. */
const unsupported = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'ENOTTY']);

/** Errors of a rename while another process, a virus scanner or an indexer has the file open. */
const busy = new Set(['EBUSY', 'ETXTBSY', 'EPERM', 'EACCES', 'EAGAIN']);

/** ms between the attempts of a rename: less than a second in all. */
const pauses = [5, 10, 20, 40, 80, 160, 320];

/** Told once per process of a file system that cannot sync. */
type Listener = (message: string) => void;
let listener: Listener = (message) => process.emitWarning(message);
let hasWarned = false;

/** Sends warnings to `receive` instead of Node's own. @returns restores the listener before */
export function onDiskWarning(receive: Listener): () => void {
  const before = listener;
  listener = receive;
  return () => {
    listener = before;
  };
}

/**
 * Waits until a file is on the disk; on a file system that cannot sync, warns instead.
 * @throws what the system reports
 */
export function syncFile(file: number): void {
  try {
    fsyncSync(file);
  } catch (error) {
    passUnsupportedSync(error);
  }
}

/** @throws the error, unless it says that the file system does not support fsync */
export function passUnsupportedSync(error: unknown): void {
  const name = errorName(error);
  if (name === undefined || !unsupported.has(name)) throw error;
  if (hasWarned) return;
  hasWarned = true;
  listener(
    `the file system does not support fsync (${name}): results are written, but the last of them ` +
      'may be lost when the machine loses power',
  );
}

/** Ignores failures: the name of what stays marks it as a left-over, and the error that led here counts. */
export function removeQuietly(temporary: string): void {
  try {
    rmSync(temporary, { recursive: true, force: true });
  } catch {
    // As said above.
  }
}

/** Makes a rename in a folder durable, where the platform supports it (Windows cannot open a folder). */
export function syncFolder(folder: string): void {
  try {
    const file = openSync(folder, 'r');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch {
    // The data is in place; it is only less certain to survive a power cut.
  }
}

/**
 * Renames, and retries for up to a second while the file system says that the file is busy.
 * @param pause waits for that many milliseconds
 * @throws what the system reports
 */
export function renameWithRetry(from: string, to: string, pause = sleepSync): void {
  for (const wait of pauses) {
    try {
      renameSync(from, to);
      return;
    } catch (error) {
      if (!busy.has(errorName(error) ?? '')) throw error;
      pause(wait);
    }
  }
  renameSync(from, to);
}

function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
