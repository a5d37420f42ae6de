import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join, normalize, relative, resolve } from 'node:path';
import { distance } from 'fastest-levenshtein';
import { UsageError } from '../errors.js';
import { isFolder } from '../files/folder.js';
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

/** The file that was probably meant: in the same folder, else anywhere below, else what there is. */
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
  if (other !== undefined) return `; did you mean "${other}"?`;
  return configs.length > 0 ? `; ${folder} holds ${configs.slice(0, 10).join(', ')}` : '';
}

const stem = (file: string) => basename(file).replace(/\.\w+$/, '');

/** How deep a config may lie, and how many folders are looked into for it. */
const deepest = 3;
const mostFolders = 200;

/**
 * The config whose name is the wanted one, or near to it, and whose path is nearest, below the
 * deepest folder of the path that there is.
 */
function nearestBelow(file: string): string | undefined {
  let root = dirname(file);
  while (!isFolder(root) && dirname(root) !== root) root = dirname(root);
  const found: string[] = [];
  let folders = [root];
  for (let depth = 0, seen = 0; depth <= deepest && seen < mostFolders; depth++) {
    seen += folders.length;
    for (const folder of folders) {
      found.push(...configsIn(folder).map((name) => join(folder, name)));
    }
    folders = folders.slice(0, mostFolders).flatMap(foldersIn);
  }
  const names = [...new Set(found.map(stem))];
  const wanted = names.includes(stem(file)) ? stem(file) : suggest(stem(file), names);
  const path = (name: string) => normalize(name).slice(0, 200);
  // A path that lacks its first folders is nearest of all.
  const end = `/${relative(root, file)}`;
  const far = (name: string) => (name.endsWith(end) ? -1 : distance(path(name), path(file)));
  return found.filter((name) => stem(name) === wanted).sort((a, b) => far(a) - far(b))[0];
}

/** Folders that hold configs of the user's: not those of packages, results or tools. */
function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !/^(\.|node_modules$|results$)/.test(entry.name))
      .map((entry) => join(folder, entry.name));
  } catch {
    return [];
  }
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
