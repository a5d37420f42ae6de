import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { env, platform } from 'node:process';
import { processFields } from '../files/holder.js';

/** The npm that started this process (npx, npm scripts), usually through a shell. */
interface Npm {
  readonly parent: number;
  /** Equal to `parent` if there is no shell. */
  readonly pid: number;
}

const npm = findNpm();

/**
 * Whether npm is the direct parent. It forwards Ctrl-C, so that each arrives twice: from the terminal and
 * from npm.
 */
export const npmIsParent: boolean = npm !== undefined && npm.parent === npm.pid;

/** Whether this process was started with SIGHUP ignored (nohup). Node resets that at its start. */
export const isUnderNohup: boolean =
  platform !== 'win32' &&
  (namesNohup(env._) ||
    hasStdinOfNohup() ||
    ignoresHangup(process.ppid) ||
    (npm !== undefined && [npm.parent, npm.pid].some((pid) => namesNohup(variable(pid, '_')))));

let hangups = 0;
if (isUnderNohup) process.on('SIGHUP', () => hangups++);

/**
 * Calls `onEnd` once when npm has ended before this process: npm forwards SIGTERM only to its shell, and
 * SIGHUP not at all. The end of other parents has no effect.
 * @returns stops watching
 */
export function watchNpm(onEnd: () => void): () => void {
  if (npm === undefined || (isUnderNohup && npmIsParent)) return () => {};
  const { parent, pid } = npm;
  const isGone = () => {
    if (process.ppid !== parent) return hangups === 0;
    // SIGHUP ends npm, but not its shell.
    return !isUnderNohup && platform === 'linux' && parent !== pid && parentOf(parent) !== pid;
  };
  const timer = setInterval(() => {
    if (!isGone()) return;
    // A SIGHUP to the whole process group may not have been handled yet.
    setImmediate(() => {
      if (isGone()) onEnd();
    });
  }, 250).unref();
  return () => clearInterval(timer);
}

function findNpm(): Npm | undefined {
  const { npm_lifecycle_event: event, npm_lifecycle_script: script = '' } = env;
  if (event === undefined || platform === 'win32') return undefined;
  // The script starts a background process on purpose.
  if (/(^|[^&>])&(?![&>])|\b(nohup|setsid|disown)\b/.test(script)) return undefined;
  const parent = process.ppid;
  if (isNpm(parent)) return { parent, pid: parent };
  const above = parentOf(parent);
  return above !== undefined && isNpm(above) ? { parent, pid: above } : undefined;
}

function isNpm(pid: number): boolean {
  const command = read(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ') ?? ps('command', pid) ?? '';
  return /^(npm|npx|pnpm|yarn)\b|\/(npm|npx)-cli\.js|\/(pnpm|yarn)(\.c?js)?( |$)/.test(command);
}

function parentOf(pid: number): number | undefined {
  const parent = processFields(pid)?.[1] ?? ps('ppid', pid);
  return parent === undefined ? undefined : Number(parent);
}

function ps(field: string, pid: number): string | undefined {
  if (platform === 'linux') return undefined;
  try {
    return execFileSync('ps', ['-o', `${field}=`, '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

function namesNohup(command: string | undefined): boolean {
  return basename(command ?? '') === 'nohup';
}

/** nohup replaces a terminal by a write-only /dev/null. */
function hasStdinOfNohup(): boolean {
  const flags = /^flags:\s*(\d+)/m.exec(read('/proc/self/fdinfo/0') ?? '')?.[1];
  if (flags === undefined || (Number.parseInt(flags, 8) & 3) !== 1) return false;
  try {
    return readlinkSync('/proc/self/fd/0') === '/dev/null';
  } catch {
    return false;
  }
}

function ignoresHangup(pid: number): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1];
  return mask !== undefined && (BigInt(`0x${mask}`) & 1n) === 1n;
}

/** An environment variable of another process. */
function variable(pid: number, name: string): string | undefined {
  const entries = read(`/proc/${pid}/environ`)?.split('\0') ?? [];
  return entries.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
