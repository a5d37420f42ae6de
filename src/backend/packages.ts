import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { defaultCacheDir } from '../files/cache.js';
import { packageRoot } from '../shared/provenance.js';

/**
 * Where `fln backend install` puts the packages of an installation, each a folder with node_modules;
 * undefined where the user has no cache folder.
 */
export function installationFolder(installation: string): string | undefined {
  const cache = defaultCacheDir();
  return cache && resolve(cache, 'backends', installation);
}

/**
 * Folders whose node_modules may hold the packages of a backend, in the order they are tried: the one
 * that the environment names, and only that; else the program's own, then private installations.
 * @param variable name of the environment variable
 * @param installations as for {@link installationFolder}
 */
export function packageFolders(variable: string, installations: readonly string[]): string[] {
  const named = process.env[variable];
  if (named) return [resolve(named)];
  // The program's own packages are in its node_modules, or in those above it.
  return [packageRoot, ...installations.flatMap((name) => installationFolder(name) ?? [])];
}

/** `require` as a module in `folder` would have it. */
export const requireFrom = (folder: string): NodeJS.Require =>
  createRequire(join(folder, 'package.json'));

/** Whether a package can be resolved from `folder`. */
export function resolves(folder: string, name: string): boolean {
  try {
    requireFrom(folder).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Loads a package with a second copy of the tensor library, without its warnings that kernels are already registered. */
export function loadQuietly(folder: string, name: string): void {
  const { warn } = console;
  console.warn = () => {};
  try {
    requireFrom(folder)(name);
  } finally {
    console.warn = warn;
  }
}

/** Runs `work` while warnings and errors that libraries print go to `onPrinted`, not to the terminal. */
export async function withoutConsole<T>(
  onPrinted: (text: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const { warn, error } = console;
  console.warn = console.error = (...words: unknown[]) => onPrinted(words.map(String).join(' '));
  try {
    return await work();
  } finally {
    Object.assign(console, { warn, error });
  }
}
