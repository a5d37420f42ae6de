import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { stringify } from 'csv-stringify/sync';
import { temporaryName } from '../files/atomic.js';
import { guardDisk } from '../files/disk.js';
import { refuseIfLost } from '../files/lock.js';
import { removeQuietly, renamePatiently, syncFile } from '../files/system-calls.js';
import { hashOfStart, type MetricsExtent } from './metrics-start.js';

/** How a column is written; the default is {@link formatNumber}. */
type Value = number | string | undefined;

/**
 * Appends rows to a metrics.csv. Rows are buffered and reach the file as whole lines; what is
 * written is never touched again, so a reader sees a valid table at any moment.
 */
export class MetricsWriter {
  readonly #hash: Hash;
  #size: number;
  #pending: string[] = [];

  private constructor(
    readonly path: string,
    readonly columns: readonly string[],
    readonly file: number,
    start: { readonly hash: Hash; readonly size: number },
  ) {
    this.#hash = start.hash;
    this.#size = start.size;
  }

  /**
   * Starts the file anew, with its header.
   * @throws DiskError
   */
  static create(path: string, columns: readonly string[]): MetricsWriter {
    refuseIfLost(path);
    const file = guardDisk(path, () => {
      // A new file rather than a truncated one: whoever still reads the old one keeps it whole.
      rmSync(path, { force: true });
      return openSync(path, 'ax');
    });
    const writer = new MetricsWriter(path, columns, file, { hash: createHash('sha256'), size: 0 });
    writer.#pending.push(headerOf(columns));
    writer.flush();
    return writer;
  }

  /**
   * Goes on after the first rows of a file, and drops those behind them. It does so in a copy, put in the
   * place of the file: a process that had the file open before, and wakes up, does not write into ours.
   * @throws RunError when these are no longer what they were, or have other columns; DiskError, LostLockError
   */
  static resume(path: string, columns: readonly string[], extent: MetricsExtent): MetricsWriter {
    const hash = hashOfStart(path, extent, headerOf(columns));
    const copy = temporaryName(path);
    const file = guardDisk(path, () => {
      let opened: number | undefined;
      try {
        copyFileSync(path, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
        opened = openSync(copy, 'a');
        ftruncateSync(opened, extent.bytes);
        refuseIfLost(path);
        renamePatiently(copy, path);
        return opened;
      } catch (error) {
        if (opened !== undefined) closeSync(opened);
        removeQuietly(copy);
        throw error;
      }
    });
    return new MetricsWriter(path, columns, file, { hash, size: extent.bytes });
  }

  /** @param row column name -> value; undefined or absent means "not measured" */
  append(row: Readonly<Record<string, Value>>): void {
    this.#pending.push(stringify([this.columns.map((name) => formatValue(row[name]))]));
    if (this.#pending.length >= 50) this.flush();
  }

  /** Writes what is buffered. A disk that fills up half-way leaves no part of a line. */
  flush(): void {
    if (this.#pending.length === 0) return;
    refuseIfLost(this.path);
    const bytes = Buffer.from(this.#pending.join(''));
    this.#pending = [];
    guardDisk(this.path, () => {
      const start = fstatSync(this.file).size;
      try {
        for (let written = 0; written < bytes.length; ) {
          written += writeSync(this.file, bytes, written);
        }
      } catch (error) {
        ftruncateSync(this.file, start);
        throw error;
      }
    });
    this.#hash.update(bytes);
    this.#size += bytes.length;
  }

  /** Flushes, and waits until the disk has it. @returns what the file holds now */
  sync(): MetricsExtent {
    this.flush();
    guardDisk(this.path, () => syncFile(this.file));
    return { bytes: this.#size, sha256: this.#hash.copy().digest('hex') };
  }

  /** Flushes and closes; the file is closed even when the flush fails. */
  close(): void {
    try {
      this.flush();
    } finally {
      // Network mounts tell of a full disk only now.
      guardDisk(this.path, () => closeSync(this.file));
    }
  }
}

const headerOf = (columns: readonly string[]): string => stringify([[...columns]]);

/** The shortest decimal that has up to 9 significant digits: enough to tell any two float32 apart. */
export function formatNumber(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(9))) : '';
}

function formatValue(value: Value): string {
  return typeof value === 'number' ? formatNumber(value) : (value ?? '');
}
