import { readSync } from 'node:fs';
import { RunError } from '../errors.js';
import { withRegularFile } from '../files/regular-file.js';
import { type MetricsFile, parseMetrics, readMetrics, unreadable } from './metrics-file.js';

/** No line of a metrics.csv comes near this many bytes; longer ones are read all the same, slowly. */
const window = 1 << 13;

/**
 * Reads the last row of a metrics.csv alone, in time that does not depend on its length: what the
 * final results of many runs need. Damage further up is not seen.
 * @throws RunError naming file and line when header or last row are damaged
 */
export function readMetricsEnd(path: string): MetricsFile {
  const { head, tail } = readEnds(path);
  const header = head.slice(0, head.indexOf('\n') + 1);
  const end = tail.lastIndexOf('\n');
  const last = tail.slice(tail.lastIndexOf('\n', end - 1) + 1);
  // Short files are read as a whole, and so are damaged and cut off ones, to say where.
  const isPlain = tail.length === window && header !== '' && end === window - 1;
  if (!isPlain) return readMetrics(path);
  try {
    return parseMetrics(header + last, path);
  } catch (error) {
    if (error instanceof RunError) return readMetrics(path);
    throw error;
  }
}

/** Up to a window from either end of a file. */
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
