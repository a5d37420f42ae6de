import { CsvError, parse } from 'csv-parse/sync';
import { didYouMean } from '../../shared/suggest.js';
import { ContentError } from '../content-error.js';

/** Rows of a CSV file with a header: features, and the cells of one other column. */
export interface CsvTable {
  /** Names of the feature columns, in the order of `values`. */
  readonly columns: readonly string[];
  readonly rows: number;
  /** [rows, columns], row-major. */
  readonly values: Float32Array;
  /** The label column as text; absent without one. */
  readonly labels?: readonly string[];
  /** Line of each row, from 1. */
  readonly lines: Uint32Array;
}

export interface CsvOptions {
  /** The column of labels or targets. */
  readonly label?: string;
  /** A file without the column `label` is accepted. */
  readonly labelIsOptional?: boolean;
  /** The feature columns, in order: the file must have these, in any order, and no others. */
  readonly columns?: readonly string[];
}

/** @throws ContentError that names line and column */
export function parseCsv(content: Uint8Array, options: CsvOptions): CsvTable {
  let plan: Plan | undefined;
  let values = new Float32Array(1024);
  let rows = 0;
  const labels: string[] = [];
  const lines: number[] = [];
  const add = (cells: readonly string[], line: number): void => {
    if (plan === undefined) {
      plan = planOf(cells, options);
      return;
    }
    const { features, label, names } = plan;
    const width = features.length;
    if ((rows + 1) * width > values.length) {
      const larger = new Float32Array(2 * Math.max(values.length, width));
      larger.set(values);
      values = larger;
    }
    for (let j = 0; j < width; j++)
      values[rows * width + j] = numberIn(cells[features[j]], line, names[j]);
    if (label !== undefined) labels.push(cells[label].trim());
    lines.push(line);
    rows++;
  };
  try {
    parse(content as Buffer, {
      bom: true,
      skip_empty_lines: true,
      max_record_size: 1 << 24,
      on_record: (cells: string[], { lines }: { lines: number }) => {
        add(cells, lines);
        return null;
      },
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new ContentError(syntaxProblem(error));
  }
  if (plan === undefined) throw new ContentError('is empty: a header and rows are expected');
  if (rows === 0) throw new ContentError('has a header, but no rows');
  const { names, label } = plan as Plan;
  return {
    columns: names,
    rows,
    values: values.subarray(0, rows * names.length),
    ...(label !== undefined && { labels }),
    lines: Uint32Array.from(lines),
  };
}

interface Plan {
  /** Positions of the features in a row, and their names. */
  readonly features: readonly number[];
  readonly names: readonly string[];
  readonly label?: number;
}

function planOf(cells: readonly string[], { label, labelIsOptional, columns }: CsvOptions): Plan {
  const header = cells.map((cell) => cell.trim());
  // A file may have a hundred thousand columns: names are looked up in maps.
  const positions = new Map(header.map((name, i) => [name, i]));
  const twice = header.find((name, i) => positions.get(name) !== i);
  if (twice !== undefined) throw new ContentError(`has two columns named "${twice}" in its header`);
  if (header.every((name) => name !== '' && Number.isFinite(Number(name)))) {
    throw new ContentError(
      'has no header: its first line holds numbers, and names of columns are expected',
    );
  }
  const position = label === undefined ? -1 : (positions.get(label) ?? -1);
  if (label !== undefined && position < 0 && !labelIsOptional) {
    const hint = didYouMean(label, header) || `; its columns are ${listed(header)}`;
    throw new ContentError(`has no column "${label}"${hint}`);
  }
  const own = header.filter((_, i) => i !== position);
  if (own.length === 0)
    throw new ContentError(`has no column besides "${label}": there are no features`);
  const names = columns ?? own;
  const [owned, wanted] = [new Set(own), new Set(names)];
  const lacking = names.filter((name) => !owned.has(name));
  const extra = own.filter((name) => !wanted.has(name));
  if (lacking.length > 0 || extra.length > 0) {
    const parts = [
      ...(lacking.length > 0 ? [`lacks ${listed(lacking)}`] : []),
      ...(extra.length > 0 ? [`has ${listed(extra)} besides`] : []),
    ];
    throw new ContentError(`has other columns than the training file: it ${parts.join(', and ')}`);
  }
  return {
    features: names.map((name) => positions.get(name) as number),
    names,
    ...(position >= 0 && { label: position }),
  };
}

const listed = (names: readonly string[]): string =>
  names.length > 10 ? `${names.slice(0, 10).join(', ')}, ... (${names.length})` : names.join(', ');

function numberIn(cell: string, line: number, column: string): number {
  const text = cell.trim();
  const value = Math.fround(Number(text));
  if (text !== '' && Number.isFinite(value)) return value;
  const where = `in line ${line}, column "${column}"`;
  if (text === '')
    throw new ContentError(`has an empty cell ${where}; every feature needs a number`);
  const shown = text.length > 30 ? `${text.slice(0, 30)}...` : text;
  const isNumber = Number.isFinite(Number(text)) || /^[-+]?(nan|inf(inity)?)$/i.test(text);
  const problem = isNumber ? 'is not a finite 32-bit number' : 'is not a number';
  const hint = isNumber ? '' : '; encode it as numbers, or remove the column';
  throw new ContentError(`has "${shown}" ${where}, which ${problem}${hint}`);
}

function syntaxProblem(error: CsvError): string {
  const { code, message, lines, record } = error as CsvError & { lines?: number; record?: unknown };
  if (code === 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH' && Array.isArray(record)) {
    const expected = /expect (\d+)/.exec(message)?.[1];
    return `has ${record.length} cells in line ${lines}, and ${expected} in the lines before`;
  }
  if (code === 'CSV_QUOTE_NOT_CLOSED') return 'has a quote that is not closed';
  if (code === 'CSV_MAX_RECORD_SIZE') return 'has a line of more than 16 MB; is it a CSV file?';
  return `is not valid CSV (${message})`;
}
