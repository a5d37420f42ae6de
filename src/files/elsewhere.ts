import { existsSync, lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { UsageError } from '../errors.js';
import { refuseUnwritable } from './disk.js';
import { isFolder, nearestExisting } from './folder.js';

/**
 * Finds, without writing, what would keep a run or sweep directory from being made or written to.
 * @param what it is to be, for messages
 * @throws UsageError where a file is in the way, DiskError where the disk refuses
 */
export function checkPlace(directory: string, what: string): void {
  if (existsSync(directory) && !isFolder(directory)) {
    throw new UsageError(`${directory} is a file; choose another ${what} with --out DIR`);
  }
  const parent = nearestExisting(dirname(directory));
  if (!isFolder(parent)) {
    throw new UsageError(
      `${directory} cannot be made: ${parent} is a file; choose another ${what} with --out DIR`,
    );
  }
  refuseUnwritable(directory);
}

/**
 * What is written below a directory stays there: not where links in it lead, nor into pipes and
 * devices. Paths at which nothing is yet are fine.
 * @throws UsageError that names the first path that is neither a file nor a folder
 */
export function refuseElsewhere(paths: readonly string[]): void {
  for (const path of paths) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.isFile() || found.isDirectory()) continue;
    const what = found.isSymbolicLink() ? 'a link' : 'no regular file';
    throw new UsageError(
      `${path} is ${what}, and what is written there would go elsewhere. Remove it, or choose another --out DIR`,
    );
  }
}
