import { stringify } from 'csv-stringify/sync';
import { alignTable, type Table } from '../../report/table.js';

/** The forms in which commands print tables. */
const tableForms = ['table', 'json', 'csv', 'markdown'] as const;
export type TableForm = (typeof tableForms)[number];

export type Cell = string | number | boolean | null | undefined;

/** Rows of plain values as CSV: numbers in full, empty cells where there is none. */
export function csv(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return stringify([columns, ...rows] as Cell[][], { cast: { boolean: String } });
}

/** @param words how many columns, from the first, hold words and are aligned to the left */
export function markdown({ head, rows }: Table, words: number): string {
  const rule = head.map((_, column) => (column < words ? '---' : '---:'));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return `${[head, rule, ...rows].map(line).join('\n')}\n`;
}

/** @param words as in {@link markdown} */
export function plainTable(table: Table, words: number): string {
  return `${alignTable(table, words).join('\n')}\n`;
}
