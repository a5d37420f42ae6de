import { type Estimate, fewSeeds } from '../shared/statistics.js';
import { duration, plural, threshold as thresholdText } from '../shared/text.js';
import type { ComparedMethod, MethodComparison, PairedComparison } from './paired-comparison.js';
import { measureName } from './pairing.js';
import { accuracy, type Cell, lossText, missing, pointsText, withVariant } from './table.js';
import type { Ratio, Reached, ThresholdComparison } from './time-to-accuracy.js';

/** A paired comparison as tables, for the terminal, Markdown and report.html; the notes below them: paired-notes.ts. */

export interface CellTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** Number of columns, from the first, that are text. */
  readonly words: number;
}

export const methodName = ({ method, variant }: Pick<ComparedMethod, 'method' | 'variant'>) =>
  withVariant(method, variant);

/**
 * Final results, and their differences from the reference.
 * @param run the name of a run directory, in a column of its own; absent: no column
 */
export function differenceTable(
  { reference, methods }: PairedComparison,
  run?: (directory: string) => string,
): CellTable {
  const measures = [...new Set([reference, ...methods].map(({ measure }) => measureName(measure)))];
  const mixed = measures.length > 1;
  const first = (method: ComparedMethod): Cell[] => [
    ...(run ? [{ text: run(method.directory) }] : []),
    { text: methodName(method) },
    finalCell(method),
    ...(mixed ? [{ text: measureName(method.measure) }] : []),
  ];
  return {
    head: [
      ...(run ? ['run'] : []),
      'method',
      mixed ? 'final result' : `final ${measures[0]}`,
      ...(mixed ? ['measured'] : []),
      'pairs',
      'difference',
    ],
    rows: [
      [...first(reference), { text: missing }, { text: 'reference' }],
      ...methods.map((method) => {
        const all = method.pairs.length + method.unpaired.length;
        return [...first(method), pairsCell(method.pairs.length, all), differenceCell(method)];
      }),
    ],
    words: run ? 2 : 1,
  };
}

/** Training until each threshold is first reached, and its ratio to the reference; undefined without thresholds. */
export function ratioTable(
  { reference, methods, thresholds }: PairedComparison,
  run?: (directory: string) => string,
): CellTable | undefined {
  const measured = methods.filter(({ ratios }) => ratios.length > 0);
  if (thresholds.length === 0 || measured.length === 0) return undefined;
  const first = (threshold: number, method: ComparedMethod): Cell[] => [
    { text: thresholdText(threshold), value: threshold },
    ...(run ? [{ text: run(method.directory) }] : []),
    { text: methodName(method) },
  ];
  const rows = thresholds.flatMap((threshold, i) => [
    [...first(threshold, reference), ...reachedCells(reference.reached[i])],
    ...measured.map((method) => [
      ...first(threshold, method),
      ...reachedCells(method.reached[i], method.ratios[i]),
    ]),
  ]);
  return {
    head: [
      'accuracy',
      ...(run ? ['run'] : []),
      'method',
      'reach it',
      'batches',
      'ratio of batches',
      'time',
      'ratio of times',
    ],
    rows,
    words: run ? 3 : 2,
  };
}

function finalCell({ final, measure }: ComparedMethod): Cell {
  if (final === undefined) return { text: missing };
  const text = measure.kind === 'loss' ? lossText(final) : accuracy(final);
  return { text, value: final.mean };
}

const few = (pairs: number) => (pairs > 0 && pairs < fewSeeds ? ` (n < ${fewSeeds})` : '');

const pairsCell = (pairs: number, all: number): Cell => ({
  text: `${pairs === all ? pairs : `${pairs} of ${all}`}${few(pairs)}`,
  value: pairs,
});

/** What to know before a number, which stays aligned to the right. */
const qualified = (text: string, separated: boolean | undefined, over?: string): string => {
  const remarks = [
    ...(over === undefined ? [] : [over]),
    ...(separated === undefined ? ['no interval'] : separated ? [] : ['not separated']),
  ];
  return remarks.length > 0 ? `${remarks.join(', ')}: ${text}` : text;
};

function differenceCell({ difference, separated, measure }: MethodComparison): Cell {
  if (difference === undefined) return { text: missing };
  const text = measure.kind === 'loss' ? lossDifference(difference) : pointsText(difference);
  return { text: qualified(text, separated), value: difference.mean };
}

function lossDifference({ mean, halfWidth }: Estimate): string {
  const sign = mean < 0 ? '-' : '+';
  const size = Math.abs(mean).toPrecision(3);
  return `${sign}${size}${halfWidth === undefined ? '' : ` ± ${halfWidth.toPrecision(2)}`}`;
}

/** @param ratios absent for the reference */
function reachedCells(reached: Reached, ratios?: ThresholdComparison): Cell[] {
  const { runs, count, batches, seconds } = reached;
  const pairs = ratios?.seeds.length ?? 0;
  const ratio = (of: Ratio | undefined): Cell => {
    if (ratios === undefined) return { text: count > 0 ? 'reference' : missing };
    if (of === undefined) return { text: missing };
    const over = pairs < count ? plural(pairs, 'pair') : undefined;
    return { text: qualified(ratioText(of), of.separated, over), value: of.ratio };
  };
  return [
    { text: `${count} of ${runs}${few(pairs)}`, value: count },
    batches === undefined ? { text: missing } : { text: digits(batches), value: batches },
    ratio(ratios?.batches),
    seconds === undefined ? { text: missing } : { text: duration(seconds), value: seconds },
    ratio(ratios?.seconds),
  ];
}

/** `2.55 [2.21, 2.94]` */
function ratioText({ ratio, low, high }: Ratio): string {
  if (low === undefined || high === undefined) return digits(ratio);
  return `${digits(ratio)} [${digits(low)}, ${digits(high)}]`;
}

/** Three digits, all of those before the point. */
function digits(value: number): string {
  if (value >= 1e6 || value < 1e-3) return value.toExponential(1);
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
