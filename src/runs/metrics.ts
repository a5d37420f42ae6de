import { CsvError, parse } from 'csv-parse/sync';
import { RunError } from '../errors.js';
import { readBytes } from '../files/read.js';
import { printable } from '../shared/text.js';

/** The first columns of every metrics.csv; a method's own columns follow. */
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

/** A kind of CSV file of a run. */
export interface TableKind {
  /** In messages. */
  readonly noun: string;
  /** Columns that it must have. */
  readonly required: readonly string[];
  /** Columns of numbers from 1 that number the rows: ascending, the first one first. */
  readonly order: readonly string[];
}

/** metrics.csv: one row per batch. */
export const metricsFile: TableKind = {
  noun: 'a metrics file',
  required: commonColumns,
  order: ['batch'],
};

/** Columns of measured times, which differ between runs that are otherwise the same. */
export const clockColumns: readonly string[] = ['wall_s', 'step_ms'];

/** Whether a column, or a field named like one, holds shares in [0, 1] of which 1 is best. */
export const isAccuracyColumn = (name: string): boolean => /accuracy(_flips)?$/.test(name);

/** Most rows times columns of such a file, so that it can be read into memory. */
export const mostCells = 1 << 24;
/** Most columns of such a file. */
const mostColumns = 1000;
/** Bytes; an endless line would fill the memory with empty fields. */
const longestLine = 100 * mostColumns;
/** Bytes; a number takes at most 16, with its comma. */
const mostBytes = 16 * mostCells;

/** Numbers of one metrics.csv or layers.csv, column by column. */
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
  /** Damage that was tolerated, as sentences. */
  readonly warnings: readonly string[];
}

/**
 * Reads a metrics.csv, or a file of another kind. A last line without its line end is what a killed run leaves: it is dropped,
 * with a warning.
 * @throws RunError naming file and line when the file cannot be read or is damaged anywhere else
 */
export function readMetrics(path: string, kind = metricsFile): MetricsFile {
  return parseMetrics(readMetricsBytes(path), path, kind);
}

/** The content of such a file. @throws RunError when it cannot be read or is too long to be one */
export function readMetricsBytes(path: string): Buffer {
  try {
    return readBytes(path, mostBytes);
  } catch (error) {
    throw unreadable(path, error);
  }
}

export const unreadable = (path: string, error: unknown): RunError =>
  new RunError(`${path}: cannot be read (${(error as Error).message})`, { cause: error });

/** {@link readMetrics} of content that is in memory; `path` is for messages. */
export function parseMetrics(
  content: Buffer | string,
  path: string,
  kind = metricsFile,
): MetricsFile {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const warnings: string[] = [];
  const end = bytes.lastIndexOf('\n') + 1;
  if (end === 0) throw damage(path, 1, 'the file has no complete line, not even a header');
  const lines = linesOf(bytes, path);
  if (end < bytes.length) {
    const line = lines + 1;
    warnings.push(`${path}:${line}: the last line is incomplete (the run was killed); ignored`);
  }
  let table: MetricsTable | undefined;
  eachRecord(bytes.subarray(0, end), path, (record, line) => {
    if (table !== undefined) return table.add(record, line);
    checkHeader(record, path, kind);
    table = new MetricsTable(record, path, kind);
  });
  if (table === undefined) throw damage(path, 1, 'the file is empty, without even a header');
  return { metrics: table.metrics(), warnings };
}

/** Rows as they are read or written; only their numbers are kept, since a file may have millions of rows. */
export class MetricsTable {
  readonly #columns: readonly GrowingColumn[];
  #method = '';
  #rows = 0;
  /** Position of each column that numbers the rows, and its value in the last row. */
  readonly #order: { readonly at: number; last: number }[];

  constructor(
    private readonly names: readonly string[],
    private readonly path: string,
    kind = metricsFile,
  ) {
    this.#columns = names.map(() => new GrowingColumn());
    const order = kind.order.filter((name) => names.includes(name));
    this.#order = order.map((name) => ({ at: names.indexOf(name), last: 0 }));
  }

