import { readSync, type Stats } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FlnError } from '../errors.js';
import { statsOf, withRegularFile } from '../files/read.js';
import {
  checkHeader,
  eachRecord,
  type MetricsFile,
  MetricsTable,
  metricsFile,
  noLine,
  unreadable,
} from './metrics.js';

/** Bytes that are read between two turns of the event loop. */
const piece = 1 << 20;
/** Bytes before the end of what was read that tell a longer file from another one. */
const mark = 64;
/** ms without a change after which an incomplete last line is not one that is being written. */
const settled = 10_000;

/**
 * Reads a metrics.csv, or a file of another kind, that another process writes: each time only what was appended. A file that was
 * replaced, truncated or rewritten, as when a run resumes, is read from its start.
 */
export class MetricsFollower {
  #stats: Stats | undefined;
  #table: MetricsTable | undefined;
  /** Bytes and lines of the complete lines that were read. */
  #read = 0;
  #lines = 0;
  #mark = Buffer.alloc(0);
  /** Damage of the lines that were read: it stays until the file is replaced. */
  #damage: FlnError | undefined;
  /** Why the file could not be read the last time. */
  #error: FlnError | undefined;

  constructor(
    readonly path: string,
    private readonly kind = metricsFile,
  ) {}

  /** Numbers in memory. */
  get cells(): number {
    const { rows, columns } = this.#table?.view() ?? { rows: 0, columns: {} };
    return rows * Object.keys(columns).length;
  }

  /** Reads what is new. Errors are thrown by {@link file}. */
  async update(): Promise<void> {
    this.#error = undefined;
    for (;;) {
      const before = this.#read;
      try {
        this.#readPiece();
      } catch (error) {
        if (error instanceof FlnError) this.#damage = error;
        else this.#error = unreadable(this.path, error);
        return;
      }
      if (this.#read - before < piece / 2) return;
      await nextTurn();
    }
  }

  /**
   * The rows that were read; none where there is not even a header yet.
   * @throws RunError as `readMetrics` does
   */
  file(): MetricsFile {
    const error = this.#damage ?? this.#error;
    if (error) throw error;
    const stats = this.#stats;
    const isCut = stats !== undefined && this.#read < stats.size;
    const warnings =
      isCut && Date.now() - stats.mtimeMs > settled
        ? [`${this.path}:${this.#lines + 1}: the last line is incomplete; ignored`]
        : [];
    const metrics = this.#table?.view() ?? { method: '', seed: 0, rows: 0, columns: {} };
    return { metrics, warnings };
  }

  #readPiece(): void {
    const found = statsOf(this.path);
    const known = this.#stats;
    if (found === undefined) {
      this.#restart();
      return;
    }
    const isSame = known?.ino === found.ino && known.dev === found.dev;
    const isUnchanged = isSame && known.mtimeMs === found.mtimeMs && known.size === found.size;
    if (isUnchanged && (this.#damage || this.#read === found.size)) return;
    withRegularFile(this.path, Number.POSITIVE_INFINITY, (file) => {
      const read = (from: number, most: number) => {
        const buffer = Buffer.alloc(most);
        return buffer.subarray(0, readSync(file, buffer, 0, most, from));
      };
      const wasRewritten = () =>
        !read(this.#read - this.#mark.length, this.#mark.length).equals(this.#mark);
      if (!isSame || found.size < this.#read || wasRewritten()) this.#restart();
      this.#stats = found;
      if (this.#damage) return;
      const bytes = read(this.#read, Math.min(piece, found.size - this.#read));
      const end = bytes.lastIndexOf('\n') + 1;
      if (end === 0 && bytes.length === piece) throw noLine(this.path, this.#lines + 1, piece);
      if (end > 0) this.#add(bytes.subarray(0, end));
    });
  }

  #add(lines: Buffer): void {
    // Also of damaged lines: later ones are not read.
    this.#read += lines.length;
    this.#mark = Buffer.from(Buffer.concat([this.#mark, lines]).subarray(-mark));
    let rows = lines;
    if (this.#table === undefined) {
      const end = lines.indexOf('\n') + 1;
      eachRecord(lines.subarray(0, end), this.path, (names) => {
        checkHeader(names, this.path, this.kind);
        this.#table = new MetricsTable(names, this.path, this.kind);
      });
      rows = lines.subarray(end);
      this.#lines = 1;
    }
    this.#table?.addLines(rows, this.#lines + 1);
    for (const byte of rows) if (byte === 10) this.#lines++;
  }

  #restart(): void {
    this.#stats = undefined;
    this.#table = undefined;
    this.#read = 0;
    this.#lines = 0;
    this.#mark = Buffer.alloc(0);
    this.#damage = undefined;
  }
}
