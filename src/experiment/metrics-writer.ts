import { closeSync, fstatSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { stringify } from 'csv-stringify/sync';
import { guardDisk } from '../files/disk.js';

/** How a column is written; the default is {@link formatNumber}. */
type Value = number | string | undefined;

/**
 * Appends rows to a metrics.csv. Rows are buffered and reach the file as whole lines; what is
 * written is never touched again, so a reader sees a valid table at any moment.
 */
export class MetricsWriter {
  readonly #file: number;
  #pending: string[] = [];

  /**
   * Starts the file anew, with its header.
   * @throws DiskError
   */
  constructor(
    readonly path: string,
    readonly columns: readonly string[],
  ) {
    this.#file = guardDisk(path, () => {
      // A new file rather than a truncated one: whoever still reads the old one keeps it whole.
      rmSync(path, { force: true });
      return openSync(path, 'ax');
    });
    this.#pending.push(stringify([[...columns]]));
    this.flush();
  }

  /** @param row column name -> value; undefined or absent means "not measured" */
  append(row: Readonly<Record<string, Value>>): void {
    this.#pending.push(stringify([this.columns.map((name) => formatValue(row[name]))]));
    if (this.#pending.length >= 50) this.flush();
  }

  /** Writes what is buffered. A disk that fills up half-way leaves no part of a line. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = Buffer.from(this.#pending.join(''));
    this.#pending = [];
    guardDisk(this.path, () => {
      const start = fstatSync(this.#file).size;
      try {
        for (let written = 0; written < bytes.length; ) {
          written += writeSync(this.#file, bytes, written);
        }
      } catch (error) {
        ftruncateSync(this.#file, start);
        throw error;
      }
    });
  }

  /** Flushes and closes; the file is closed even when the flush fails. */
  close(): void {
    try {
      this.flush();
    } finally {
      closeSync(this.#file);
    }
  }
}

/** The shortest decimal that has up to 9 significant digits: enough to tell any two float32 apart. */
export function formatNumber(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(9))) : '';
}

function formatValue(value: Value): string {
  return typeof value === 'number' ? formatNumber(value) : (value ?? '');
}
