import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { RunError } from '../errors.js';
import { guardDisk } from '../files/disk.js';

/** Name of the lock file in a run directory. */
export const lockName = 'lock';

/** Keeps a run directory for this process until released. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Takes the lock of a run directory, so that two processes never write into one. A lock left by a
 * process of this machine that has died is taken over.
 * @throws RunError when another process holds it, DiskError when the disk refuses
 */
export function lockDirectory(directory: string): DirectoryLock {
  const path = join(directory, lockName);
  const holder: Holder = {
    pid: process.pid,
    host: hostname(),
    startedAt: new Date().toISOString(),
    token: randomUUID(),
  };
  // A few rounds, because another process may take or drop the lock between two of our looks at it.
  for (let round = 0; round < 5; round++) {
    if (create(path, holder)) {
      heldTokens.add(holder.token);
      return { release: () => release(path, holder) };
    }
    const other = read(path);
    if (other === 'gone') continue;
    if (other === 'unreadable' || !isStale(other)) throw refusal(directory, path, other);
    removeStale(path, other);
  }
  throw refusal(directory, path, 'unreadable');
}

/** @throws RunError when a living process, other than this one, holds the lock of a run directory */
export function refuseIfLocked(directory: string): void {
  const path = join(directory, lockName);
  const holder = read(path);
  if (typeof holder !== 'object' || isStale(holder)) return;
  if (holder.host === hostname() && holder.pid === process.pid) return;
  throw refusal(directory, path, holder);
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly startedAt: string;
  readonly token: string;
}

/** Locks of this very process: a lock with our pid and another token is a dead namesake's. */
const heldTokens = new Set<string>();

function create(path: string, holder: Holder): boolean {
  return guardDisk(path, () => {
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
  });
}

function read(path: string): Holder | 'gone' | 'unreadable' {
  try {
    const holder: Partial<Holder> = JSON.parse(readFileSync(path, 'utf8'));
    const { pid, host, token } = holder;
    const complete = Number.isInteger(pid) && typeof host === 'string' && typeof token === 'string';
    return complete ? (holder as Holder) : 'unreadable';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : 'unreadable';
  }
}

function isStale({ pid, host, token }: Holder): boolean {
  if (host !== hostname()) return false;
  if (pid === process.pid) return !heldTokens.has(token);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
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
  const current = read(path);
  if (typeof current === 'object' && current.token === holder.token) rmSync(path, { force: true });
  heldTokens.delete(holder.token);
}

function refusal(directory: string, path: string, other: Holder | 'unreadable'): RunError {
  const who =
    other === 'unreadable'
      ? 'another process'
      : `process ${other.pid} on ${other.host} (since ${other.startedAt})`;
  return new RunError(
    `${who} is writing into ${directory}. Wait for it, or write elsewhere with --out DIR. ` +
      `If you are sure that it is no longer running, delete ${path}`,
  );
}
