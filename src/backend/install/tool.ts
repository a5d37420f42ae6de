import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Interrupted, WayError } from './recipe.js';
import { diskFull, folderBytes } from './space.js';

export interface ToolOptions {
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** Added to this process's own variables, or with undefined taken from them. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly limitSeconds?: number;
  /** Ends the program when nothing more is printed, or written below `folder`, for so long. */
  readonly stall?: { readonly seconds: number; readonly folder: string };
}

/** How a program ended that ran to its end. */
export interface ToolOutcome {
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
  /** stdout and stderr together. */
  readonly output: string;
  readonly stdout: string;
}

/**
 * Runs a program to its end, in a process group of its own so that all it starts ends with it.
 * @throws WayError when it cannot be started or outruns its limit; Interrupted, when nothing of it
 *   runs any more, once `signal` is aborted
 */
export function runToEnd(
  command: string,
  args: readonly string[],
  { cwd, signal, env, limitSeconds, stall }: ToolOptions,
): Promise<ToolOutcome> {
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
            () => stop(new WayError(`it did not end within ${limitText(limitSeconds)}`)),
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
      finish(() => reject(new WayError(`${command} cannot be run: ${error.message}`))),
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
 * Runs a program that has to succeed.
 * @returns what it printed
 * @throws EnvironmentError when the disk is full; WayError, with its last lines, for everything else
 *   that goes wrong; Interrupted
 */
export async function runTool(
  command: string,
  args: readonly string[],
  options: ToolOptions,
): Promise<string> {
  const { code, killedBy, output } = await runToEnd(command, args, options);
  if (code === 0) return output;
  if (/ENOSPC|no space left on device|EDQUOT|disk quota exceeded/i.test(output)) {
    throw diskFull(options.cwd);
  }
  const how = code === null ? `was ended by ${killedBy}` : `ended with code ${code}`;
  throw new WayError(`it ${how}:\n${lastLines(output)}`);
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

/** The end of what a program said, indented, without blank lines, single brackets and frames of a stack. */
export function lastLines(output: string, count = 8): string {
  return output
    .split(/[\r\n]+/)
    .map((line) => line.trimEnd())
    .filter((line) => !/^[\s{}^]*$|^\s+at .*:\d+:\d+\)?( {)?$/.test(line))
    .slice(-count)
    .map((line) => `    ${line.slice(0, 300)}`)
    .join('\n');
}

/** Programs at work: they must not outlive this process. */
const running = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of running) kill(child, 'SIGKILL');
});

/** Downloads that hang are seen by files that do not grow. */
function watchProgress(
  { seconds, folder }: NonNullable<ToolOptions['stall']>,
  printed: () => number,
  stop: (reason: Error) => void,
): NodeJS.Timeout {
  let last = -1;
  let since = Date.now();
  const look = async () => {
    const now = printed() + (await folderBytes(folder));
    if (now !== last) [last, since] = [now, Date.now()];
    else if (Date.now() - since >= 1000 * seconds) {
      stop(new WayError(`nothing came for ${limitText(seconds)}`));
    }
  };
  return setInterval(() => void look(), 250 * seconds);
}

/** Asks a program and all that it started to end, then makes them. */
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
    // It has ended by itself.
  }
}

const limitText = (seconds: number) =>
  seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`;