  /** @param line number of the line, for messages */
  add(record: readonly string[], line = this.#rows + 2): void {
    const { names, path } = this;
    if (record.length !== names.length) {
      throw damage(path, line, `${record.length} fields, but the header names ${names.length}`);
    }
    this.#rows++;
    if (this.#rows * names.length > mostCells) throw damage(path, line, 'more rows than a run has');
    for (const [index, name] of names.entries()) {
      if (name === 'method') {
        if (this.#rows === 1) this.#method = printable(record[index]);
        continue;
      }
      const value = readNumber(record[index], name, path, line);
      this.#columns[index].push(value);
    }
    this.#checkOrder(record, line);
  }

  #checkOrder(record: readonly string[], line: number): void {
    let isLater = false;
    for (const column of this.#order) {
      const name = this.names[column.at];
      const value = Number(record[column.at]);
      const isLast = column === this.#order.at(-1);
      const tooSmall = !isLater && (isLast ? value <= column.last : value < column.last);
      if (!Number.isInteger(value) || value < 1 || tooSmall) {
        const text = printable(record[column.at]);
        const plural = name === 'batch' ? 'batches' : `${name}s`;
        throw damage(this.path, line, `${name} is "${text}"; ${plural} count up from 1`);
      }
      isLater ||= value > column.last;
      column.last = value;
    }
  }

  /** Adds the rows of a file that starts with the header of this table and consists of complete lines. */
  addFile(bytes: Buffer): void {
    let isHeader = true;
    eachRecord(bytes, this.path, (record, line) => {
      if (!isHeader) this.add(record, line);
      isHeader = false;
    });
  }

  /**
   * Adds complete lines that follow those added before.
   * @param line number of the first one
   */
  addLines(bytes: Buffer, line: number): void {
    eachRecord(bytes, this.path, (record, last) => this.add(record, line - 1 + last), line - 1);
  }

  get rows(): number {
    return this.#rows;
  }

  /** All rows, without copying them: later rows are not in it. */
  view(): Metrics {
    return this.#metrics((column) => column.view());
  }

  /** @param rows number of rows, from the first */
  metrics(rows = this.#rows): Metrics {
    return { ...this.#metrics((column) => column.first(rows)), rows };
  }

  #metrics(valuesOf: (column: GrowingColumn) => Float64Array): Metrics {
    const columns: Record<string, Float64Array> = Object.create(null);
    for (const [index, name] of this.names.entries()) {
      if (name !== 'method') columns[name] = valuesOf(this.#columns[index]);
    }
    return { method: this.#method, seed: columns.seed[0] ?? 0, rows: this.#rows, columns };
  }
}

/** Number of complete lines. @throws RunError for a line that is too long for a table of numbers */
function linesOf(bytes: Buffer, path: string): number {
  const lineEnd = 10;
  let lines = 0;
  let start = 0;
  // Byte by byte: there may be as many lines as bytes.
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== lineEnd) continue;
    lines++;
    if (at - start > longestLine) throw damage(path, lines, `a line of ${at - start} bytes`);
    start = at + 1;
  }
  return lines;
}

/**
 * @param use called with the fields of each record, and the line that it ends in
 * @param before number of lines of the file before these, for messages
 */
export function eachRecord(
  bytes: Buffer,
  path: string,
  use: (record: readonly string[], line: number) => void,
  before = 0,
): void {
  const [quote, carriageReturn] = [34, 13];
  if (!bytes.includes(quote) && !bytes.includes(carriageReturn)) {
    eachPlainRecord(bytes, path, use, before);
    return;
  }
  try {
    parse(bytes, {
      bom: true,
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: longestLine,
      on_record: (record: unknown, { lines }) => {
        use(record as string[], lines);
        // Nothing is collected.
        return null;
      },
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = before + Number(error.lines ?? 1);
    throw damage(path, line, `not valid CSV (${printable(error.message)})`);
  }
}

/** The same for lines without quotes, ten times faster. */
function eachPlainRecord(
  bytes: Buffer,
  path: string,
  use: (record: readonly string[], line: number) => void,
  before: number,
): void {
  const hasMark = before === 0 && bytes.subarray(0, 3).equals(byteOrderMark);
  let line = 0;
  for (let start = hasMark ? 3 : 0; start < bytes.length; ) {
    const found = bytes.indexOf(10, start);
    const end = found < 0 ? bytes.length : found;
    line++;
    if (end - start > longestLine)
      throw damage(path, before + line, `a line of ${end - start} bytes`);
    if (end > start) use(bytes.toString('utf8', start, end).split(','), line);
    start = end + 1;
  }
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** @throws RunError for names that are not those of such a file */
export function checkHeader(
  names: readonly string[],
  path: string,
  { noun, required }: TableKind = metricsFile,
): void {
  if (names.length > mostColumns) {
    throw damage(
      path,
      1,
      `${names.length} columns are more than the ${mostColumns} that it can have`,
    );
  }
  const missing = required.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    const plural = missing.length === 1 ? 'column' : 'columns';
    throw damage(path, 1, `not ${noun}: ${plural} ${missing.join(', ')} missing`);
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
    throw damage(path, line, `${printable(name)} is "${printable(text)}", which is not a number`);
  }
  if (isAccuracyColumn(name) && (value < 0 || value > 1)) {
    throw damage(path, line, `${printable(name)} is ${value}; accuracies are shares from 0 to 1`);
  }
  return value;
}

/** The error for bytes without a line end. */
export const noLine = (path: string, line: number, bytes: number): RunError =>
  damage(path, line, `a line of ${bytes} bytes`);

function damage(path: string, line: number, what: string): RunError {
  return new RunError(`${path}:${line}: ${what}`);
}

/** A column of numbers of unknown length. */
class GrowingColumn {
  #values = new Float64Array(16);
  #length = 0;

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(2 * this.#length);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  first(count: number): Float64Array {
    return this.#values.slice(0, Math.min(count, this.#length));
  }

  view(): Float64Array {
    return this.#values.subarray(0, this.#length);
  }
}
