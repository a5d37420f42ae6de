import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { diskError, errorName, guardDisk } from './disk.js';
import { refuseIfLost } from './lock.js';
import { removeQuietly, renameWithRetry, syncFile, syncFolder } from './system-calls.js';

/**
 * Replaces a file atomically: readers see the old content or the new, never a part of it, whenever the
 * process is killed. Writes beside the target, syncs, renames.
 * @throws DiskError when the disk refuses, LostLockError; the old file is then untouched and nothing is
 *   left behind
 */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  const temporary = temporaryName(path);
  guardDisk(path, () => {
    try {
      writeFileSynced(temporary, data);
      refuseIfLost(path);
      renameWithRetry(temporary, path);
    } catch (error) {
      removeQuietly(temporary);
      refuseIfLost(path);
      throw error;
    }
  });
  syncFolder(dirname(path));
}

/**
 * Creates or replaces a folder atomically: it is filled beside the target, synced and renamed.
 * @param fill writes and syncs the files, into the folder it is given
 * @throws DiskError when the disk refuses, and what `fill` throws; nothing is left behind
 */
export async function writeFolderAtomic(
  path: string,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  const temporary = temporaryName(path);
  refuseIfLost(path);
  try {
    mkdirSync(temporary);
    await fill(temporary);
    syncFolder(temporary);
    refuseIfLost(path);
    removeTree(path);
    renameWithRetry(temporary, path);
  } catch (error) {
    removeQuietly(temporary);
    refuseIfLost(path);
    throw diskError(path, error);
  }
  syncFolder(dirname(path));
}

/** Writes a new file and syncs it to the disk. @throws what the system reports */
export function writeFileSynced(path: string, data: string | Uint8Array): void {
  const file = openSync(path, 'wx');
  try {
    writeFileSync(file, data);
    syncFile(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Removes a folder with all in it. It is renamed first, so that nobody sees a part of it.
 * @throws DiskError
 */
export function removeFolderAtomic(path: string): void {
  guardDisk(path, () => {
    refuseIfLost(path);
    const aside = temporaryName(path);
    try {
      renameWithRetry(path, aside);
    } catch (error) {
      if (errorName(error) === 'ENOENT') return;
      // A folder in a lower layer of a container's disk can be deleted, but not renamed.
      if (errorName(error) !== 'EXDEV') throw error;
      return removeTree(path);
    }
    removeTree(aside);
  });
}

/** Retries where a file in it is busy, or was open on another machine a moment ago. */
function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}

/** A name beside `path`, so that it can be renamed to it. */
export const temporaryName = (path: string): string =>
  `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;

/** Whether a killed process left a file or folder behind, by its name. */
export const isLeftOver = (name: string): boolean => name.endsWith('.tmp');
