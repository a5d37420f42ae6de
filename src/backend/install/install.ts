import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EnvironmentError, FlnError } from '../../errors.js';
import { noCacheDir } from '../../files/cache.js';
import { causeOf, errorName, isSystemError } from '../../files/disk.js';
import { createFolder } from '../../files/folder.js';
import { explainHeld, type FileLock, refuseIfLost, takeLock } from '../../files/lock.js';
import { renameWithRetry, syncFolder } from '../../files/system-calls.js';
import { installationFolder } from '../packages.js';
import { writeInstallationRecord } from './list.js';
import {
  type BuildContext,
  type CheckResult,
  type InstalledPackages,
  type InstallMethod,
  Interrupted,
  MethodError,
  type Recipe,
} from './recipe.js';
import { anotherDisk, diskFull, folderBytes, requireSpace } from './space.js';

interface InstallOptions {
  /** Install even if it is already available. */
  readonly force?: boolean;
  readonly signal: AbortSignal;
  /** Called with each line of progress; the engine itself prints nothing. */
  readonly say: (text: string) => void;
}

interface InstallResult {
  readonly name: string;
  /** `present`: already available, nothing was done. */
  readonly status: 'installed' | 'present';
  /** Description of what was found or installed. */
  readonly detail: string;
  readonly folder?: string;
  /** Title of the method; the name is part of the JSON output. */
  readonly way?: string;
  readonly bytes?: number;
}

/**
 * Creates a private installation by the first method of a recipe that works. It is built and checked
 * beside its final path and then renamed, so that an existing installation stays as it is unless the
 * new one works.
 *
 * @throws EnvironmentError when every method fails (with the reasons), another process installs the
 *   same, or the disk cannot be written; Interrupted. Nothing is then changed or left behind
 */
export async function install(recipe: Recipe, options: InstallOptions): Promise<InstallResult> {
  const { name } = recipe;
  if (!options.force) {
    options.say(`Checking whether ${name} is available`);
    const detail = await recipe.present(options.signal);
    if (detail !== undefined) return { name, status: 'present', detail };
  }
  const target = targetFolder(name);
  const lock = lockInstallation(target);
  try {
    return await firstWorkingMethod(recipe, target, options);
  } catch (error) {
    throw diskMessage(error, dirname(target));
  } finally {
    lock.release();
  }
}

/**
 * Deletes a private installation.
 * @returns the disk space that it took; undefined when there was none
 * @throws EnvironmentError when another process installs the same, or the disk cannot be written
 */
export async function remove(name: string): Promise<number | undefined> {
  const target = targetFolder(name);
  if (!existsSync(dirname(target))) return undefined;
  const lock = lockInstallation(target);
  try {
    if (!existsSync(target)) return undefined;
    const bytes = await folderBytes(target);
    refuseIfLost(target);
    takeAway(target);
    return bytes;
  } catch (error) {
    throw diskMessage(error, dirname(target));
  } finally {
    lock.release();
  }
}

/** @throws EnvironmentError where the user has no cache folder */
function targetFolder(name: string): string {
  const folder = installationFolder(name);
  if (folder === undefined) throw new EnvironmentError(noCacheDir);
  return folder;
}

/** Takes the lock, and removes what a killed process left behind. */
function lockInstallation(target: string): FileLock {
  const folder = dirname(target);
  const path = `${target}.lock`;
  try {
    createFolder(folder);
    const lock = takeLock(
      path,
      (held) =>
        new EnvironmentError(
          explainHeld(held, `is installing or removing ${target}`, 'Wait for it'),
        ),
    );
    clearLeftovers(target);
    return lock;
  } catch (error) {
    throw diskMessage(error, folder);
  }
}

async function firstWorkingMethod(
  recipe: Recipe,
  target: string,
  { signal, say }: InstallOptions,
): Promise<InstallResult> {
  const reasons: string[] = [];
  for (const method of recipe.methods) {
    say(`Trying ${method.title}`);
    try {
      return await attempt(recipe, method, target, { signal, say });
    } catch (error) {
      if (signal.aborted) throw new Interrupted();
      if (!(error instanceof MethodError)) throw error;
      say(
        `  failed: ${error.message}${method === recipe.methods.at(-1) ? '' : '; trying the next method'}`,
      );
      reasons.push(`- ${method.title}: ${error.message}`);
    }
  }
  throw new EnvironmentError(
    `${recipe.name} could not be installed; nothing was changed.\n${reasons.join('\n')}`,
  );
}

async function attempt(
  { name }: Recipe,
  method: InstallMethod,
  target: string,
  { signal, say }: Pick<InstallOptions, 'signal' | 'say'>,
): Promise<InstallResult> {
  requireSpace(dirname(target), method.bytes);
  const folder = neighbour(target, 'partial');
  const work: BuildContext = { folder, signal, say: (text) => say(`  ${text}`) };
  try {
    mkdirSync(folder);
    const packages: InstalledPackages = await method.build(work);
    work.say('checking it in a process of its own');
    const checked: CheckResult = await method.check(work);
    writeInstallationRecord(folder, name, method.title, packages, checked);
    if (signal.aborted) throw new Interrupted();
    refuseIfLost(target);
    putInPlace(folder, target);
    const bytes = await folderBytes(target);
    const detail = checked.text;
    return { name, status: 'installed', detail, folder: target, way: method.title, bytes };
  } finally {
    discard(folder);
  }
}

/** Explains errors of the disk and what to do; returns any other error as it is. */
function diskMessage(error: unknown, folder: string): unknown {
  // Errors of this program already say what to do, except those about run directories.
  const cause = error instanceof FlnError ? error.cause : error;
  if (!isSystemError(cause)) return error;
  const name = errorName(cause);
  if (name === 'ENOSPC' || name === 'EDQUOT') return diskFull(folder);
  return new EnvironmentError(
    `cannot write into ${folder}: ${causeOf(cause)}. Nothing was changed. ${anotherDisk}`,
  );
}

/*
 * Temporary folders beside an installation while it is built, replaced or removed: on the same disk, so
 * that a rename is atomic. Only the process that holds the installation's lock creates them.
 */

/** partial: being built; old: replaced by a new one; removed: being deleted. */
type Stage = 'partial' | 'old' | 'removed';

/** An unused path beside the installation. */
function neighbour(target: string, stage: Stage): string {
  const unique = `${process.pid}-${randomBytes(4).toString('hex')}`;
  return join(dirname(target), `.${basename(target)}-${unique}.${stage}`);
}

/**
 * Replaces an installation by a finished folder: whenever the process is killed, the old one or the
 * new one is there, or {@link clearLeftovers} restores the old one.
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

/** Deletes an installation by renaming it first: it is never partly there. */
function takeAway(target: string): void {
  const removed = neighbour(target, 'removed');
  renameWithRetry(target, removed);
  discard(removed);
}

/**
 * Deletes what a killed process left behind, and restores an installation that it had moved aside.
 * The caller holds the lock.
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

/** What cannot be deleted now (Windows: libraries that a process has open) is deleted the next time. */
function discard(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 100 });
  } catch {
    // Its name marks it as temporary.
  }
}
