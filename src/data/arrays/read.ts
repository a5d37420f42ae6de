import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DataError } from '../../errors.js';
import { causeOf, isSystemError } from '../../files/disk.js';
import { isFolder } from '../../files/folder.js';
import { notRegular } from '../../files/read.js';
import { availableMemory } from '../../shared/memory.js';
import { didYouMean } from '../../shared/suggest.js';
import { sizeText } from '../../shared/text.js';
import { ContentError } from '../content-error.js';

/** A whole regular file and its SHA-256. @throws DataError */
export function readWhole(path: string): { content: Buffer; sha256: string } {
  let descriptor: number | undefined;
  try {
    const found = statSync(path);
    if (!found.isFile()) throw new DataError(`${path} is ${notRegular(found)}.`);
    const free = availableMemory();
    if (found.size > free) {
      throw new DataError(
        `${path} has ${sizeText(found.size)}, and ${sizeText(free)} of memory is available.`,
      );
    }
    descriptor = openSync(path, 'r');
    const content = Buffer.allocUnsafeSlow(found.size);
    let length = 0;
    while (length < content.length) {
      const count = readSync(
        descriptor,
        content,
        length,
        Math.min(content.length - length, 1 << 30),
        length,
      );
      if (count === 0) throw new DataError(`${path} became shorter while it was read.`);
      length += count;
    }
    if (length === 0) throw new DataError(`${path} is empty.`);
    return { content, sha256: createHash('sha256').update(content).digest('hex') };
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** The error of a file that is not there or cannot be read; any other error as it is. */
export function unreadable(path: string, error: unknown): unknown {
  if (error instanceof RangeError) return new DataError(`${path} is too large to be read at once.`);
  if (!isSystemError(error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOENT' && code !== 'ENOTDIR') {
    return new DataError(`${path} cannot be read: ${causeOf(error)}.`, { cause: error });
  }
  return new DataError(`${path}: ${sentence(`no such file or folder${near(path)}`)}`, {
    cause: error,
  });
}

/** A similar name in the same folder, or the first folder of the path that does not exist. */
function near(path: string): string {
  let parent = dirname(resolve(path));
  let name = basename(path);
  while (!isFolder(parent) && dirname(parent) !== parent) {
    name = basename(parent);
    parent = dirname(parent);
  }
  if (parent !== dirname(resolve(path))) return ` (${join(parent, name)} does not exist)`;
  try {
    return didYouMean(name, readdirSync(parent));
  } catch {
    return '';
  }
}

const sentence = (text: string) => (text.endsWith('?') ? text : `${text}.`);

/** Turns the ContentError of `work` into a DataError about the file at `path`. */
export function about<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ContentError)) throw error;
    throw new DataError(`${path} ${sentence(error.message)}`, { cause: error });
  }
}

/** Puts `words` before the message of a ContentError. */
export function within<T>(words: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ContentError)) throw error;
    throw new ContentError(`${words} ${error.message}`, { cause: error });
  }
}
