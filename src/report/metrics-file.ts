import { readFileSync } from 'node:fs';
import { CsvError, parse } from 'csv-parse/sync';
import { RunError } from '../errors.js';
import { printable } from './text.js';

/** The columns every metrics.csv begins with; a method's own columns follow. */
export const commonColumns = [
  'method',
  'seed',
  'batch',
  'epoch',
  'wall_s',
  'train_loss',
  'train_accuracy',
  'test_loss',
  'test_accuracy',
  'objective',
  'residual',
  'step_ms',
] as const;

/** Columns of clocks: they differ between runs that are otherwise the same. */
export const clockColumns: readonly string[] = ['wall_s', 'step_ms'];

/** Numbers of one metrics.csv, column by column. */
export interface Metrics {
  /** The label of the run. */
  readonly method: string;
  readonly seed: number;
  readonly rows: number;
  /** Column name -> [rows] values; NaN where nothing was measured. Accuracies are shares in [0, 1]. */
  readonly columns: Readonly<Record<string, Float64Array>>;
}

export interface MetricsFile {
  readonly metrics: Metrics;
  /** Damage that was tolerated, in plain words. */
  readonly warnings: readonly string[];
}

/**
 * Reads a metrics.csv. A last line without its line end is what a killed run leaves: it is dropped,
 * with a warning.
 * @throws RunError naming file and line when the file cannot be read or is damaged anywhere else
 */
export function readMetrics(path: string): MetricsFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new RunError(`${path}: cannot be read (${(error as Error).message})`, { cause: error });
  }
  return parseMetrics(text, path);
}

/** {@link readMetrics} of text already in memory; `path` is for messages. */
export function parseMetrics(text: string, path: string): MetricsFile {
  const warnings: string[] = [];
  const end = text.lastIndexOf('\n') + 1;
  if (end === 0) throw damage(path, 1, 'the file has no complete line, not even a header');
  if (end < text.length) {
    const line = text.slice(0, end).split('\n').length;
    warnings.push(`${path}:${line}: the last line is incomplete (the run was cut off); left out`);
  }
  const [header, ...records] = parseRecords(text.slice(0, end), path);
  const names = header.record;
  checkHeader(names, path);

  const at = (name: string) => names.indexOf(name);
  const columns: Record<string, Float64Array> = Object.create(null);
  for (const name of names) {
    if (name !== 'method') columns[name] = new Float64Array(records.length);
  }
  for (const [row, { record, line }] of records.entries()) {
    if (record.length !== names.length) {
      throw damage(path, line, `${record.length} fields, but the header names ${names.length}`);
    }
    for (const [index, name] of names.entries()) {
      if (name !== 'method') columns[name][row] = readNumber(record[index], name, path, line);
    }
    const { batch } = columns;
    if (!Number.isInteger(batch[row]) || batch[row] < 1 || batch[row] <= (batch[row - 1] ?? 0)) {
      const text = record[at('batch')];
      throw damage(path, line, `batch is "${printable(text)}"; batches count up from 1`);
    }
  }
  const metrics = {
    method: records.length > 0 ? printable(records[0].record[at('method')]) : '',
    seed: columns.seed[0] ?? 0,
    rows: records.length,
    columns,
  };
  return { metrics, warnings };
}

interface LineRecord {
  readonly record: string[];
  readonly line: number;
}

function parseRecords(text: string, path: string): LineRecord[] {
  try {
    const options = { bom: true, info: true, relax_column_count: true, skip_empty_lines: true };
    const parsed = parse(text, options) as unknown as {
      record: string[];
      info: { lines: number };
    }[];
    if (parsed.length === 0) throw damage(path, 1, 'the file is empty, without even a header');
    return parsed.map(({ record, info }) => ({ record, line: info.lines }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw damage(path, Number(error.lines ?? 1), `not valid CSV (${printable(error.message)})`);
  }
}

function checkHeader(names: readonly string[], path: string): void {
  const missing = commonColumns.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    const plural = missing.length === 1 ? 'column' : 'columns';
    throw damage(path, 1, `this is no metrics file: ${plural} ${missing.join(', ')} missing`);
  }
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw damage(path, 1, `column "${printable(twice)}" appears twice`);
}

const nonFinite: Readonly<Record<string, number>> = {
  '': Number.NaN,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

function readNumber(text: string, name: string, path: string, line: number): number {
  if (Object.hasOwn(nonFinite, text)) return nonFinite[text];
  const value = Number(text);
  // Number() also reads blanks, hexadecimal and "1e999"; a metrics file holds none of these.
  if (!/^[-+.\d]/.test(text) || /[xXbBoO]/.test(text) || !Number.isFinite(value)) {
    throw damage(path, line, `${printable(name)} is "${printable(text)}", which is no number`);
  }
  if (name.endsWith('accuracy') && (value < 0 || value > 1)) {
    throw damage(path, line, `${printable(name)} is ${value}; accuracies are shares from 0 to 1`);
  }
  return value;
}

function damage(path: string, line: number, what: string): RunError {
  return new RunError(`${path}:${line}: ${what}`);
}
