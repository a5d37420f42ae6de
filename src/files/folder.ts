import { accessSync, constants, existsSync, mkdirSync, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Whether a folder is there; a name that no file can have is none. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** The nearest thing above a path, or at it, that exists: what does not exist yet would be made in it. */
export function nearestExisting(path: string): string {
  const absolute = resolve(path);
  return existsSync(absolute) || dirname(absolute) === absolute
    ? absolute
    : nearestExisting(dirname(absolute));
}

/**
 * Finds without writing what would keep files from being written below a path, which need not be
 * there yet: permissions, a read-only or full disk.
 * @throws what the system reports, or would report
 */
export function probeWritable(path: string): void {
  const place = nearestExisting(path);
  accessSync(place, constants.W_OK | constants.X_OK);
  if (!isFull(place)) return;
  const full = { code: 'ENOSPC', syscall: 'write', path };
  throw Object.assign(new Error('ENOSPC: no space left on device'), full);
}

/** File systems that do not count blocks or files report none at all. */
function isFull(place: string): boolean {
  try {
    const { blocks, bfree, bavail, files, ffree } = statfsSync(place);
    const free = process.getuid?.() === 0 ? bfree : bavail;
    return (blocks > 0 && free <= 0) || (files > 0 && ffree === 0);
  } catch {
    return false;
  }
}

/**
 * Makes a folder and those above it; one that is there already is fine. Node's own recursive mkdir
 * never returns where a parent refuses with "not found", as in /proc.
 * @throws what the system reports
 */
export function createFolder(path: string): void {
  if (isFolder(path)) return;
  const parent = dirname(path);
  if (parent !== path) createFolder(parent);
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!isFolder(path)) throw error;
  }
}
