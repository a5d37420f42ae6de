import { type MethodSummary, roundThresholds } from '../runs/summary.js';
import { type Estimate, largest } from '../shared/statistics.js';
import { duration, inPercent, percent, points, significant, threshold } from '../shared/text.js';

/** A cell: its text, and the number that it shows, if any. */
export interface Cell {
  readonly text: string;
  readonly value?: number;
}

/** A table as text cells. */
export interface Table {
  readonly head: readonly string[];
  /** One row a method; the first cell is the method. */
  readonly rows: readonly (readonly string[])[];
}

/** Thresholds that get a column: the highest three round ones that a method reaches with every seed. */
function tableThresholds(methods: readonly MethodSummary[]): number[] {
  return roundThresholds
    .filter((t) => methods.some((m) => m.secondsToAccuracy[t] !== undefined))
    .slice(-3);
}

/**
 * Columns: method, seeds, final accuracy as mean ± 95 % interval over seeds, best, training time to
 * the accuracies that at least one method reaches, time per step, training time. A dash: not measured
 * or not reached.
 */
export function resultTable(methods: readonly MethodSummary[]): {
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
} {
  const tested = methods.some(({ finalTestAccuracy }) => finalTestAccuracy !== undefined);
  const validated = methods.some((method) => method.finalValidationAccuracy !== undefined);
  const losses = lossesOf(methods);
  const final = losses
    ? `final ${losses.split} loss`
    : `final ${tested || !validated ? 'test' : 'validation'} accuracy`;
  const thresholds = tableThresholds(methods);
  const flipsOf = (method: MethodSummary) =>
    tested ? method.finalTestAccuracyFlips : method.finalValidationAccuracyFlips;
  const hasFlips = methods.some((method) => flipsOf(method) !== undefined);
  return {
    head: [
      'method',
      'seeds',
      final,
      ...(hasFlips ? [withFlips] : []),
      ...(tested ? ['best'] : []),
      ...thresholds.map((t) => `to ${threshold(t)}`),
      'ms/step',
      'train time',
    ],
    rows: methods.map((method) => [
      { text: withVariant(method.method, method.variant) },
      {
        text:
          method.completed === method.seeds
            ? String(method.seeds)
            : `${method.completed} of ${method.seeds}`,
        value: method.completed,
      },
      losses
        ? cell(losses.of(method), lossText)
        : cell(tested ? method.finalTestAccuracy : method.finalValidationAccuracy, accuracy),
      ...(hasFlips ? [cell(flipsOf(method), accuracy)] : []),
      ...(tested ? [share(method.bestTestAccuracy)] : []),
      ...thresholds.map((t) => cell(method.secondsToAccuracy[t], seconds)),
      cell(method.stepMs, ({ mean }) => significant(mean)),
      cell(method.wallSeconds, seconds),
    ]),
  };
}

/** The losses to show where no method has an accuracy: of a regression. */
function lossesOf(methods: readonly MethodSummary[]) {
  const has = (key: keyof MethodSummary) => methods.some((method) => method[key] !== undefined);
  if (has('finalTestAccuracy') || has('finalValidationAccuracy')) return undefined;
  if (has('finalTestLoss')) {
    return { split: 'test', of: ({ finalTestLoss }: MethodSummary) => finalTestLoss };
  }
  if (!has('finalValidationLoss')) return undefined;
  return {
    split: 'validation',
    of: ({ finalValidationLoss }: MethodSummary) => finalValidationLoss,
  };
}

/** The final table for a terminal: aligned plain text with a header and a note, without colours. */
export function formatTable(methods: readonly MethodSummary[]): string {
  const measure = lossesOf(methods) ? 'loss' : 'accuracy';
  const note = methods.some(({ completed }) => completed > 1) ? [tableNoteOf(measure)] : [];
  const { head, rows } = resultTable(methods);
  const table = { head, rows: rows.map((cells) => cells.map(({ text }) => text)) };
  return [...alignTable(table), ...note].join('\n');
}

/**
 * Lines of a table with a rule below its head; numbers are aligned to the right.
 * @param left number of columns, from the first, that are aligned to the left
 */
export function alignTable({ head, rows }: Table, left = 1): string[] {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => largest(lines.map((line) => line[column].length)));
  const aligned = lines.map((line) =>
    line
      .map((cell, i) => (i < left ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd(),
  );
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [aligned[0], rule, ...aligned.slice(1)];
}

const tableNoteOf = (measure: string) =>
  `${measure}: mean ± 95 % interval over seeds; times: training alone, means`;

export const tableNote = tableNoteOf('accuracy');

/** Head of the column of accuracies by the mean of the outputs for an image and its mirror image. */
export const withFlips = 'with flips';

export const missing = '–';

/** `fenchel (preconditioned)` */
export function withVariant(method: string, variant: string | undefined): string {
  if (variant === undefined) return method;
  // `fenchel (targetStep 0.1)` in an overlay.
  const [, label, detail] = /^(.*) \((.*)\)$/.exec(method) ?? [];
  return detail === undefined ? `${method} (${variant})` : `${label} (${variant}, ${detail})`;
}

/** Mean ± 95 % interval, in per cent. */
export function accuracy(value: Estimate | undefined): string {
  if (value === undefined) return missing;
  const spread = value.halfWidth === undefined ? '' : ` ± ${percent(value.halfWidth)}`;
  return `${percent(value.mean)}${spread} %`;
}

/** Mean ± interval of differences of accuracies, in percentage points: `-0.15 ± 0.22`. */
export function pointsText({ mean, halfWidth }: Estimate): string {
  return halfWidth === undefined ? points(mean) : `${points(mean)} ± ${percent(halfWidth)}`;
}

/** Mean ± 95 % interval of a loss. */
export function lossText({ mean, halfWidth }: Estimate): string {
  return `${mean.toPrecision(4)}${halfWidth === undefined ? '' : ` ± ${halfWidth.toPrecision(2)}`}`;
}

const cell = (value: Estimate | undefined, show: (value: Estimate) => string): Cell =>
  value === undefined ? { text: missing } : { text: show(value), value: value.mean };
const share = (value: number | undefined): Cell =>
  value === undefined ? { text: missing } : { text: inPercent(value), value };
const seconds = ({ mean }: Estimate) => duration(mean);
