import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { DataError } from '../errors.js';
import type { LoadOptions } from './dataset.js';
import type { DatasetDefinition } from './definition.js';

/** Where data files are looked for: the user's folder, then the cache. */
export interface Locations {
  readonly dataDir?: string;
  readonly cacheDir: string;
}

/**
 * `--data-dir`, else FLN_DATA_DIR; and the cache folder.
 * @throws DataError when the data folder that was named does not exist
 */
export async function resolveLocations(options: LoadOptions): Promise<Locations> {
  const named = options.dataDir ?? (process.env.FLN_DATA_DIR || undefined);
  const cacheDir = resolve(options.cacheDir ?? defaultCacheDir());
  if (named === undefined) return { cacheDir };
  const dataDir = resolve(named);
  const isFolder = await stat(dataDir).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    const origin = options.dataDir === undefined ? 'FLN_DATA_DIR' : '--data-dir';
    throw new DataError(
      `The data folder ${dataDir} (from ${origin}) is not there, or is no folder.`,
    );
  }
  return { dataDir, cacheDir };
}

/**
 * FLN_CACHE_DIR, else XDG_CACHE_HOME/fln, else the system's place for caches: ~/.cache/fln,
 * ~/Library/Caches/fln on macOS, %LOCALAPPDATA%\fln\cache on Windows.
 */
export function defaultCacheDir(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  if (env.FLN_CACHE_DIR) return env.FLN_CACHE_DIR;
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'fln');
  if (platform === 'win32' && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, 'fln', 'cache');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'fln');
  return join(homedir(), '.cache', 'fln');
}

/** The folder of one data set's verified downloads. */
export const cacheFolder = (definition: DatasetDefinition, { cacheDir }: Locations): string =>
  join(cacheDir, definition.name);

/** Paths at which a file may lie, in the order they are tried. */
export function candidates(
  definition: DatasetDefinition,
  fileName: string,
  locations: Locations,
): { path: string; origin: 'data-dir' | 'cache' }[] {
  const both = (folder: string) => [join(folder, fileName), join(folder, `${fileName}.gz`)];
  const { dataDir } = locations;
  const inDataDir = dataDir ? [...both(join(dataDir, definition.name)), ...both(dataDir)] : [];
  return [
    ...inDataDir.map((path) => ({ path, origin: 'data-dir' as const })),
    ...both(cacheFolder(definition, locations)).map((path) => ({ path, origin: 'cache' as const })),
  ];
}

/** The base URLs to fetch from: the options', else the environment's, else the data set's own. */
export function mirrorsOf(definition: DatasetDefinition, options: LoadOptions): readonly string[] {
  if (options.mirrors) return options.mirrors.map(withSlash);
  const variable = definition.mirrorsVariable;
  const value = variable === undefined ? undefined : process.env[variable];
  if (!value) return definition.mirrors;
  const urls = value.split(',').map((url) => url.trim());
  const bad = urls.find((url) => !/^https?:\/\//i.test(url) || !URL.canParse(url));
  if (bad !== undefined) {
    throw new DataError(
      `${variable} must hold http:// or https:// URLs separated by commas; "${bad}" is none.`,
    );
  }
  return urls.map(withSlash);
}

const withSlash = (url: string) => (url.endsWith('/') ? url : `${url}/`);
