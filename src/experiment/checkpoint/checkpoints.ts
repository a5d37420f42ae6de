import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { State } from '../../core/tree.js';
import { isLeftOver, removeFolderAtomic } from '../../files/atomic.js';
import { guardDisk } from '../../files/disk.js';
import { makeFolder } from '../../files/folder.js';
import { batchOf, checkpointName, type Position, writeCheckpoint } from './checkpoint.js';

/** Checkpoints of a run that are kept: the last, and one to fall back to. */
const kept = 2;

/** The folder `checkpoints` of one run. */
export class Checkpoints {
  readonly folder: string;

  /** @param runFolder `<label>-s<seed>` */
  constructor(runFolder: string) {
    this.folder = join(runFolder, 'checkpoints');
  }

  /** Folders of the checkpoints there are, whole or damaged, the last first. */
  list(): readonly { readonly folder: string; readonly batch: number }[] {
    return this.#entries()
      .flatMap((name) => {
        const batch = batchOf(name);
        return batch === undefined ? [] : [{ folder: join(this.folder, name), batch }];
      })
      .sort((a, b) => b.batch - a.batch);
  }

  /**
   * Adds a checkpoint, and drops those before the last two.
   * @returns its size in bytes
   * @throws DiskError; the checkpoints there were are then untouched
   */
  async write(position: Position, state: State): Promise<number> {
    makeFolder(this.folder);
    const folder = join(this.folder, checkpointName(position.batch));
    const size = await writeCheckpoint(folder, position, state);
    for (const old of this.list().slice(kept)) removeFolderAtomic(old.folder);
    return size;
  }

  /** Removes what processes left that were killed while they wrote. */
  clean(): void {
    for (const path of this.#entries()
      .filter(isLeftOver)
      .map((name) => join(this.folder, name))) {
      guardDisk(path, () => rmSync(path, { recursive: true, force: true }));
    }
  }

  remove(): void {
    removeFolderAtomic(this.folder);
  }

  #entries(): string[] {
    try {
      return readdirSync(this.folder);
    } catch {
      return [];
    }
  }
}
