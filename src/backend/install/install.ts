import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { EnvironmentError, FlnError } from '../../errors.js';
import { noCacheDir } from '../../files/cache.js';
import { causeOf, errorName, isSystemError } from '../../files/disk.js';
import { createFolder } from '../../files/folder.js';
import { explainHeld, type FileLock, refuseIfLost, takeLock } from '../../files/lock.js';
import { installationFolder } from '../packages.js';
import {
  type Ingredients,
  Interrupted,
  type Recipe,
  type Verdict,
  type Way,
  WayError,
  type Workshop,
} from './recipe.js';
import { writeInstallationRecord } from './record.js';
import { anotherDisk, diskFull, folderBytes, requireSpace } from './space.js';
import { clearLeftovers, discard, neighbour, putInPlace, takeAway } from './staging.js';

export interface InstallOptions {
  /** Install although it is there. */
  readonly force?: boolean;
  readonly signal: AbortSignal;
  /** Hears what is tried and done, a line at a time; the engine itself prints nothing. */
  readonly say: (text: string) => void;
}

export interface InstallResult {
  readonly name: string;
  /** `present`: there was nothing to do. */
  readonly status: 'installed' | 'present';
  /** What was found or made, in words. */
  readonly detail: string;
  readonly folder?: string;
  readonly way?: string;
  readonly bytes?: number;
}

/**
 * Makes a private installation by the first way of a recipe that leads there. It is built and tried
 * beside its place and renamed into it, so that an installation that is there already stays as it is
 * unless a new one works.
 *
 * @throws EnvironmentError, with the reason of every way, when none leads there, another process
 *   installs the same, or the disk refuses; Interrupted. Nothing is then changed or left behind
 */
export async function install(recipe: Recipe, options: InstallOptions): Promise<InstallResult> {
  const { name } = recipe;
  if (!options.force) {
    options.say(`Looking whether ${name} is there`);
    const detail = await recipe.present(options.signal);
    if (detail !== undefined) return { name, status: 'present', detail };
  }
  const target = targetFolder(name);
  const lock = lockInstallation(target);
  try {
    return await firstWay(recipe, target, options);
  } catch (error) {
    throw diskMessage(error, dirname(target));
  } finally {
    lock.release();
  }
}

/**
 * Deletes a private installation.
 * @returns the disk space that it took; undefined when there was none
 * @throws EnvironmentError when another process installs the same, or the disk refuses
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

/** @throws EnvironmentError where there is no place for installations */
function targetFolder(name: string): string {
  const folder = installationFolder(name);
  if (folder === undefined) throw new EnvironmentError(noCacheDir);
  return folder;
}

/** With the lock, what a killed process left behind is cleared away. */
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

async function firstWay(
  recipe: Recipe,
  target: string,
  { signal, say }: InstallOptions,
): Promise<InstallResult> {
  const reasons: string[] = [];
  for (const way of recipe.ways) {
    say(`Trying ${way.title}`);
    try {
      return await attempt(recipe, way, target, { signal, say });
    } catch (error) {
      if (signal.aborted) throw new Interrupted();
      if (!(error instanceof WayError)) throw error;
      say(`  This way does not lead there: ${error.message}`);
      reasons.push(`- ${way.title}: ${error.message}`);
    }
  }
  throw new EnvironmentError(
    `${recipe.name} could not be installed; nothing was changed.\n${reasons.join('\n')}`,
  );
}

async function attempt(
  { name }: Recipe,
  way: Way,
  target: string,
  { signal, say }: Pick<InstallOptions, 'signal' | 'say'>,
): Promise<InstallResult> {
  requireSpace(dirname(target), way.bytes);
  const folder = neighbour(target, 'partial');
  const work: Workshop = { folder, signal, say: (text) => say(`  ${text}`) };
  try {
    mkdirSync(folder);
    const ingredients: Ingredients = await way.build(work);
    work.say('checking it in a process of its own');
    const verdict: Verdict = await way.check(work);
    writeInstallationRecord(folder, name, way.title, ingredients, verdict);
    if (signal.aborted) throw new Interrupted();
    refuseIfLost(target);
    putInPlace(folder, target);
    const bytes = await folderBytes(target);
    const detail = verdict.text;
    return { name, status: 'installed', detail, folder: target, way: way.title, bytes };
  } finally {
    discard(folder);
  }
}

/** What a disk refuses is said with the way on; anything else stays as it is. */
function diskMessage(error: unknown, folder: string): unknown {
  // Errors of this program already say what to do, but for those that speak of run directories.
  const cause = error instanceof FlnError ? error.cause : error;
  if (!isSystemError(cause)) return error;
  const name = errorName(cause);
  if (name === 'ENOSPC' || name === 'EDQUOT') return diskFull(folder);
  return new EnvironmentError(
    `cannot write into ${folder}: ${causeOf(cause)}. Nothing was changed. ${anotherDisk}`,
  );
}
