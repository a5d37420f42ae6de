import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { State } from '../../core/tree.js';
import { RunError } from '../../errors.js';
import { removeFolderAtomic } from '../../files/atomic.js';
import { causeOf, DiskError, errorName, isSystemError } from '../../files/disk.js';
import { makeFolder } from '../../files/folder.js';
import { hashOfStart } from '../../runs/metrics-writer.js';
import { withoutControls } from '../../shared/text.js';
import { type Checkpoint, type Position, readCheckpoint, writeCheckpoint } from './checkpoint.js';

/** Checkpoints of a run that are kept: the last, and one to fall back to. */
const kept = 2;

/** Name of a checkpoint's folder, which sorts by batch: `batch-00000120`. */
export const checkpointName = (batch: number): string => `batch-${String(batch).padStart(8, '0')}`;

/** The folder `checkpoints` of one run. */
export class Checkpoints {
  readonly folder: string;

  /** @param runFolder `<label>-s<seed>` */
  constructor(runFolder: string) {
    this.folder = join(runFolder, 'checkpoints');
  }

  /** Folders of all checkpoints, intact or damaged, the last first. */
  list(): readonly { readonly folder: string; readonly batch: number }[] {
    let names: string[] = [];
    try {
      names = readdirSync(this.folder);
    } catch {
      // There are none.
    }
    return names
      .flatMap((name) => {
        const batch = /^batch-(\d{8,15})$/.exec(name)?.[1];
        return batch ? [{ folder: join(this.folder, name), batch: Number(batch) }] : [];
      })
      .sort((a, b) => b.batch - a.batch);
  }

  /**
   * Adds a checkpoint, and removes those before the last two.
   * @returns its size in bytes
   * @throws DiskError; the earlier checkpoints are then left as they are
   */
  async write(position: Position, state: State): Promise<number> {
    makeFolder(this.folder);
    const folder = join(this.folder, checkpointName(position.batch));
    const size = await writeCheckpoint(folder, position, state);
    for (const old of this.list().slice(kept)) removeFolderAtomic(old.folder);
    return size;
  }

  remove(): void {
    removeFolderAtomic(this.folder);
  }
}

/**
 * The last checkpoint that a run can resume from: intact, and with its rows of metrics.csv and layers.csv
 * unchanged.
 * @param warn called for each later checkpoint that cannot be used
 * @returns undefined when there is none; a run without its metrics.csv starts from scratch as well
 * @throws RunError when there are intact checkpoints, but one of the CSVs was changed before each of them, or
 *   another version of the program wrote them
 */
export function resumePoint(
  checkpoints: Checkpoints,
  csvs: { readonly metrics: string; readonly layers: string },
  warn: (message: string) => void,
): Checkpoint | undefined {
  if (!existsSync(csvs.metrics)) return undefined;
  let torn: RunError | undefined;
  for (const { folder } of checkpoints.list()) {
    const checkpoint = readIntact(folder, warn);
    if (checkpoint === undefined) continue;
    try {
      const { metrics, layers } = checkpoint.position;
      hashOfStart(csvs.metrics, metrics);
      if (layers) hashOfStart(csvs.layers, layers);
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      torn ??= error;
      continue;
    }
    if (torn) warn(`${torn.message}. The run resumes from the checkpoint before it`);
    return checkpoint;
  }
  if (torn) throw torn;
  return undefined;
}

/** Error codes of a checkpoint that is lost, not just unreadable at the moment. */
const lost = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EIO']);

function readIntact(folder: string, warn: (message: string) => void): Checkpoint | undefined {
  try {
    return readCheckpoint(folder);
  } catch (error) {
    // It may be readable later, and training from scratch would delete it.
    if (isSystemError(error) && !lost.has(errorName(error) ?? '')) {
      throw new DiskError(`cannot read ${folder}: ${causeOf(error)}`, { cause: error });
    }
    // Intact, but of another version.
    if (error instanceof RunError) throw error;
    const { message } = error as Error;
    warn(withoutControls(`the checkpoint ${folder} is damaged and is ignored: ${message}`));
    return undefined;
  }
}
