import { closeSync, openSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import { temporaryName } from '../files/atomic.js';
import { guardDisk } from '../files/disk.js';
import { removeQuietly, renameWithRetry, syncFile } from '../files/system-calls.js';
import type { Metrics } from '../runs/metrics.js';
import type { Run } from '../runs/run-directory.js';

/** A run with a name of its own among those that are exported, which can be a relative path. */
export interface NamedRun {
  /** `LABEL-sSEED`, below `EXPERIMENT-DIRECTORY` where there are several run directories. */
  readonly name: string;
  readonly run: Run;
}

export function nameRuns(runs: readonly Run[]): NamedRun[] {
  const isOne = new Set(runs.map(({ directory }) => directory)).size <= 1;
  return runs.map((run) => {
    const own = portable(`${run.label}-s${run.seed}`);
    const above = portable(`${run.experiment}-${basename(run.directory)}`);
    return { name: isOne ? own : `${above}/${own}`, run };
  });
}

/** Names in run.json may be of any kind. */
const portable = (name: string) => name.replace(/[^A-Za-z0-9._-]/g, '_').replace(/^\.+/, '_');

/** Columns that say which row it is. */
const positions: readonly string[] = ['seed', 'batch', 'epoch', 'wall_s', 'layer'];

/** The columns of measurements, without those that are empty. */
export const measured = ({ columns }: Metrics): [string, Float64Array][] =>
  Object.entries(columns).filter(
    ([name, values]) => !positions.includes(name) && values.some((value) => !Number.isNaN(value)),
  );

export const longColumns = [
  'experiment',
  'directory',
  'method',
  'seed',
  'batch',
  'epoch',
  'wall_s',
  'layer',
  'metric',
  'value',
] as const;

/** Rows that are formatted together. */
const chunk = 10_000;

/**
 * Writes one row per measured value of all runs: the same ten columns, of the same types, whatever the methods
 * measure. Data frames and Parquet writers take it as it is.
 * @returns the number of rows
 * @throws DiskError; an earlier file is then unchanged
 */
export function writeLongTable(runs: readonly Run[], path: string): number {
  const temporary = temporaryName(path);
  let written = 0;
  guardDisk(path, () => {
    try {
      const file = openSync(temporary, 'wx');
      try {
        const write = (rows: readonly (readonly unknown[])[]) => {
          const bytes = Buffer.from(stringify(rows as unknown[][]));
          for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
        };
        write([longColumns]);
        for (const run of runs) {
          for (const rows of chunksOf(run)) {
            write(rows);
            written += rows.length;
          }
        }
        syncFile(file);
      } finally {
        closeSync(file);
      }
      renameWithRetry(temporary, path);
    } catch (error) {
      removeQuietly(temporary);
      throw error;
    }
  });
  return written;
}

function* chunksOf(run: Run) {
  const { experiment, directory, label, seed } = run;
  let rows: (string | number)[][] = [];
  for (const table of [run.metrics, ...(run.layers ? [run.layers] : [])]) {
    const columns = measured(table);
    const { batch, epoch, wall_s: wall, layer } = table.columns;
    for (let row = 0; row < table.rows; row++) {
      const at = [batch[row], epoch[row], wall?.[row] ?? '', layer?.[row] ?? ''];
      for (const [name, values] of columns) {
        const value = values[row];
        if (!Number.isNaN(value))
          rows.push([experiment, directory, label, seed, ...at, name, value]);
      }
      if (rows.length < chunk) continue;
      yield rows;
      rows = [];
    }
  }
  yield rows;
}
