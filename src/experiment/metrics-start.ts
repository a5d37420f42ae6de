import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { RunError } from '../errors.js';
import { causeOf, DiskError, isSystemError } from '../files/disk.js';
import { withRegularFile } from '../files/regular-file.js';

/** The first bytes of a metrics.csv, whole lines, and their SHA-256. */
export interface MetricsExtent {
  readonly bytes: number;
  readonly sha256: string;
}

/** Bytes read at a time. */
const piece = 1 << 20;

/**
 * The hash of the rows of a metrics.csv that a checkpoint speaks of, once they are found to be what
 * they were: a run never goes on behind rows that were changed or lost.
 * @param header what the file has to begin with, where it matters
 * @throws RunError naming the file, what is wrong with it and the ways out
 */
export function hashOfStart(path: string, extent: MetricsExtent, header = ''): Hash {
  const hash = createHash('sha256');
  try {
    withRegularFile(path, Number.POSITIVE_INFINITY, (file, size) => {
      if (size < extent.bytes) {
        throw torn(
          path,
          `it ends after ${size} of the ${extent.bytes} bytes that its checkpoint saw`,
        );
      }
      const buffer = Buffer.alloc(piece);
      for (let done = 0; done < extent.bytes; ) {
        const read = readSync(file, buffer, 0, Math.min(piece, extent.bytes - done), done);
        if (read === 0) throw torn(path, `it became shorter while it was read`);
        const bytes = buffer.subarray(0, read);
        const start = Buffer.from(header).subarray(0, read);
        if (done === 0 && !bytes.subarray(0, start.length).equals(start)) {
          throw new RunError(
            `${path} has other columns than this version of the program writes: its run cannot go on. ${wayOut}`,
          );
        }
        hash.update(bytes);
        done += read;
      }
    });
  } catch (error) {
    if (error instanceof RunError) throw error;
    // A file that cannot be read now may well be whole.
    if (isSystemError(error)) {
      throw new DiskError(`cannot read ${path}: ${causeOf(error)}`, { cause: error });
    }
    throw torn(path, (error as Error).message);
  }
  if (hash.copy().digest('hex') !== extent.sha256) {
    throw torn(path, `its first ${extent.bytes} bytes are no longer what they were`);
  }
  return hash;
}

const wayOut =
  'Put back a copy of the file, or train the run anew: with --overwrite, and --only and --seeds to name it';

const torn = (path: string, how: string): RunError =>
  new RunError(`${path} was changed or damaged since the run was interrupted: ${how}. ${wayOut}`);
