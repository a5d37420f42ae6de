import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { diskError, guardDisk } from './disk.js';

/**
 * Replaces a file as a whole: readers see the old content or the new, never a part of it, whenever
 * the process is killed. Writes beside the target, syncs, renames.
 * @throws DiskError when the disk refuses; the old file is then untouched and nothing is left behind
 */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  const temporary = temporaryName(path);
  guardDisk(path, () => {
    try {
      writeFileSynced(temporary, data);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
  syncFolder(dirname(path));
}

/**
 * Makes a folder as a whole, in the place of one that may be there: it is filled beside the target,
 * synced and renamed.
 * @param fill writes and syncs the files, into the folder it is given
 * @throws DiskError when the disk refuses, and what `fill` throws; nothing is left behind
 */
export async function writeFolderAtomic(
  path: string,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    mkdirSync(temporary);
    await fill(temporary);
    syncFolder(temporary);
    rmSync(path, { recursive: true, force: true });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw diskError(path, error);
  }
  syncFolder(dirname(path));
}

/** Writes a new file and has it on the disk before it returns. @throws what the system reports */
export function writeFileSynced(path: string, data: string | Uint8Array): void {
  const file = openSync(path, 'wx');
  try {
    writeFileSync(file, data);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Removes a folder with all in it: at once for whoever looks, since it is renamed first.
 * @throws DiskError
 */
export function removeFolderAtomic(path: string): void {
  guardDisk(path, () => {
    const aside = temporaryName(path);
    try {
      renameSync(path, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    rmSync(aside, { recursive: true, force: true });
  });
}

/** Beside `path`, so that it can be renamed to it. */
const temporaryName = (path: string): string =>
  `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;

/** Whether a file or folder is one that a process was killed over, by its name. */
export const isLeftOver = (name: string): boolean => name.endsWith('.tmp');

/** Makes a rename in a folder durable, where the platform can (Windows cannot open a folder). */
export function syncFolder(folder: string): void {
  let file: number | undefined;
  try {
    file = openSync(folder, 'r');
    fsyncSync(file);
  } catch {
    // The data is in place; only its survival of a power cut is less certain.
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
