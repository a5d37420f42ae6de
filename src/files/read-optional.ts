import { UsageError } from '../errors.js';
import { causeOf, isSystemError } from './disk.js';
import { readText } from './regular-file.js';

/**
 * Text of a file; undefined when it does not exist.
 * @param options what to do about one that cannot be read, a sentence, and the length it may have
 * @throws UsageError when it is there and cannot be read
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
