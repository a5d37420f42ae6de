import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { UsageError } from '../errors.js';
import { causeOf, isSystemError } from './disk.js';

/** Longer texts are neither read nor written: in memory, hostile JSON takes 40 times its size. */
export const mostTextBytes = 1 << 25;

/**
 * Opens a regular file for reading, and closes it after `use`.
 * @param use gets the file and its size in bytes
 * @throws Error in plain words, the end of a sentence about the file, when it is not a regular file or
 *   longer; what the system reports; what `use` throws
 */
export function withRegularFile<T>(
  path: string,
  mostBytes: number,
  use: (file: number, size: number) => T,
): T {
  // Checked before it is opened: a pipe would wait for a writer, a device may never end.
  const found = statSync(path);
  if (found.isDirectory()) throw new Error('it is a folder');
  if (!found.isFile()) throw new Error('it is not a regular file');
  if (found.size > mostBytes) {
    throw new Error(`it has ${found.size} bytes, and at most ${mostBytes} are read`);
  }
  const file = openSync(path, 'r');
  try {
    return use(file, found.size);
  } finally {
    closeSync(file);
  }
}

/** The bytes of a regular file. @throws as {@link withRegularFile} */
export const readBytes = (path: string, mostBytes: number): Buffer =>
  withRegularFile(path, mostBytes, (file) => readFileSync(file));

/** The text of a regular file. @throws as {@link withRegularFile} */
export const readText = (path: string, mostBytes = mostTextBytes): string =>
  readBytes(path, mostBytes).toString('utf8');

/**
 * Text of a file; undefined when it does not exist.
 * @param options.wayOut a sentence: what to do if it cannot be read
 * @throws UsageError when it exists and cannot be read
 */
export function readOptional(
  path: string,
  { wayOut, mostBytes }: { readonly wayOut?: string; readonly mostBytes?: number } = {},
): string | undefined {
  try {
    return readText(path, mostBytes);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    const advice = wayOut === undefined ? '' : `. ${wayOut}`;
    const cause = isSystemError(error) ? causeOf(error) : message;
    throw new UsageError(`${path} cannot be read (${cause})${advice}`, { cause: error });
  }
}
