import { readFileSync } from 'node:fs';
import { UsageError } from '../errors.js';

/**
 * Text of a file; undefined when it does not exist.
 * @throws UsageError when it is there and cannot be read
 */
export function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new UsageError(`${path} cannot be read (${message})`, { cause: error });
  }
}
