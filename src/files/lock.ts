import { randomUUID } from 'node:crypto';
import {
  closeSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { processBirth } from './process-birth.js';
import { readText } from './regular-file.js';

/** A lock file that this process holds until it is released. */
export interface FileLock {
  /** False when another process took it over, as it does from one that was frozen for minutes. */
  isHeld(): boolean;
  release(): void;
}

/** Who holds a lock; `unreadable` for a file that no process of this program wrote. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly startedAt: string;
  readonly token: string;
  /** As `processBirth` tells it. */
  readonly birth?: string;
}

/** The holder of a lock touches it this often, so that other machines see that it lives. */
const beat = 15_000;
/** A lock of another machine that was not touched for so long is a dead process's. */
const silence = 180_000;
/** Bytes that a lock file has at the most. */
const longest = 10_000;

/**
 * Takes the lock file at `path`. One left by a process that has died is taken over: a process of this
 * machine whose number is free or belongs to another by now, or one of another machine that has not
 * touched its lock for three minutes.
 * @param refuse makes the error for when another process holds it
 * @throws what `refuse` makes, or what the system reports
 */
export function takeLock(path: string, refuse: (holder: Holder | 'unreadable') => Error): FileLock {
  const holder: Holder = {
    pid: process.pid,
    host: hostname(),
    startedAt: new Date().toISOString(),
    token: randomUUID(),
    birth: processBirth(process.pid),
  };
  // A few rounds, because another process may take or drop the lock between two of our looks at it.
  for (let round = 0; round < 5; round++) {
    if (create(path, holder)) {
      heldTokens.add(holder.token);
      const timer = setInterval(() => touch(path, holder), beat).unref();
      return {
        isHeld: () => holds(path, holder),
        release: () => {
          clearInterval(timer);
          release(path, holder);
        },
      };
    }
    const other = read(path);
    if (other === 'gone') continue;
    if (other === 'unreadable' || !isStale(other, path)) throw refuse(other);
    removeStale(path, other);
  }
  throw refuse('unreadable');
}

/** The living process, other than this one, that holds a lock; undefined when there is none. */
export function otherHolder(path: string): Holder | undefined {
  const holder = read(path);
  if (typeof holder !== 'object' || isStale(holder, path)) return undefined;
  return holder.host === hostname() && holder.pid === process.pid ? undefined : holder;
}

/** `process 123 on host (since 2026-01-01T00:00:00Z)` */
export const describeHolder = (holder: Holder | 'unreadable'): string =>
  holder === 'unreadable'
    ? 'another process'
    : `process ${holder.pid} on ${holder.host} (since ${holder.startedAt})`;

/** Whether a process of this machine runs; one that belongs to somebody else does. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Locks of this very process: a lock with our pid and another token is a dead namesake's. */
const heldTokens = new Set<string>();

function create(path: string, holder: Holder): boolean {
  let file: number;
  try {
    file = openSync(path, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    writeFileSync(file, `${JSON.stringify(holder)}\n`);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  return true;
}

function read(path: string): Holder | 'gone' | 'unreadable' {
  try {
    const holder: Partial<Holder> = JSON.parse(readText(path, longest));
    const { pid, host, token } = holder;
    const complete = Number.isInteger(pid) && typeof host === 'string' && typeof token === 'string';
    return complete ? (holder as Holder) : 'unreadable';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : 'unreadable';
  }
}

function isStale({ pid, host, token, birth }: Holder, path: string): boolean {
  if (host !== hostname()) return isSilent(path);
  if (pid === process.pid) return !heldTokens.has(token);
  if (!isAlive(pid)) return true;
  const now = processBirth(pid);
  return birth !== undefined && now !== undefined && now !== birth;
}

/** By the clock of the disk that holds the lock, which both machines see. */
function isSilent(path: string): boolean {
  const probe = join(dirname(path), `${randomUUID()}.tmp`);
  try {
    writeFileSync(probe, '');
    return statSync(probe).mtimeMs - statSync(path).mtimeMs > silence;
  } catch {
    return false;
  } finally {
    rmSync(probe, { force: true });
  }
}

/** By writing what is there: unlike `utimes`, that counts by the clock of the disk. */
function touch(path: string, holder: Holder): void {
  if (!holds(path, holder)) return;
  try {
    const file = openSync(path, 'r+');
    writeSync(file, '{', 0);
    closeSync(file);
  } catch {
    // A disk that refuses now may take the next one.
  }
}

function holds(path: string, { token }: Holder): boolean {
  const current = read(path);
  return typeof current === 'object' && current.token === token;
}

/** Renames before deleting: of two processes that see the same stale lock, one gets it. */
function removeStale(path: string, stale: Holder): void {
  const aside = `${path}.${randomUUID()}.tmp`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  const moved = read(aside);
  // Somebody else replaced the stale lock between our look and our rename: give theirs back.
  if (typeof moved === 'object' && moved.token !== stale.token) renameSync(aside, path);
  else rmSync(aside, { force: true });
}

function release(path: string, holder: Holder): void {
  try {
    if (holds(path, holder)) rmSync(path, { force: true });
  } catch {
    // A lock that stays is taken over once this process has ended.
  }
  heldTokens.delete(holder.token);
}
