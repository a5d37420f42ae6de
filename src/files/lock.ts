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
import { isSocketClosed, removeSocket, startHeartbeat } from './heartbeat.js';
import {
  type Holder,
  isAlive,
  judge,
  lockTimeout,
  type Probe,
  processBirth,
  runContext,
  type Verdict,
} from './holder.js';
import { readText } from './read.js';
import { removeQuietly, syncFile } from './system-calls.js';

/** A lock file that this process holds until it is released. */
export interface FileLock {
  /** False once another process took it over, because this one gave no heartbeat for minutes. */
  isHeld(): boolean;
  release(): void;
}

/** A lock that a running process holds, or may hold. */
export interface HeldLock extends Verdict {
  readonly path: string;
  readonly holder: Holder | 'unreadable';
}

/**
 * Another process took over a lock of this one, which had been suspended. Nothing that the lock guards may
 * be written any more, and the experiment ends.
 */
export class LostLockError extends RunError {
  override name = 'LostLockError';
}

/** Most bytes of a lock file. */
const mostBytes = 10_000;

/** Locks of this process, by token. */
const held = new Map<string, { readonly path: string; readonly folder: string; checked: number }>();

/**
 * Takes the lock file at `path`, which guards its folder. The lock of a dead process is taken over (see
 * `judge`).
 * @param refuse makes the error to throw when another process holds it
 * @throws what `refuse` makes, or what the system reports
 */
export function takeLock(path: string, refuse: (lock: HeldLock) => Error): FileLock {
  const holder: Holder = {
    pid: process.pid,
    startedAt: new Date().toISOString(),
    token: randomUUID(),
    birth: processBirth(process.pid),
    ...runContext(),
  };
  const { token } = holder;
  // A few rounds, because another process may take or release the lock in between.
  for (let round = 0; round < 5; round++) {
    if (create(path, holder)) {
      // Absolute: this process may change its working directory.
      const absolute = resolve(path);
      held.set(token, { path: absolute, folder: dirname(absolute) + sep, checked: Date.now() });
      const stop = startHeartbeat(absolute, token, () => touch(absolute, token));
      return {
        isHeld: () => holds(absolute, token),
        release: () => {
          stop();
          held.delete(token);
          try {
            if (holds(absolute, token)) rmSync(absolute, { force: true });
          } catch {
            // A lock that stays is taken over once this process has ended.
          }
        },
      };
    }
    const other = inspect(path);
    if (other === undefined) continue;
    if (other.lives) throw refuse(other);
    removeDead(other);
  }
  throw refuse({ path, holder: 'unreadable', lives: true });
}

/**
 * The lock, if a running process holds it, this one included.
 * @param mayWrite false: use the clock of this machine, since reading that of a network disk takes a write
 */
export function livingLock(path: string, mayWrite = true): HeldLock | undefined {
  const lock = inspect(path, mayWrite);
  return lock?.lives ? lock : undefined;
}

/**
 * The lock, if another running process holds it.
 * @param mayWrite as for {@link livingLock}
 */
export function lockOfOther(path: string, mayWrite = true): HeldLock | undefined {
  const found = inspect(path, mayWrite);
  const lock = found?.lives ? found : undefined;
  return lock && lock.holder !== 'unreadable' && held.has(lock.holder.token) ? undefined : lock;
}

/**
 * To be called before a file is written: a process that was suspended for so long that another one took
 * over its lock must not write into the same files.
 * @param path file or folder to be written; checked if this process took the lock of its folder
 * @param age ms since the last check of the lock within which it is not checked again
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
  // Given where only the heartbeat tells whether the process is alive.
  const heartbeat =
    silentFor === undefined
      ? ''
      : `Its last heartbeat was ${seconds(silentFor)} ago; without another, the lock expires in ` +
        `${seconds(lockTimeout - silentFor)}: the same command then works. `;
  return `${who} ${does}. ${heartbeat}${wayOut}. If you are sure that it is no longer running, delete ${path}`;
}

function lost(folder: string): LostLockError {
  return new LostLockError(
    `another process took over ${folder.slice(0, -1)}, because this one gave no heartbeat for minutes (was it ` +
      'suspended?), or its lock was deleted. This process stops and leaves the folder to the other one; what ' +
      'it had written is kept',
  );
}

function create(path: string, holder: Holder): boolean {
  // Written beside its path and then linked: nobody sees an empty lock.
  const temporary = `${path}.${holder.token}.tmp`;
  try {
    write(temporary, holder);
    linkSync(temporary, path);
    return true;
  } catch (error) {
    // A network file system that retries may report its own first attempt as an existing file.
    if (codeOf(error) === 'EEXIST') return holds(path, holder.token);
    return createUnlinked(path, holder);
  } finally {
    removeQuietly(temporary);
  }
}

/** For file systems without links. */
function createUnlinked(path: string, holder: Holder): boolean {
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
    // Otherwise a power cut could leave an empty lock.
    syncFile(file);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

/** @throws what the system reports, except that the file does not exist */
function read(path: string): Holder | 'gone' | 'unreadable' {
  let text: string;
  try {
    text = readText(path, mostBytes);
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

/** The lock at `path` and whether its holder is alive; undefined where there is no lock. */
function inspect(path: string, mayWrite = true): SeenLock | undefined {
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
    // Another user's, say: judged by its age, like one with invalid content.
    holder = 'unreadable';
  }
  if (holder === 'gone') return undefined;
  const probe: Probe = {
    self: { pid: process.pid, ...runContext() },
    holdsToken: (token) => held.has(token),
    runs: isAlive,
    birth: processBirth,
    isLocalDisk: () => isLocalDisk(dirname(path)),
    isSocketClosed: (token) => isSocketClosed(path, token),
    silentFor: () => (mayWrite ? now(dirname(path)) : Date.now()) - beatAt,
  };
  return { path, holder, beatAt, ...judge(holder, probe) };
}

/** The time by the clock of the disk, the same for all machines; a network disk's may differ from ours. */
function now(folder: string): number {
  if (isLocalDisk(folder)) return Date.now();
  const probe = join(folder, `${randomUUID()}.tmp`);
  try {
    writeFileSync(probe, '');
    return statSync(probe).mtimeMs;
  } catch {
    // Without permission to write, ours has to do.
    return Date.now();
  } finally {
    removeQuietly(probe);
  }
}

/** Rewrites the first byte: unlike `utimes`, that takes the time from the clock of the disk. */
function touch(path: string, token: string): void {
  try {
    if (!holds(path, token)) return;
    const file = openSync(path, 'r+');
    writeSync(file, '{', 0);
    closeSync(file);
  } catch {
    // The next heartbeat may succeed.
  }
}

function holds(path: string, token: string): boolean {
  const current = read(path);
  return typeof current === 'object' && current.token === token;
}

/**
 * Renames before deleting, so that only one of two processes that see the same dead lock removes it. A
 * lock with a newer heartbeat, or of another holder by now, is put back.
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
  } else if (holder !== 'unreadable') removeSocket(path, holder.token);
  removeQuietly(aside);
}
