import { statfsSync } from 'node:fs';
import { RunError } from '../errors.js';
import { createFolder } from './folder.js';

/** The disk refused a write: every later write would fail too, so it ends the whole experiment. */
export class DiskError extends RunError {
  override name = 'DiskError';
}

/**
 * Does a file operation and turns what a disk can do to it into one plain message.
 * @param path the file or folder at work, named in the message
 * @throws DiskError for a full disk, missing permission and the like; anything else passes unchanged
 */
export function guardDisk<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskError(path, error);
  }
}

/** A DiskError for what a disk can do to an operation on `path`; anything else as it is. */
export function diskError(path: string, error: unknown): unknown {
  const reason = reasons[(error as NodeJS.ErrnoException).code ?? ''];
  if (reason === undefined) return error;
  return new DiskError(`cannot write ${path}: ${reason}`, { cause: error });
}

/**
 * Makes a folder and those above it; one that is there already is fine.
 * @throws DiskError
 */
export function makeFolder(path: string): void {
  guardDisk(path, () => createFolder(path));
}

/** Bytes that this user can still write to the disk of a folder. */
export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full. Free some space, or choose another disk with --out DIR',
  EDQUOT: 'your disk quota is used up. Free some space, or choose another disk with --out DIR',
  EACCES: 'permission denied. Change its permissions, or choose another folder with --out DIR',
  EPERM: 'permission denied. Change its permissions, or choose another folder with --out DIR',
  EROFS: 'the file system is read-only. Choose another folder with --out DIR',
  ENOTDIR: 'a part of this path is a file, not a folder. Choose another folder with --out DIR',
  EEXIST: 'something else already has this name. Choose another folder with --out DIR',
  EISDIR: 'it is a folder, where a file is wanted. Move it away, or choose another --out DIR',
  ENAMETOOLONG: 'the path is too long. Choose a shorter one with --out DIR',
  EMFILE: 'this process has too many open files. Raise the limit (ulimit -n)',
  ENFILE: 'the system has too many open files',
  EIO: 'the disk reported an input/output error. Check the disk',
  ENOENT: 'its folder is not there, or refuses new entries. Choose another with --out DIR',
};
