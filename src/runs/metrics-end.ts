import { readSync } from 'node:fs';
import { RunError } from '../errors.js';
import { withRegularFile } from '../files/read.js';
import { type MetricsFile, parseMetrics, readMetrics, unreadable } from './metrics.js';

/** Bytes; lines are normally much shorter. Longer ones are read too, but slowly. */
const window = 1 << 13;

/**
 * Reads only the last row of a metrics.csv, in time that does not depend on its length, for the final
 * results of many runs. Damage in other rows is not detected.
 * @throws RunError naming file and line when header or last row are damaged
 */
export function readMetricsEnd(path: string): MetricsFile {
  const { head, tail } = readEnds(path);
  const header = head.slice(0, head.indexOf('\n') + 1);
  const end = tail.lastIndexOf('\n');
  const last = tail.slice(tail.lastIndexOf('\n', end - 1) + 1);
  // Short files are read as a whole, and so are damaged and truncated ones, for the line number.
  const isPlain = tail.length === window && header !== '' && end === window - 1;
  if (!isPlain) return readMetrics(path);
  try {
    return parseMetrics(header + last, path);
  } catch (error) {
    if (error instanceof RunError) return readMetrics(path);
    throw error;
  }
}

/** The first and the last bytes of a file, at most a window of each. */
function readEnds(path: string): { head: string; tail: string } {
  try {
    return withRegularFile(path, Number.POSITIVE_INFINITY, (file, size) => {
      const read = (position: number) => {
        const buffer = Buffer.alloc(Math.min(window, size));
        return buffer.toString('utf8', 0, readSync(file, buffer, 0, buffer.length, position));
      };
      return { head: read(0), tail: read(Math.max(0, size - window)) };
    });
  } catch (error) {
    throw unreadable(path, error);
  }
}
