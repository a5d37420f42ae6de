import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { stringify } from 'csv-stringify/sync';
import type { Evaluation } from '../core/evaluate.js';
import type { ScoredStep } from '../core/training-run.js';
import { RunError } from '../errors.js';
import { temporaryName } from '../files/atomic.js';
import { causeOf, DiskError, errorName, guardDisk, isSystemError } from '../files/disk.js';
import { refuseIfLost } from '../files/lock.js';
import { withRegularFile } from '../files/read.js';
import { removeQuietly, renameWithRetry, syncFile } from '../files/system-calls.js';
import {
  commonColumns,
  type Metrics,
  MetricsTable,
  metricsFile,
  type TableKind,
} from './metrics.js';
import type { RunId } from './run-json.js';

/** Text is written as it is, numbers as {@link formatNumber} has them. */
export type Value = number | string | undefined;

/**
 * Appends rows to a metrics.csv or layers.csv. Rows are buffered and written as complete lines, and never changed
 * afterwards, so that a reader sees a valid table at any time. The numbers stay in memory: the process that
 * wrote the file need not read it.
 */
export class MetricsWriter {
  readonly #hash: Hash;
  readonly #table: MetricsTable;
  #size: number;
  /** Rows that the file has. */
  #rows: number;
  #pending: string[] = [];
  #flushedAt = performance.now();

  private constructor(
    readonly path: string,
    readonly columns: readonly string[],
    readonly file: number,
    start: { readonly hash: Hash; readonly size: number; readonly table: MetricsTable },
  ) {
    this.#hash = start.hash;
    this.#size = start.size;
    this.#table = start.table;
    this.#rows = start.table.rows;
  }

  /**
   * Starts a new file, with its header.
   * @throws DiskError
   */
  static create(path: string, columns: readonly string[], kind = metricsFile): MetricsWriter {
    refuseIfLost(path);
    const file = guardDisk(path, () => {
      // A new file, not a truncated one: a process that reads the old one is not disturbed.
      rmSync(path, { force: true });
      return openSync(path, 'ax');
    });
    const start = {
      hash: createHash('sha256'),
      size: 0,
      table: new MetricsTable(columns, path, kind),
    };
    const writer = new MetricsWriter(path, columns, file, start);
    writer.#pending.push(headerOf(columns));
    writer.flush();
    return writer;
  }

