import { statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { RunError } from '../errors.js';

/** The disk refused a write. Later writes would fail too, so this ends the whole experiment. */
export class DiskError extends RunError {
  override name = 'DiskError';
}

/**
 * Does a file operation and turns an error of the system into one plain message.
 * @param path the file or folder, named in the message
 * @throws DiskError for an error of the system; anything else passes unchanged
 */
export function guardDisk<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskError(path, error);
  }
}

/** A DiskError for an error of the system in an operation on `path`; anything else as it is. */
export function diskError(path: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  const { cause, advice = 'Choose another folder with --out DIR' } = reasonOf(error);
  return new DiskError(`cannot write ${path}: ${cause}. ${advice}`, { cause: error });
}

/**
 * A DiskError for an error of the file system that no caller expected, such as that of a disk which
 * fails while a file is read; undefined for anything else.
 */
export function unexpectedDiskError(error: unknown): DiskError | undefined {
  if (!isSystemError(error) || !fileCalls.test(error.syscall ?? '')) return undefined;
  const { cause, advice } = reasonOf(error);
  const { syscall = '', path = 'a file' } = error;
  const verb = syscall === 'open' ? 'open' : readingCalls.test(syscall) ? 'read' : 'write';
  // --out DIR helps with writing alone.
  const helps = advice !== undefined && (verb === 'write' || !advice.includes('--out'));
  const wayOut = helps ? `. ${advice}` : '';
  return new DiskError(`cannot ${verb} ${path}: ${cause}${wayOut}`, { cause: error });
}

/** Whether an error comes from a system call, as those of Node's file functions do. */
export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && errorName(error) !== undefined;

/**
 * `ENOSPC` and the like; undefined when it is no error of the system. Node names only errors that all
 * its platforms have: ESTALE and EDQUOT are found by their numbers.
 */
export function errorName(error: unknown): string | undefined {
  const { code, errno, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return code;
  if (typeof errno !== 'number' || syscall === undefined) return undefined;
  const found = Object.entries(constants.errno).find(([, number]) => number === Math.abs(errno));
  return found?.[0] ?? `error ${Math.abs(errno)}`;
}

/** Bytes that this user can still write to the disk of a folder. */
export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/**
 * Types (statfs) of local file systems: ext2 to ext4, XFS, Btrfs, F2FS, ZFS, bcachefs, tmpfs, and
 * overlays of such.
 */
const localTypes = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x01021994, 0x794c7630,
]);

/** Whether no other machine can write to the disk of a folder: neither a network file system nor a host's. */
export function isLocalDisk(folder: string): boolean {
  try {
    return localTypes.has(statfsSync(folder).type);
  } catch {
    return false;
  }
}

/** System calls on files, as errors name them. */
const fileCalls =
  /^(open|close|read|write|f?sync|fdatasync|rename|unlink|rm|rmdir|mkdir|mkdtemp|scandir|opendir|[lf]?stat|statfs|statx|access|f?truncate|copyfile|cp|symlink|link|readlink|realpath|f?chmod|[lf]?utimes?)$/;
const readingCalls = /^(read|scandir|opendir|[lf]?stat|statfs|statx|access|readlink|realpath)$/;

/** An error of the system in words: `the disk is full`. */
export const causeOf = (error: NodeJS.ErrnoException): string => reasonOf(error).cause;

interface Reason {
  readonly cause: string;
  /** What to do; by default, to choose another folder. */
  readonly advice?: string;
}

function reasonOf(error: NodeJS.ErrnoException): Reason {
  const name = errorName(error) ?? '';
  return reasons[name] ?? { cause: `the file system refused "${error.syscall}" (${name})` };
}

const noPermission = {
  cause: 'permission denied',
  advice: 'Change its permissions, or choose another folder with --out DIR',
};
const moreSpace = 'Free some space, or choose another disk with --out DIR';

const reasons: Readonly<Record<string, Reason>> = {
  ENOSPC: { cause: 'the disk is full', advice: moreSpace },
  EDQUOT: { cause: 'your disk quota is used up', advice: moreSpace },
  EFBIG: {
    cause: 'the file would be larger than the system allows',
    advice: 'Raise the limit (ulimit -f)',
  },
  EACCES: noPermission,
  EPERM: noPermission,
  EROFS: { cause: 'the file system is read-only' },
  ENOTDIR: { cause: 'a part of this path is a file, not a folder' },
  EEXIST: { cause: 'something with this name already exists' },
  ENOTEMPTY: { cause: 'the folder there is not empty, or has files that are still open' },
  EISDIR: {
    cause: 'it is a folder, not a file',
    advice: 'Move it away, or choose another --out DIR',
  },
  ENAMETOOLONG: { cause: 'the path is too long', advice: 'Choose a shorter one with --out DIR' },
  ELOOP: { cause: 'symbolic links on this path form a loop' },
  EMFILE: { cause: 'this process has too many open files', advice: 'Raise the limit (ulimit -n)' },
  ENFILE: { cause: 'the system has too many open files', advice: 'Close other programs' },
  EIO: { cause: 'the disk reported an input/output error', advice: 'Check the disk' },
  ENOENT: { cause: 'its folder does not exist, or refuses new entries' },
  ESTALE: {
    cause: 'the network file system no longer knows it (stale file handle)',
    advice: 'Mount it again, or choose another folder with --out DIR',
  },
  EBUSY: { cause: 'it is busy: another process uses it, or it is a mount point' },
  ETXTBSY: { cause: 'it is busy: another process executes it' },
  EXDEV: { cause: 'the file system cannot rename it across devices or layers' },
};
