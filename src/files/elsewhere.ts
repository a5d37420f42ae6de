import { lstatSync } from 'node:fs';
import { UsageError } from '../errors.js';

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
