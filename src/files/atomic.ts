import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { guardDisk } from './disk.js';

/**
 * Replaces a file as a whole: readers see the old content or the new, never a part of it, whenever
 * the process is killed. Writes beside the target, syncs, renames.
 * @throws DiskError when the disk refuses; the old file is then untouched and nothing is left behind
 */
export function writeFileAtomic(path: string, data: string | Uint8Array): void {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  guardDisk(path, () => {
    try {
      const file = openSync(temporary, 'wx');
      try {
        writeFileSync(file, data);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
  syncFolder(dirname(path));
}

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
