import { homedir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** The message where a cache is needed and {@link defaultCacheDir} finds none. */
export const noCacheDir =
  'There is no place for a cache: HOME is not set and this user has no home folder. ' +
  'Name a folder with FLN_CACHE_DIR (or XDG_CACHE_HOME)';

/**
 * FLN_CACHE_DIR, else XDG_CACHE_HOME/fln, else the system's default: ~/.cache/fln,
 * ~/Library/Caches/fln on macOS, %LOCALAPPDATA%\fln\cache on Windows.
 * @param homes ways to find the home folder, in order; each may throw, as both do in a container whose
 *   user number has no entry in the password database
 * @returns undefined when none of these is known
 */
export function defaultCacheDir(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
  homes: readonly (() => string)[] = [homedir, () => userInfo().homedir],
): string | undefined {
  if (env.FLN_CACHE_DIR) return env.FLN_CACHE_DIR;
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'fln');
  if (platform === 'win32' && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, 'fln', 'cache');
  const home = homes.map(orNone).find((path) => path !== undefined && isAbsolute(path));
  if (home === undefined) return undefined;
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'fln');
  return join(home, '.cache', 'fln');
}

function orNone(home: () => string): string | undefined {
  try {
    return home();
  } catch {
    return undefined;
  }
}
