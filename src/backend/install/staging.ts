import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { renameWithRetry, syncFolder } from '../../files/system-calls.js';

/*
 * Neighbours of an installation while it is made, replaced or removed, all on its disk so that a
 * rename is one step. Only the process that holds the installation's lock has any.
 */

/** partial: being built; old: replaced by a new one; removed: being deleted. */
type Stage = 'partial' | 'old' | 'removed';

/** A path that nothing has yet, beside the installation. */
export function neighbour(target: string, stage: Stage): string {
  const unique = `${process.pid}-${randomBytes(4).toString('hex')}`;
  return join(dirname(target), `.${basename(target)}-${unique}.${stage}`);
}

/**
 * Puts a finished folder in the place of an installation: whenever the process is killed, the old one
 * or the new one is there, or {@link clearLeftovers} brings the old one back.
 * @throws what the system reports; the old installation is then in its place
 */
export function putInPlace(finished: string, target: string): void {
  const old = existsSync(target) ? neighbour(target, 'old') : undefined;
  if (old !== undefined) renameWithRetry(target, old);
  try {
    renameWithRetry(finished, target);
  } catch (error) {
    if (old !== undefined) renameWithRetry(old, target);
    throw error;
  }
  syncFolder(dirname(target));
  if (old !== undefined) discard(old);
}

/** Deletes an installation: at no moment is a part of it in its place. */
export function takeAway(target: string): void {
  const removed = neighbour(target, 'removed');
  renameWithRetry(target, removed);
  discard(removed);
}

/**
 * Deletes what a process that was killed left behind, and brings back an installation that it had
 * moved aside. To be called with the lock.
 */
export function clearLeftovers(target: string): void {
  const escaped = basename(target).replace(/[^a-z0-9]/gi, '\\$&');
  const pattern = new RegExp(`^\\.${escaped}-\\d+-[0-9a-f]+\\.(partial|old|removed)$`);
  for (const name of readdirSync(dirname(target))) {
    const [, stage] = pattern.exec(name) ?? [];
    if (stage === undefined) continue;
    const path = join(dirname(target), name);
    if (stage === 'old' && !existsSync(target)) renameWithRetry(path, target);
    else discard(path);
  }
}

/** What cannot be deleted now (Windows: libraries that a process has open) goes the next time. */
export function discard(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 100 });
  } catch {
    // Its name says that it is no installation.
  }
}
