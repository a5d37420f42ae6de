import { closeSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { UsageError } from '../errors.js';
import { causeOf, isSystemError } from './disk.js';

/** Longer texts are neither read nor written: in memory, hostile JSON takes 40 times its size. */
export const mostTextBytes = 1 << 25;

/**
 * Opens a regular file for reading, and closes it after `use`.
 * @param use gets the file and its size in bytes
 * @throws Error whose message begins with `it`, the file, when it is not a regular file or longer; system errors;
 *   what `use` throws
 */
export function withRegularFile<T>(
  path: string,
  mostBytes: number,
  use: (file: number, size: number) => T,
): T {
  // Checked before it is opened: a pipe would wait for a writer, a device may never end.
  const found = statSync(path);
  if (!found.isFile()) throw new Error(`it is ${notRegular(found)}`);
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

/** What is known of a file; undefined where there is none, or none that can be reached. */
export function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** `not a regular file but a named pipe` */
export function notRegular(found: Stats): string {
  const special = found.isFIFO() ? 'a named pipe' : found.isSocket() ? 'a socket' : 'a device';
  return `not a regular file but ${found.isDirectory() ? 'a folder' : special}`;
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
