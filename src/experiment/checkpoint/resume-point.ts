import { existsSync } from 'node:fs';
import { RunError } from '../../errors.js';
import { causeOf, DiskError, errorName, isSystemError } from '../../files/disk.js';
import { hashOfStart } from '../../runs/metrics-writer.js';
import { withoutControls } from '../../shared/text.js';
import { type Checkpoint, readCheckpoint } from './checkpoint.js';
import type { Checkpoints } from './checkpoints.js';

/**
 * The last checkpoint that a run can go on from: whole, and with the rows of metrics.csv that it
 * speaks of still in their place.
 * @param warn told of each later one that cannot be used
 * @returns undefined when there is none; a run whose metrics.csv is gone starts anew as well
 * @throws RunError when checkpoints are whole, but the metrics.csv was changed before each of them, or
 *   another version of the program wrote them
 */
export function resumePoint(
  checkpoints: Checkpoints,
  metricsPath: string,
  warn: (message: string) => void,
): Checkpoint | undefined {
  if (!existsSync(metricsPath)) return undefined;
  let torn: RunError | undefined;
  for (const { folder } of checkpoints.list()) {
    const checkpoint = whole(folder, warn);
    if (checkpoint === undefined) continue;
    try {
      hashOfStart(metricsPath, checkpoint.position.metrics);
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

/** Errors that tell of a checkpoint that is gone or damaged for good. */
const lost = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EIO']);

function whole(folder: string, warn: (message: string) => void): Checkpoint | undefined {
  try {
    return readCheckpoint(folder);
  } catch (error) {
    // What cannot be read now may well be whole: training anew would delete it.
    if (isSystemError(error) && !lost.has(errorName(error) ?? '')) {
      throw new DiskError(`cannot read ${folder}: ${causeOf(error)}`, { cause: error });
    }
    // Whole, but not for this version to read.
    if (error instanceof RunError) throw error;
    const { message } = error as Error;
    warn(withoutControls(`the checkpoint ${folder} is damaged and is left out: ${message}`));
    return undefined;
  }
}
