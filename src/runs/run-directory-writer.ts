import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { RunError } from '../errors.js';
import { isLeftOver, removeFolderAtomic, writeFileAtomic } from '../files/atomic.js';
import { guardDisk } from '../files/disk.js';
import { makeFolder } from '../files/folder.js';
import { explainHeld, type FileLock, type HeldLock, lockOfOther, takeLock } from '../files/lock.js';
import { removeActivations } from './activations-file.js';
import { layerColumns, layersFile } from './layers.js';
import type { Metrics } from './metrics.js';
import { type MetricsExtent, MetricsWriter } from './metrics-writer.js';
import { removeModel } from './model-writer.js';
import { folderOf, keyOf, layersPath, metricsPath, type Written } from './run-directory.js';
import { type RunEntry, type RunId, type RunRecord, sameRun, writeRecord } from './run-json.js';

/** Name of the lock file in a run directory, and prefix of the files that belong to it. */
export const lockName = 'lock';

/**
 * Takes the lock of a run directory, so that only one process writes into it. The lock of a dead process is
 * taken over.
 * @throws RunError when another process holds it, DiskError
 */
export function lockDirectory(directory: string): FileLock {
  const path = join(directory, lockName);
  return guardDisk(path, () => takeLock(path, (lock) => refusal(directory, lock)));
}

/** @throws RunError when a living process, other than this one, holds the lock of a run directory */
export function refuseIfLocked(directory: string, mayWrite: boolean): void {
  const lock = lockOfOther(join(directory, lockName), mayWrite);
  if (lock !== undefined) throw refusal(directory, lock);
}

const refusal = (directory: string, lock: HeldLock): RunError =>
  new RunError(
    explainHeld(
      lock,
      `is writing into ${directory}`,
      'Wait for it, or write elsewhere with --out DIR',
    ),
  );

/** Whether a file in a run directory without a run.json is left from a process that was killed early. */
export const isLeftBySetUp = (name: string): boolean =>
  name === lockName || name.startsWith(`${lockName}.`) || isLeftOver(name);

/**
 * Writes a run directory whose lock this process holds. Every method throws DiskError, and LostLockError
 * once another process has taken over the lock.
 */
export class RunDirectoryWriter {
  #record: RunRecord;
  /** Of the runs that this process trained, by {@link keyOf}. */
  readonly #metrics = new Map<string, MetricsWriter>();
  readonly #layers = new Map<string, MetricsWriter>();

  private constructor(
    readonly path: string,
    readonly lock: FileLock,
    record: RunRecord,
  ) {
    this.#record = record;
  }

  /**
   * Writes run.json and config.yaml.
   * @param config text of config.yaml
   */
  static start(
    path: string,
    lock: FileLock,
    record: RunRecord,
    config: string,
  ): RunDirectoryWriter {
    removeLeftOvers(path);
    writeRecord(path, record);
    writeFileAtomic(join(path, 'config.yaml'), config);
    return new RunDirectoryWriter(path, lock, record);
  }

  get record(): RunRecord {
    return this.#record;
  }

  /** Removes the earlier results of a run that starts from scratch, or the temporary files of one that resumes. */
  prepare(run: RunId, resumes: boolean): void {
    const folder = folderOf(this.path, run);
    if (resumes) {
      removeLeftOvers(folder);
      // A process that was killed after the last batch may have written it.
      removeModel(folder);
      removeActivations(folder);
    } else {
      removeFolderAtomic(folder);
    }
  }

  /**
   * Marks a run as running, from its start or from a checkpoint.
   * @param totalBatches of the whole run
   * @param resumedAt batch of the checkpoint
   * @returns its entry
   */
  begin({ label, seed }: RunId, totalBatches: number, resumedAt?: number): RunEntry {
    const at = new Date().toISOString();
    const before = this.#record.runs.find((entry) => sameRun(entry, { label, seed }));
    const resumes = resumedAt !== undefined;
    makeFolder(folderOf(this.path, { label, seed }));
    const entry: RunEntry = {
      label,
      seed,
      status: 'RUNNING',
      startedAt: (resumes ? before?.startedAt : undefined) ?? at,
      totalBatches,
      resumed: resumes ? [...(before?.resumed ?? []), { at, batch: resumedAt }] : undefined,
    };
    this.update(entry);
    return entry;
  }

  /** Starts the metrics.csv of a run, or continues it after its first rows. */
  openMetrics(run: RunId, columns: readonly string[], after?: MetricsExtent): MetricsWriter {
    const path = metricsPath(this.path, run);
    const writer = after
      ? MetricsWriter.resume(path, columns, after)
      : MetricsWriter.create(path, columns);
    this.#metrics.set(keyOf(run), writer);
    return writer;
  }

  /** Starts the layers.csv of a run, or continues it after its first rows. */
  openLayers(run: RunId, after?: MetricsExtent): MetricsWriter {
    const path = layersPath(this.path, run);
    const writer = after
      ? MetricsWriter.resume(path, layerColumns, after, layersFile)
      : MetricsWriter.create(path, layerColumns, layersFile);
    this.#layers.set(keyOf(run), writer);
    return writer;
  }

  /** What the files of the runs that this process trained hold, by {@link keyOf}. */
  written(): ReadonlyMap<string, Written> {
    return new Map(
      [...this.#metrics].map(([key, writer]) => [
        key,
        { metrics: writer.metrics(), layers: this.#layers.get(key)?.metrics() },
      ]),
    );
  }

  /** The metrics of a run; undefined where this process has written none. */
  metrics(run: RunId): Metrics | undefined {
    return this.#metrics.get(keyOf(run))?.metrics();
  }

  /** Replaces the entry of one run in run.json. */
  update(entry: RunEntry): void {
    const runs = this.#record.runs.map((old) => (sameRun(old, entry) ? entry : old));
    this.#record = { ...this.#record, runs };
    writeRecord(this.path, this.#record);
  }

  /** Records the end of the session. */
  finish(): void {
    this.#record = { ...this.#record, endedAt: new Date().toISOString() };
    writeRecord(this.path, this.#record);
  }

  release(): void {
    this.lock.release();
  }
}

/** Removes temporary files of processes that were killed while they wrote. */
export function removeLeftOvers(path: string): void {
  for (const name of readdirSync(path).filter(isLeftOver)) {
    const file = join(path, name);
    guardDisk(file, () => rmSync(file, { recursive: true, force: true }));
  }
}
