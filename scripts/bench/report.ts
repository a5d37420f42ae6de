/** One line of what is measured. */
export interface Row {
  readonly what: string;
  readonly measured: string;
  /** Absent where a figure is for information only. */
  readonly required?: string;
  readonly ok?: boolean;
}

/** A ratio that may not be above `most`. */
export const atMost = (what: string, ratio: number, most: number): Row => ({
  what,
  measured: ratio.toFixed(2),
  required: `<= ${most.toFixed(2)}`,
  ok: ratio <= most,
});

/** A ratio that may not be below `least`. */
export const atLeast = (what: string, ratio: number, least: number): Row => ({
  what,
  measured: ratio.toFixed(2),
  required: `>= ${least.toFixed(2)}`,
  ok: ratio >= least,
});

/** Lines up columns of text; numbers to the right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const cell = (text: string, column: number) =>
    column > 0 && /^[-\d]/.test(text) ? text.padStart(widths[column]) : text.padEnd(widths[column]);
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}

export function printRows(rows: readonly Row[]): void {
  const verdict = ({ ok }: Row) => (ok === undefined ? '' : ok ? 'ok' : 'MISSED');
  const cells = rows.map((row) => [row.what, row.measured, row.required ?? '', verdict(row)]);
  process.stdout.write(`${columns(cells)}\n`);
}
