import { closeSync, type Dirent, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join, normalize, relative, resolve } from 'node:path';
import { distance } from 'fastest-levenshtein';
import { UsageError } from '../errors.js';
import { causeOf, isSystemError } from '../files/disk.js';
import { isFolder } from '../files/folder.js';
import { suggest } from '../shared/suggest.js';

/** Largest size of a config file. */
export const maxConfigBytes = 1024 * 1024;

/**
 * The text of a config file, without its byte-order mark.
 * @throws UsageError when it is absent, a folder, unreadable, larger than 1 MiB or not UTF-8
 */
export function readConfigFile(file: string): string {
  const bytes = readBounded(file);
  if (bytes.length > maxConfigBytes) {
    throw new UsageError(
      `${file}: is larger than 1 MiB, the maximum size of a config; is it the right file?`,
    );
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UsageError(`${file}: is not UTF-8 text; if it is a config, save it as UTF-8.`);
  }
}

/** At most one byte more than the maximum, so that an endless device cannot fill the memory. */
function readBounded(file: string): Buffer {
  let descriptor: number | undefined;
  try {
    // Reading a named pipe may wait forever for a writer; a pipe of the shell, <(...), has one.
    if (!isOpenFile(file) && statSync(file).isFIFO()) {
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

/** Whether a path names a file that is already open. */
const isOpenFile = (file: string): boolean => /^\/(dev|proc)\//.test(resolve(file));

function readFailure(file: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return `${file}: no such file${notFoundHint(file)}`;
  if (code === 'EISDIR') return `${file}: is a folder, not a config file${listed('it', file)}`;
  return `${file}: cannot be read: ${isSystemError(error) ? causeOf(error) : message}`;
}

/** The file that was probably meant, in the same folder or below; else the configs of the folder. */
function notFoundHint(file: string): string {
  const folder = dirname(file);
  const configs = configsIn(folder);
  const near = suggest(stem(file), configs.map(stem));
  const match = configs.find((name) => stem(name) === near);
  if (match !== undefined) {
    const path = file.replace(/\/+$/, '');
    return `; did you mean "${path.slice(0, path.length - basename(path).length)}${match}"?`;
  }
  const other = nearestBelow(file);
  return other === undefined ? listed(folder, folder) : `; did you mean "${other}"?`;
}

/** `; configs/ contains a.yaml, b.yaml`, or an empty text. */
function listed(subject: string, folder: string): string {
  const configs = configsIn(folder).slice(0, 10).join(', ');
  return configs === '' ? '' : `; ${subject} contains ${configs}`;
}

const stem = (file: string) => basename(file).replace(/\.\w+$/, '');

/** Limits of the search for a config in folders below. */
const maxDepth = 3;
const maxFolders = 200;

/**
 * The config with the same or a similar name and the most similar path, below the deepest folder of the
 * path that exists.
 */
function nearestBelow(file: string): string | undefined {
  let root = dirname(file);
  while (!isFolder(root) && dirname(root) !== root) root = dirname(root);
  const found: string[] = [];
  let folders = [root];
  for (let depth = 0, seen = 0; depth <= maxDepth && seen < maxFolders; depth++) {
    seen += folders.length;
    for (const folder of folders) {
      found.push(...configsIn(folder).map((name) => join(folder, name)));
    }
    folders = folders.slice(0, maxFolders).flatMap(foldersIn);
  }
  const names = [...new Set(found.map(stem))];
  const wanted = names.includes(stem(file)) ? stem(file) : suggest(stem(file), names);
  const path = (name: string) => normalize(name).slice(0, 200);
  // A path that only lacks its first folders is the most similar one.
  const end = `/${relative(root, file)}`;
  const far = (name: string) => (name.endsWith(end) ? -1 : distance(path(name), path(file)));
  return found.filter((name) => stem(name) === wanted).sort((a, b) => far(a) - far(b))[0];
}

/** Folders that may contain configs of the user's: not packages, results or hidden folders. */
const foldersIn = (folder: string): string[] =>
  entriesOf(folder)
    .filter((entry) => entry.isDirectory() && !/^(\.|node_modules$|results$)/.test(entry.name))
    .map(({ name }) => join(folder, name));

const configsIn = (folder: string): string[] =>
  entriesOf(folder)
    .map(({ name }) => name)
    .filter((name) => /\.(ya?ml|json)$/.test(name))
    .sort();

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
