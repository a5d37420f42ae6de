import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { guardDisk } from './disk.js';

/** Whether a folder exists; false for a name that no file can have. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** The path itself or its nearest ancestor that exists: missing folders would be created in it. */
export function nearestExisting(path: string): string {
  const absolute = resolve(path);
  return existsSync(absolute) || dirname(absolute) === absolute
    ? absolute
    : nearestExisting(dirname(absolute));
}

/**
 * Finds without writing what would keep files from being written below a path, which need not exist
 * yet: permissions, a read-only or full disk.
 * @throws what the system reports, or would report
 */
export function probeWritable(path: string): void {
  const existing = nearestExisting(path);
  accessSync(existing, constants.W_OK | constants.X_OK);
  if (!isFull(existing)) return;
  const full = { code: 'ENOSPC', syscall: 'write', path };
  throw Object.assign(new Error('ENOSPC: no space left on device'), full);
}

/** File systems that do not count blocks or files report none at all. */
function isFull(folder: string): boolean {
  try {
    const { blocks, bfree, bavail, files, ffree } = statfsSync(folder);
    const free = process.getuid?.() === 0 ? bfree : bavail;
    return (blocks > 0 && free <= 0) || (files > 0 && ffree === 0);
  } catch {
    return false;
  }
}

/** As {@link probeWritable}. @throws DiskError */
export function refuseUnwritable(path: string): void {
  guardDisk(path, () => probeWritable(path));
}

/**
 * Creates a folder and its parents, where they do not exist yet. Node's own recursive mkdir never
 * returns where a parent answers "not found", as in /proc.
 * @throws what the system reports
 */
export function createFolder(path: string): void {
  if (isFolder(path)) return;
  const parent = dirname(path);
  if (parent !== path) createFolder(parent);
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have created it meanwhile.
    if (!isFolder(path)) throw error;
  }
}

/** As {@link createFolder}. @throws DiskError */
export function makeFolder(path: string): void {
  guardDisk(path, () => createFolder(path));
}

/**
 * Finds, without writing, what would keep a run or sweep directory from being created or written to.
 * @param what the directory is for, for messages
 * @throws UsageError where a file has its name or a parent's, DiskError where the disk refuses
 */
export function checkOutputDirectory(directory: string, what: string): void {
  const wayOut = `choose another ${what} with --out DIR`;
  if (existsSync(directory) && !isFolder(directory)) {
    throw new UsageError(`${directory} is a file; ${wayOut}`);
  }
  const parent = nearestExisting(dirname(directory));
  if (!isFolder(parent)) {
    throw new UsageError(`${directory} cannot be created: ${parent} is a file; ${wayOut}`);
  }
  refuseUnwritable(directory);
}

/**
 * Refuses symbolic links, pipes and devices below a directory, so that what is written there stays
 * there. Paths that do not exist yet are fine.
 * @throws UsageError that names the first path that is neither a file nor a folder
 */
export function refuseSymlinks(paths: readonly string[]): void {
  for (const path of paths) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.isFile() || found.isDirectory()) continue;
    const what = found.isSymbolicLink() ? 'a symbolic link' : 'not a regular file';
    throw new UsageError(
      `${path} is ${what}: writing to it would change something outside of the directory. ` +
        'Remove it, or choose another --out DIR',
    );
  }
}
