import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EnvironmentError } from '../../errors.js';
import { freeBytes } from '../../files/disk.js';
import { sizeText } from '../../shared/text.js';
import { MethodError } from './recipe.js';

/**
 * Checks the free disk space before anything is downloaded.
 * @throws MethodError
 */
export function requireSpace(folder: string, bytes: number): void {
  const free = freeBytes(folder);
  if (free >= bytes) return;
  throw new MethodError(
    `it takes ${sizeText(bytes)} of disk space, and ${folder} has ${sizeText(free)} left. ${anotherDisk}`,
  );
}

/** The disk became full during the installation. */
export const diskFull = (folder: string): EnvironmentError =>
  new EnvironmentError(
    `the disk of ${folder} is full, or your quota on it. Nothing was changed. ${anotherDisk}`,
  );

/** What to do when a folder is full or cannot be written. */
export const anotherDisk =
  'Free some space, or name a folder on another disk with FLN_CACHE_DIR (for good: every command looks there)';

/** Disk space that a folder takes, as far as it can be read. */
export async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  const seen = new Set<number>();
  let bytes = 0;
  for (const entry of entries) {
    const info = await lstat(join(folder, entry)).catch(() => undefined);
    // Hard links count once.
    if (info === undefined || seen.has(info.ino)) continue;
    seen.add(info.ino);
    bytes += info.blocks === undefined ? info.size : 512 * info.blocks;
  }
  return bytes;
}
