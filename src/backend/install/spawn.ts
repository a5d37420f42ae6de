import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Interrupted, MethodError } from './recipe.js';
import { diskFull, folderBytes } from './space.js';

export interface SpawnOptions {
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** Added to this process's own variables; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly limitSeconds?: number;
  /** Ends the program when it prints nothing and writes nothing below `folder` for so long. */
  readonly stall?: { readonly seconds: number; readonly folder: string };
}

/** How a program ended. */
interface SpawnResult {
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
  /** stdout and stderr together. */
  readonly output: string;
  readonly stdout: string;
}

/**
 * Runs a program to its end, in a process group of its own so that its children end with it.
 * @throws MethodError when it cannot be started or outruns its limit; Interrupted, when nothing of it
 *   runs any more, once `signal` is aborted
 */
export function spawnToEnd(
  command: string,
  args: readonly string[],
  { cwd, signal, env, limitSeconds, stall }: SpawnOptions,
): Promise<SpawnResult> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Interrupted());
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
    });
    running.add(child);
    let output = '';
    let stdout = '';
    let failure: Error | undefined;
    const stop = (reason: Error) => {
      failure ??= reason;
      void endGroup(child);
    };
    const onAbort = () => stop(new Interrupted());
    signal.addEventListener('abort', onAbort, { once: true });
    const limit =
      limitSeconds === undefined
        ? undefined
        : setTimeout(
            () => stop(new MethodError(`it did not end within ${limitText(limitSeconds)}`)),
            1000 * limitSeconds,
          );
    const watch = stall && watchProgress(stall, () => output.length, stop);
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    const finish = (then: () => void) => {
      running.delete(child);
      clearTimeout(limit);
      clearInterval(watch);
      signal.removeEventListener('abort', onAbort);
      then();
    };
    child.on('error', (error) =>
      finish(() => reject(new MethodError(`${command} cannot be run: ${error.message}`))),
    );
    child.on('close', (code, killedBy) =>
      finish(() => {
        if (failure) reject(failure);
        else resolve({ code, killedBy, output, stdout });
      }),
    );
  });
}

/**
 * Runs a program, and throws when it fails.
 * @returns what it printed
 * @throws EnvironmentError when the disk is full; MethodError, with its last lines, for everything else
 *   that goes wrong; Interrupted
 */
export async function spawnChecked(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): Promise<string> {
  const { code, killedBy, output } = await spawnToEnd(command, args, options);
  if (code === 0) return output;
  if (/ENOSPC|no space left on device|EDQUOT|disk quota exceeded/i.test(output)) {
    throw diskFull(options.cwd);
  }
  const how = code === null ? `was ended by ${killedBy}` : `ended with code ${code}`;
  throw new MethodError(`it ${how}:\n${lastLines(output)}`);
}

/** Full path of a program; undefined when it is not on the PATH. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The last lines of output, indented, without blank lines, single brackets and stack frames. */
export function lastLines(output: string, count = 8): string {
  return output
    .split(/[\r\n]+/)
    .map((line) => line.trimEnd())
    .filter((line) => !/^[\s{}^]*$|^\s+at .*:\d+:\d+\)?( {)?$/.test(line))
    .slice(-count)
    .map((line) => `    ${line.slice(0, 300)}`)
    .join('\n');
}

/** Running programs: they must not outlive this process. */
const running = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of running) kill(child, 'SIGKILL');
});

/** Detects downloads that hang: neither the output nor the folder grows. */
function watchProgress(
  { seconds, folder }: NonNullable<SpawnOptions['stall']>,
  printed: () => number,
  stop: (reason: Error) => void,
): NodeJS.Timeout {
  let last = -1;
  let since = Date.now();
  const check = async () => {
    const now = printed() + (await folderBytes(folder));
    if (now !== last) [last, since] = [now, Date.now()];
    else if (Date.now() - since >= 1000 * seconds) {
      stop(new MethodError(`no progress for ${limitText(seconds)}`));
    }
  };
  return setInterval(() => void check(), 250 * seconds);
}

/** Asks a program and its children to end, then kills them. */
async function endGroup(child: ChildProcess): Promise<void> {
  kill(child, 'SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 2000).unref());
  if (running.has(child)) kill(child, 'SIGKILL');
}

function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // It has already ended.
  }
}

const limitText = (seconds: number) =>
  seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`;
