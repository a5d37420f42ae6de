import { randomUUID } from 'node:crypto';
import {
  closeSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { RunError } from '../errors.js';
import { guardDisk, isLocalDisk } from './disk.js';
import {
  type Holder,
  isAlive,
  judge,
  processBirth,
  silence,
  type Verdict,
  type Witness,
  whereabouts,
} from './holder.js';
import { isDeserted, removeSigns, showLife } from './life-signs.js';
import { readText } from './regular-file.js';
import { removeQuietly, syncFile } from './system-calls.js';

/** A lock file that this process holds until it is released. */
export interface FileLock {
  /** False when another process took it over, as it does from one that was frozen for minutes. */
  isHeld(): boolean;
  release(): void;
}

/** A lock that a living process holds, or may hold. */
export interface HeldLock extends Verdict {
  readonly path: string;
  readonly holder: Holder | 'unreadable';
}

/**
 * Another process took a lock of this one over, which had been frozen: nothing that the lock guards may
 * be written any more, and the experiment ends.
 */
export class LostLockError extends RunError {
  override name = 'LostLockError';
}

/** Bytes that a lock file has at the most. */
const longest = 10_000;

/** Locks of this very process, by token. */
const held = new Map<string, { readonly path: string; readonly folder: string; checked: number }>();

/**
 * Takes the lock file at `path`, which guards its folder. One that a dead process left is taken over;
 * `judge` says which.
 * @param refuse makes the error for when another process holds it
 * @throws what `refuse` makes, or what the system reports
 */
export function takeLock(path: string, refuse: (lock: HeldLock) => Error): FileLock {
  const holder: Holder = {
    pid: process.pid,
    startedAt: new Date().toISOString(),
    token: randomUUID(),
    birth: processBirth(process.pid),
    ...whereabouts(),
  };
  const { token } = holder;
  // A few rounds, because another process may take or drop the lock between two of our looks at it.
  for (let round = 0; round < 5; round++) {
    if (create(path, holder)) {
      // Wherever this process goes.
      const place = resolve(path);
      held.set(token, { path: place, folder: dirname(place) + sep, checked: Date.now() });
      const stop = showLife(place, token, () => touch(place, token));
      return {
        isHeld: () => holds(place, token),
        release: () => {
          stop();
          held.delete(token);
          try {
            if (holds(place, token)) rmSync(place, { force: true });
          } catch {
            // A lock that stays is taken over once this process has ended.
          }
        },
      };
    }
    const other = look(path);
    if (other === undefined) continue;
    if (other.lives) throw refuse(other);
    removeDead(other);
  }
  throw refuse({ path, holder: 'unreadable', lives: true });
}

/** The lock, where a living process holds it, be it this one; undefined where none does. */
export function livingLock(path: string): HeldLock | undefined {
  const lock = look(path);
  return lock?.lives ? lock : undefined;
}

/**
 * The same, where it is another process.
 * @param mayWrite false: go by the clock of this machine, since reading that of a network disk takes a write
 */
export function lockOfOther(path: string, mayWrite = true): HeldLock | undefined {
  const found = look(path, mayWrite);
  const lock = found?.lives ? found : undefined;
  return lock && lock.holder !== 'unreadable' && held.has(lock.holder.token) ? undefined : lock;
}

/**
 * To be called before a file is written: whoever was frozen for so long that another process took its
 * lock over must not write what that one now writes.
 * @param path file or folder to be written; it matters where this process took the lock of its folder
 * @param age ms since the last look at the lock within which no other is needed
 * @throws LostLockError; DiskError when the lock cannot be read
 */
export function refuseIfLost(path: string, age = 0): void {
  for (const [token, lock] of held) {
    if (!resolve(path).startsWith(lock.folder)) continue;
    if (age > 0 && Math.abs(Date.now() - lock.checked) < age) continue;
    if (!guardDisk(lock.path, () => holds(lock.path, token))) throw lost(lock.folder);
    lock.checked = Date.now();
  }
}

/** `process 1 on node07 (since ...) is writing into DIR. ... Wait for it. ... delete DIR/lock` */
export function explainHeld({ path, holder, silentFor }: HeldLock, does: string, wayOut: string) {
  const who =
    holder === 'unreadable'
      ? 'another process'
      : `process ${holder.pid} on ${holder.host} (since ${holder.startedAt})`;
  const seconds = (ms: number) => `${Math.max(0, Math.ceil(ms / 1000))} s`;
  // Where its heartbeat alone tells whether it lives.
  const heartbeat =
    silentFor === undefined
      ? ''
      : `Its last heartbeat was ${seconds(silentFor)} ago; without another, the lock frees itself in ` +
        `${seconds(silence - silentFor)}: the same command then works. `;
  return `${who} ${does}. ${heartbeat}${wayOut}. If you are sure that it is no longer running, delete ${path}`;
}

function lost(folder: string): LostLockError {
  return new LostLockError(
    `another process took over ${folder.slice(0, -1)}, because this one gave no heartbeat for minutes (was it ` +
      'suspended?), or its lock was deleted. It stops here and leaves the folder to the other; what it had ' +
      'written is kept',
  );
}

function create(path: string, holder: Holder): boolean {
  // Whole from the start, and linked into its place: nobody sees an empty one.
  const temporary = `${path}.${holder.token}.tmp`;
  try {
    write(temporary, holder);
    linkSync(temporary, path);
    return true;
  } catch (error) {
    // A network may answer a link that it made with "there is one": from its second attempt.
    if (codeOf(error) === 'EEXIST') return holds(path, holder.token);
    return createPlainly(path, holder);
  } finally {
    removeQuietly(temporary);
  }
}

/** Where the file system has no links. */
function createPlainly(path: string, holder: Holder): boolean {
  try {
    write(path, holder);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function write(path: string, holder: Holder): void {
  const file = openSync(path, 'wx');
  try {
    writeFileSync(file, `${JSON.stringify(holder)}\n`);
    // Lest a power cut leave an empty one.
    syncFile(file);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

/** @throws what the system reports, but for a file that is not there */
function read(path: string): Holder | 'gone' | 'unreadable' {
  let text: string;
  try {
    text = readText(path, longest);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'gone';
    if (codeOf(error) !== undefined) throw error;
    return 'unreadable';
  }
  try {
    const holder: Partial<Holder> = JSON.parse(text);
    const { pid, host, token } = holder;
    const complete = Number.isInteger(pid) && typeof host === 'string' && typeof token === 'string';
    return complete ? (holder as Holder) : 'unreadable';
  } catch {
    return 'unreadable';
  }
}

interface SeenLock extends HeldLock {
  readonly beatAt: number;
}

function look(path: string, mayWrite = true): SeenLock | undefined {
  let beatAt: number;
  let holder: Holder | 'gone' | 'unreadable';
  try {
    beatAt = statSync(path).mtimeMs;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    holder = read(path);
  } catch {
    // Another user's, say: judged by its age, like one that makes no sense.
    holder = 'unreadable';
  }
  if (holder === 'gone') return undefined;
  const witness: Witness = {
    self: { pid: process.pid, ...whereabouts() },
    holdsToken: (token) => held.has(token),
    runs: isAlive,
    birth: processBirth,
    isLocalDisk: () => isLocalDisk(dirname(path)),
    isDeserted: (token) => isDeserted(path, token),
    silentFor: () => (mayWrite ? now(dirname(path)) : Date.now()) - beatAt,
  };
  return { path, holder, beatAt, ...judge(holder, witness) };
}

/** By the clock of the disk, which all machines see: that of a network may differ from ours. */
function now(folder: string): number {
  if (isLocalDisk(folder)) return Date.now();
  const probe = join(folder, `${randomUUID()}.tmp`);
  try {
    writeFileSync(probe, '');
    return statSync(probe).mtimeMs;
  } catch {
    // Who may not write there can look all the same.
    return Date.now();
  } finally {
    removeQuietly(probe);
  }
}

/** By writing what is there: unlike `utimes`, that counts by the clock of the disk. */
function touch(path: string, token: string): void {
  try {
    if (!holds(path, token)) return;
    const file = openSync(path, 'r+');
    writeSync(file, '{', 0);
    closeSync(file);
  } catch {
    // A disk that refuses now may take the next one.
  }
}

function holds(path: string, token: string): boolean {
  const current = read(path);
  return typeof current === 'object' && current.token === token;
}

/**
 * Renames before deleting: of two processes that see the same dead lock, one gets it. A holder that gave a
 * heartbeat meanwhile, or another lock by now, gets its place back.
 */
function removeDead({ path, holder, beatAt }: SeenLock): void {
  const aside = `${path}.${randomUUID()}.tmp`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  const moved = statSync(aside, { throwIfNoEntry: false });
  if (moved?.mtimeMs !== beatAt) {
    try {
      linkSync(aside, path);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') renameSync(aside, path);
    }
  } else if (holder !== 'unreadable') removeSigns(path, holder.token);
  removeQuietly(aside);
}
