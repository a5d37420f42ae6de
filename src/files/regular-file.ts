import { closeSync, openSync, readFileSync, statSync } from 'node:fs';

/** Longer texts are not read, and so not written: what hostile JSON becomes in memory is 40 times as large. */
export const mostTextBytes = 1 << 25;

/**
 * Opens a regular file for reading, and closes it after `use`.
 * @param use gets the file and its size in bytes
 * @throws Error in plain words, the rest of a sentence about the file, when it is something else or
 *   longer; what the system reports; what `use` throws
 */
export function withRegularFile<T>(
  path: string,
  mostBytes: number,
  use: (file: number, size: number) => T,
): T {
  // Looked at before it is opened: a pipe would wait for a writer, a device may never end.
  const found = statSync(path);
  if (found.isDirectory()) throw new Error('it is a folder');
  if (!found.isFile()) throw new Error('it is no regular file');
  if (found.size > mostBytes) {
    throw new Error(`it has ${found.size} bytes, more than the ${mostBytes} of the longest`);
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
