import { stringify } from 'csv-stringify/sync';
import type { Comparison } from '../../report/comparison.js';
import type { MethodComparison, PairedComparison } from '../../report/paired-comparison.js';
import { comparisonNotes, readingNotes } from '../../report/paired-notes.js';
import {
  type CellTable,
  differenceTable,
  methodName,
  ratioTable,
} from '../../report/paired-tables.js';
import { alignTable, type Table } from '../../report/table.js';
import type { Problem } from '../../runs/run-directory.js';
import { printable } from '../../shared/text.js';
import { markdown, shortPath } from './print.js';

/** `fln compare --against` in each form. */
export const pairedFormats = {
  table: (comparisons) => layOut(comparisons, textForm),
  markdown: (comparisons) => layOut(comparisons, markdownForm),
  csv: pairedCsv,
  json: (comparisons, { rows }, problems) =>
    `${JSON.stringify({ methods: rows, against: comparisons, problems }, null, 2)}\n`,
} as const satisfies Record<string, Format>;

/** @param comparison of the same directories, without pairs */
type Format = (
  comparisons: readonly PairedComparison[],
  comparison: Comparison,
  problems: readonly Problem[],
) => string;

interface Form {
  readonly heading: (text: string) => string[];
  readonly table: (table: CellTable) => string[];
  readonly notes: (notes: readonly string[]) => string[];
}

const plain = ({ head, rows }: CellTable): Table => ({
  head,
  rows: rows.map((cells) => cells.map(({ text }) => text)),
});

const textForm: Form = {
  heading: (text) => [`${text}:`],
  table: (table) => [...alignTable(plain(table), table.words), ''],
  notes: (notes) => notes.map((note) => `- ${note}`),
};

const markdownForm: Form = {
  heading: (text) => [`**${text}**`, ''],
  table: (table) => [markdown(plain(table), table.words)],
  notes: (notes) => notes.map((note) => `- ${note}`),
};

function layOut(comparisons: readonly PairedComparison[], form: Form): string {
  const parts = comparisons.flatMap((comparison) => {
    const { reference, methods, curve } = comparison;
    const directories = new Set([reference, ...methods].map(({ directory }) => directory));
    const several = comparisons.length > 1 || directories.size > 1;
    const run = directories.size > 1 ? (path: string) => printable(shortPath(path)) : undefined;
    const place = several ? `, ${printable(shortPath(reference.directory))}` : '';
    const name = `${methodName(reference)}${place}`;
    const ratios = ratioTable(comparison, run);
    const notes = form.notes(comparisonNotes(comparison, run));
    return [
      ...form.heading(`Compared with ${name}, paired by seed`),
      ...form.table(differenceTable(comparison, run)),
      ...(ratios
        ? [
            ...form.heading(`Training until a ${curve} accuracy is first reached`),
            ...form.table(ratios),
          ]
        : []),
      ...(notes.length > 0 ? [...notes, ''] : []),
    ];
  });
  return [...parts, ...form.notes(readingNotes(comparisons)), ''].join('\n');
}

/** A line for each difference and each ratio. Seeds are separated by spaces. */
function pairedCsv(comparisons: readonly PairedComparison[]): string {
  const records = comparisons.flatMap((comparison) =>
    comparison.methods.flatMap((method) => [
      finalRecord(comparison, method),
      ...method.ratios.flatMap((_, i) => ratioRecords(comparison, method, i)),
    ]),
  );
  return stringify(records, { header: true });
}

function finalRecord(comparison: PairedComparison, method: MethodComparison) {
  const { measure, pairs, final, difference, separated } = method;
  const { mean, halfWidth } = difference ?? {};
  const ends = mean === undefined || halfWidth === undefined ? [] : [-halfWidth, halfWidth];
  const [low, high] = ends.map((end) => mean! + end);
  return {
    ...common(comparison, method),
    measure: `final_${measure.kind}`,
    measured_on: measure.split,
    kind: 'difference',
    pairs: pairs.length,
    ...seedColumns(method.unpaired.map(({ seed }) => seed)),
    method_mean: number(final?.mean),
    reference_mean: number(comparison.reference.final?.mean),
    ...estimateColumns(comparison, { value: mean, low, high, separated }),
  };
}

function ratioRecords(comparison: PairedComparison, method: MethodComparison, at: number) {
  const { threshold, seeds, missed, ...ratios } = method.ratios[at];
  return (['batches', 'seconds'] as const).map((unit) => ({
    ...common(comparison, method),
    measure: `${unit}_to_${threshold}`,
    measured_on: comparison.curve,
    kind: 'ratio',
    pairs: seeds.length,
    ...seedColumns(
      method.unpaired.map(({ seed }) => seed),
      missed,
    ),
    method_mean: number(method.reached[at][unit]),
    reference_mean: number(comparison.reference.reached[at][unit]),
    ...estimateColumns(comparison, { value: ratios[unit]?.ratio, ...ratios[unit] }),
  }));
}

const common = ({ reference }: PairedComparison, method: MethodComparison) => ({
  directory: method.directory,
  experiment: method.experiment,
  method: method.method,
  variant: method.variant,
  reference_directory: reference.directory,
  reference: reference.method,
});

const seedColumns = (
  unpaired: readonly number[],
  missed: { readonly method: readonly number[]; readonly reference: readonly number[] } = {
    method: [],
    reference: [],
  },
) => ({
  unpaired_seeds: unpaired.join(' '),
  not_reached_seeds: missed.method.join(' '),
  reference_not_reached_seeds: missed.reference.join(' '),
});

const estimateColumns = (
  { confidenceLevel }: PairedComparison,
  interval: {
    readonly value?: number;
    readonly low?: number;
    readonly high?: number;
    readonly separated?: boolean;
  },
) => ({
  estimate: number(interval.value),
  low: number(interval.low),
  high: number(interval.high),
  confidence_level: number(confidenceLevel),
  separated: interval.separated === undefined ? '' : String(interval.separated),
});

/** Nine digits: enough for all measurements, without the noise of binary fractions. */
const number = (value: number | undefined) =>
  value === undefined ? undefined : Number(value.toPrecision(9));
