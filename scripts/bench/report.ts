import { type Ratio, ratioText } from './statistics.js';

/** One line of what is measured. */
export interface Row {
  readonly what: string;
  readonly measured: string;
  readonly required: string;
  /** `not separated`: the requirement lies within the interval of the measured ratio. */
  readonly verdict: 'ok' | 'not separated' | 'MISSED';
}

/** A ratio that may not be above `most`, judged by its interval where it has one. */
export function atMost(what: string, ratio: Ratio | number, most: number): Row {
  const { low, high } = typeof ratio === 'number' ? { low: ratio, high: ratio } : ratio;
  const verdict = high <= most ? 'ok' : low > most ? 'MISSED' : 'not separated';
  return { what, measured: text(ratio), required: `<= ${most.toFixed(2)}`, verdict };
}

/** A ratio that may not be below `lowest`. */
export function atLeast(what: string, ratio: Ratio | number, lowest: number): Row {
  const { low, high } = typeof ratio === 'number' ? { low: ratio, high: ratio } : ratio;
  const verdict = low >= lowest ? 'ok' : high < lowest ? 'MISSED' : 'not separated';
  return { what, measured: text(ratio), required: `>= ${lowest.toFixed(2)}`, verdict };
}

const text = (ratio: Ratio | number) =>
  typeof ratio === 'number' ? ratio.toPrecision(3) : ratioText(ratio);

/** Lines up columns of text; numbers to the right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const cell = (text: string, column: number) =>
    column > 0 && /^[-\d]/.test(text) ? text.padStart(widths[column]) : text.padEnd(widths[column]);
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}

export function printRows(rows: readonly Row[]): void {
  if (rows.length === 0) return;
  const cells = rows.map(({ what, measured, required, verdict }) => [
    what,
    measured,
    required,
    verdict,
  ]);
  process.stdout.write(`${columns(cells)}\n`);
}
