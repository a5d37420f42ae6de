import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BuildContext, MethodError, rewordErrors } from './recipe.js';
import { findProgram, type SpawnOptions, spawnChecked } from './spawn.js';

/**
 * Installs exact versions into the folder of `work`, without running their install scripts.
 * @throws MethodError, with the last lines of npm
 */
export async function npmInstall(packages: readonly string[], work: BuildContext): Promise<void> {
  work.say(`npm: ${packages.join(', ')}`);
  writeFileSync(join(work.folder, 'package.json'), '{ "private": true }\n');
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await rewordErrors(
    () =>
      npm(['install', '--prefix', work.folder, ...options, ...packages], {
        cwd: work.folder,
        signal: work.signal,
        limitSeconds: 1800,
        stall: { seconds: 300, folder: work.folder },
      }),
    (reason) =>
      isUnreachable(reason)
        ? `${reason}\n  The registry cannot be reached. Behind a proxy set HTTPS_PROXY; for a mirror set npm_config_registry`
        : reason,
  );
}

/** Runs npm. */
export async function npm(args: readonly string[], options: SpawnOptions): Promise<string> {
  const [command, ...before] = npmCommand();
  const env = { ...withoutOwnOptions, ...options.env };
  return rewordErrors(
    () => spawnChecked(command, [...before, ...args], { ...options, env }),
    (reason) => `npm ${args[0]} failed, ${reason}`,
  );
}

/** Unsets the options of the `npx` or `npm` that this program may have been started with. */
const withoutOwnOptions = Object.fromEntries(
  [
    'package',
    'call',
    'yes',
    'global',
    'dry_run',
    'prefix',
    'local_prefix',
    'workspace',
    'workspaces',
  ].map((option) => [`npm_config_${option}`, undefined]),
);

/** On Windows npm is a script of the shell: its JavaScript is run instead. */
function npmCommand(): [string, ...string[]] {
  const folder = dirname(process.execPath);
  const script = join(folder, 'node_modules', 'npm', 'bin', 'npm-cli.js');
  if (process.platform === 'win32' && existsSync(script)) return [process.execPath, script];
  const found = findProgram('npm');
  if (found !== undefined) return [found];
  throw new MethodError('npm is not on the PATH. It comes with Node: see https://nodejs.org');
}

/** As far as the messages of Node and npm tell. */
const isUnreachable = (said: string): boolean =>
  /ENOTFOUND|ETIMEDOUT|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ERR_SOCKET_TIMEOUT|E403|E407|network request/.test(
    said,
  );