  /**
   * Continues after the first rows of a file, and drops the later ones. It writes to a copy that replaces the
   * file: a suspended process that still has the old file open cannot write into the new one.
   * @throws RunError when these rows were changed or have other columns; DiskError, LostLockError
   */
  static resume(
    path: string,
    columns: readonly string[],
    extent: MetricsExtent,
    kind: TableKind = metricsFile,
  ): MetricsWriter {
    const pieces: Buffer[] = [];
    const hash = hashOfStart(path, extent, headerOf(columns), (bytes) => pieces.push(bytes));
    const table = new MetricsTable(columns, path, kind);
    table.addFile(Buffer.concat(pieces));
    const copy = temporaryName(path);
    const file = guardDisk(path, () => {
      let opened: number | undefined;
      try {
        copyFileSync(path, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
        opened = openSync(copy, 'a');
        ftruncateSync(opened, extent.bytes);
        refuseIfLost(path);
        renameWithRetry(copy, path);
        return opened;
      } catch (error) {
        if (opened !== undefined) closeSync(opened);
        removeQuietly(copy);
        throw error;
      }
    });
    return new MetricsWriter(path, columns, file, { hash, size: extent.bytes, table });
  }

  /** @param row column name -> value; undefined or absent is "not measured" */
  append(row: Readonly<Record<string, Value>>): void {
    const record = this.columns.map((name) => formatValue(row[name]));
    this.#table.add(record);
    this.#pending.push(stringify([record]));
    // Rows of slow steps are written at once, for those who watch.
    const isOld = performance.now() - this.#flushedAt > 1000;
    if (this.#pending.length >= 50 || isOld) this.flush();
  }

  /** Writes the buffered rows. A full disk leaves no partial line. */
  flush(): void {
    if (this.#pending.length === 0) return;
    refuseIfLost(this.path);
    const bytes = Buffer.from(this.#pending.join(''));
    this.#pending = [];
    this.#flushedAt = performance.now();
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
    this.#rows = this.#table.rows;
  }

  /** The rows that are in the file. */
  metrics(): Metrics {
    return this.#table.metrics(this.#rows);
  }

  /** Flushes, and syncs the file to the disk. @returns its content */
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
      // Network mounts may report a full disk only on close.
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

/** The first bytes of a file that is appended to, complete lines, and their SHA-256. */
export interface MetricsExtent {
  readonly bytes: number;
  readonly sha256: string;
}

/** Bytes read at a time. */
const piece = 1 << 20;

/**
 * Verifies the rows of a metrics.csv or layers.csv that a checkpoint refers to, and returns their hash: a run never
 * resumes after rows that were changed or lost.
 * @param header expected first line, where it matters
 * @param use called with these rows, piece by piece
 * @throws RunError that names the file, the problem and what to do
 */
export function hashOfStart(
  path: string,
  extent: MetricsExtent,
  header = '',
  use: (bytes: Buffer) => void = () => {},
): Hash {
  const hash = createHash('sha256');
  try {
    withRegularFile(path, Number.POSITIVE_INFINITY, (file, size) => {
      if (size < extent.bytes) {
        throw torn(
          path,
          `it ends after ${size} of the ${extent.bytes} bytes that its checkpoint records`,
        );
      }
      for (let done = 0; done < extent.bytes; ) {
        const buffer = Buffer.alloc(Math.min(piece, extent.bytes - done));
        const read = readSync(file, buffer, 0, buffer.length, done);
        if (read === 0) throw torn(path, `it was shortened while it was read`);
        const bytes = buffer.subarray(0, read);
        const start = Buffer.from(header).subarray(0, read);
        if (done === 0 && !bytes.subarray(0, start.length).equals(start)) {
          throw new RunError(
            `${path} has other columns than this version of the program writes: its run cannot be resumed. ${wayOut}`,
          );
        }
        hash.update(bytes);
        use(bytes);
        done += read;
      }
    });
  } catch (error) {
    if (error instanceof RunError) throw error;
    if (errorName(error) === 'ENOENT') throw torn(path, 'it is missing');
    // A file that cannot be read now may be intact.
    if (isSystemError(error)) {
      throw new DiskError(`cannot read ${path}: ${causeOf(error)}`, { cause: error });
    }
    throw torn(path, (error as Error).message);
  }
  if (hash.copy().digest('hex') !== extent.sha256) {
    throw torn(path, `its first ${extent.bytes} bytes were changed`);
  }
  return hash;
}

const wayOut =
  'Put back a copy of the file, or retrain the run: --overwrite, with --only and --seeds to select it';

const torn = (path: string, how: string): RunError =>
  new RunError(`${path} was changed or damaged since the run was interrupted: ${how}. ${wayOut}`);

/** Columns of a metrics.csv: the common ones, the validation split's, those with mirror images and of streams, the method's own. */
export function metricsColumns(
  {
    validated,
    flips = false,
    stream = false,
  }: { readonly validated: boolean; readonly flips?: boolean; readonly stream?: boolean },
  own: readonly string[],
): string[] {
  const validation = validated ? ['validation_loss', 'validation_accuracy'] : [];
  const splits = validated ? ['test', 'validation'] : ['test'];
  const mirrored = flips ? splits.map((split) => `${split}_accuracy_flips`) : [];
  const online = stream ? ['prequential_accuracy'] : [];
  return [...commonColumns, ...validation, ...mirrored, ...online, ...own];
}

/** Measurements of one batch; times are milliseconds. */
export interface BatchMeasurement {
  readonly run: RunId;
  /** From 1. */
  readonly batch: number;
  /** From 1. */
  readonly epoch: number;
  /** Training time since the start of the run. */
  readonly wallMs: number;
  readonly stepMs: number;
  readonly step: ScoredStep;
  readonly test?: Evaluation;
  readonly validation?: Evaluation;
  /** Of a task, at its last batch. */
  readonly prequentialAccuracy?: number;
}

/** The row of metrics.csv for one batch. */
export function metricsRow(
  measured: BatchMeasurement,
): Record<string, number | string | undefined> {
  const { run, batch, epoch, step, test, validation } = measured;
  return {
    ...step.extra,
    method: run.label,
    seed: run.seed,
    batch,
    epoch,
    wall_s: (measured.wallMs / 1000).toFixed(6),
    train_loss: step.loss,
    train_accuracy: step.accuracy,
    test_loss: test?.loss,
    test_accuracy: test?.accuracy,
    objective: step.objective,
    residual: step.residual,
    step_ms: measured.stepMs.toFixed(3),
    validation_loss: validation?.loss,
    validation_accuracy: validation?.accuracy,
    test_accuracy_flips: test?.accuracyFlips,
    validation_accuracy_flips: validation?.accuracyFlips,
    prequential_accuracy: measured.prequentialAccuracy,
  };
}
