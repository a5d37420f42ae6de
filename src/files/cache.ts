import { homedir } from 'node:os';
import { join } from 'node:path';

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
