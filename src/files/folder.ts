import { existsSync, mkdirSync, statSync } from 'node:fs';
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
