import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { errorName } from './disk.js';

/*
 * System calls that file systems answer differently: network mounts, FUSE and folders shared with
 * another system lack fsync, or refuse for a moment to rename what somebody else has open.
 */

/** What a file system without fsync answers. */
const unsupported = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'ENOTTY']);

/** What a rename may meet while another process, a virus scanner or an indexer has the file open. */
const busy = new Set(['EBUSY', 'ETXTBSY', 'EPERM', 'EACCES', 'EAGAIN']);

/** Milliseconds between the tries of a rename: less than a second in all. */
const pauses = [5, 10, 20, 40, 80, 160, 320];

/** Hears, once per process, of a file system that cannot sync. */
type Listener = (message: string) => void;
const toNode: Listener = (message) => process.emitWarning(message);
let listener = toNode;
let hasWarned = false;

/** Tells `heard` instead of Node's own warnings. @returns what goes back to the listener before */
export function hearDiskWarnings(heard: Listener): () => void {
  const before = listener;
  listener = heard;
  return () => {
    listener = before;
  };
}

/**
 * Waits until the disk has a file. A file system that does not support it is passed over, with a
 * warning.
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

/** What cannot be deleted after a failure is a left-over by its name; the failure is what counts. */
export function removeQuietly(temporary: string): void {
  try {
    rmSync(temporary, { recursive: true, force: true });
  } catch {
    // See above.
  }
}

/** Makes a rename in a folder durable, where the platform can (Windows cannot open a folder). */
export function syncFolder(folder: string): void {
  try {
    const file = openSync(folder, 'r');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch {
    // The data is in place; only its survival of a power cut is less certain.
  }
}

/**
 * Renames, and tries again for up to a second while the file system says that it is busy.
 * @param pause waits for so many milliseconds
 * @throws what the system reports
 */
export function renamePatiently(from: string, to: string, pause = sleepSync): void {
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
