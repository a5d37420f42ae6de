import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { suggest } from '../shared/suggest.js';

/** Bytes of a config. */
export const maxConfigBytes = 1024 * 1024;

/**
 * The text of a config file, without its byte-order mark.
 * @throws UsageError when it is absent, a folder, unreadable, larger than 1 MiB or not UTF-8
 */
export function readConfigFile(file: string): string {
  const bytes = readBounded(file);
  if (bytes.length > maxConfigBytes) {
    throw new UsageError(
      `${file}: is larger than 1 MiB, which no config needs; is it the right file?`,
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UsageError(`${file}: is not UTF-8 text; is it a config? If so, save it as UTF-8.`);
  }
}

/** At most one byte more than is allowed, so that an endless device cannot fill the memory. */
function readBounded(file: string): Buffer {
  let descriptor: number | undefined;
  try {
    // A pipe of a shell, <(...), has a writer; one with a name in a folder may wait for it forever.
    if (!isPassedOn(file) && statSync(file).isFIFO()) {
      throw new Error('it is a named pipe; give the file itself, or pipe it to /dev/stdin');
    }
    descriptor = openSync(file, 'r');
    const buffer = Buffer.alloc(maxConfigBytes + 1);
    let length = 0;
    while (length < buffer.length) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (count === 0) break;
      length += count;
    }
    return buffer.subarray(0, length);
  } catch (error) {
    throw new UsageError(readFailure(file, error), { cause: error });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Whether a path stands for a file that is open already. */
const isPassedOn = (file: string): boolean => /^\/(dev|proc)\//.test(resolve(file));

function readFailure(file: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return `${file}: there is no such file${notFoundHint(file)}`;
    case 'EISDIR': {
      const configs = configsIn(file);
      const hint = configs.length > 0 ? `; it holds ${configs.slice(0, 10).join(', ')}` : '';
      return `${file}: is a folder, not a config file${hint}`;
    }
    case 'EACCES':
    case 'EPERM':
      return `${file}: cannot be read: permission denied`;
    case 'ENAMETOOLONG':
      return `${file}: cannot be read: its name is too long`;
    default:
      return `${file}: cannot be read: ${message}`;
  }
}

function notFoundHint(file: string): string {
  const folder = dirname(file);
  const configs = configsIn(folder);
  const stem = (name: string) => name.replace(/\.\w+$/, '');
  const near = suggest(stem(basename(file)), configs.map(stem));
  const match = configs.find((name) => stem(name) === near);
  if (match !== undefined) {
    return `; did you mean "${file.slice(0, file.length - basename(file).length)}${match}"?`;
  }
  return configs.length > 0 ? `; ${folder} holds ${configs.slice(0, 10).join(', ')}` : '';
}

function configsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /\.(ya?ml|json)$/.test(name))
      .sort();
  } catch {
    return [];
  }
}
