import { stringify } from 'csv-stringify/sync';
import type { Comparison, ComparisonRow } from '../../report/comparison.js';
import {
  accuracy,
  alignTable,
  lossText,
  missing,
  type Table,
  withFlips,
  withVariant,
} from '../../report/table.js';
import type { Problem } from '../../runs/run-directory.js';
import { fewSeeds } from '../../shared/statistics.js';
import { duration, grouped, inPercent, points, printable } from '../../shared/text.js';
import { markdown, shortPath } from './print.js';

/** `fln compare` in each form. */
export const comparisonFormats = {
  table: comparisonText,
  json: comparisonJson,
  csv: comparisonCsv,
  markdown: comparisonMarkdown,
} as const satisfies Record<string, Format>;

/** @param problems directories that were left out, for JSON; the other forms print them to stderr */
type Format = (comparison: Comparison, problems: readonly Problem[]) => string;

function comparisonText({ rows }: Comparison): string {
  const table = comparisonTable(rows);
  const difference = hasPaper(rows) ? ' difference: from the paper, in percentage points;' : '';
  const cost = isTuned(rows) ? '; tuning: of all trials together' : '';
  const note =
    `${measureOf(rows)}: mean ± 95 % interval over seeds${hasFewSeeds(rows) ? fewSeedsNote : ''};` +
    `${difference} train time: mean, without evaluation${cost}`;
  return `${[...alignTable(table, wordColumns(table)), note].join('\n')}\n`;
}

function comparisonMarkdown({ rows }: Comparison): string {
  const table = comparisonTable(rows);
  return markdown(table, wordColumns(table));
}

function comparisonCsv({ rows }: Comparison): string {
  const records = rows.map((row) => ({
    directory: row.directory,
    experiment: row.experiment,
    method: row.method,
    variant: row.variant,
    seeds: row.seeds,
    completed: row.completed,
    measured_on: row.measuredOn,
    accuracy: number(row.accuracy?.mean),
    ...(hasFlips(rows) && {
      accuracy_flips: number(row.accuracyFlips?.mean),
      half_width_95_flips: number(row.accuracyFlips?.halfWidth),
    }),
    loss: number(row.loss?.mean),
    half_width_95: number((row.accuracy ?? row.loss)?.halfWidth),
    paper: number(row.paper),
    difference: number(row.difference),
    train_s: number(row.trainSeconds?.mean),
    ...(isTuned(rows) && {
      tuning_trials: row.tuning?.trials,
      tuning_batches: row.tuning?.batches,
      tuning_s: number(row.tuning?.seconds),
    }),
  }));
  return stringify(records, { header: true });
}

function comparisonJson({ rows }: Comparison, problems: readonly Problem[]): string {
  return `${JSON.stringify({ methods: rows, problems }, null, 2)}\n`;
}

/** Cells of the text and the Markdown table, with a column for the directory if there are several. */
export function comparisonTable(rows: readonly ComparisonRow[]): Table {
  const several = new Set(rows.map(({ directory }) => directory)).size > 1;
  const splits = [...new Set(rows.flatMap(({ measuredOn }) => measuredOn ?? []))];
  const mixed = splits.length > 1;
  const measure = measureOf(rows);
  const compared = hasPaper(rows);
  const tuned = isTuned(rows);
  return {
    head: [
      ...(several ? ['run'] : []),
      'method',
      'seeds',
      mixed ? `final ${measure}` : `final ${splits[0]} ${measure}`,
      ...(hasFlips(rows) ? [withFlips] : []),
      ...(mixed ? ['measured on'] : []),
      ...(compared ? ['paper', 'difference'] : []),
      'train time',
      ...(tuned ? ['tuning trials', 'tuning batches', 'tuning time'] : []),
    ],
    rows: rows.map((row) => [
      ...(several ? [printable(shortPath(row.directory))] : []),
      withVariant(row.method, row.variant),
      row.completed === row.seeds ? String(row.seeds) : `${row.completed} of ${row.seeds}`,
      row.loss ? lossText(row.loss) : accuracy(row.accuracy),
      ...(hasFlips(rows) ? [accuracy(row.accuracyFlips)] : []),
      ...(mixed ? [row.measuredOn ?? missing] : []),
      ...(compared
        ? [
            row.paper === undefined ? missing : inPercent(row.paper),
            row.difference === undefined ? missing : points(row.difference),
          ]
        : []),
      row.trainSeconds ? duration(row.trainSeconds.mean) : missing,
      ...(tuned ? tuningCells(row) : []),
    ]),
  };
}

const hasFlips = (rows: readonly ComparisonRow[]) =>
  rows.some(({ accuracyFlips }) => accuracyFlips !== undefined);

const isTuned = (rows: readonly ComparisonRow[]) => rows.some(({ tuning }) => tuning);

const tuningCells = ({ tuning }: ComparisonRow) =>
  tuning
    ? [grouped(tuning.trials), grouped(tuning.batches), duration(tuning.seconds)]
    : [missing, missing, missing];

/** Losses of a regression are not compared with the paper, which has accuracies. */
const hasPaper = (rows: readonly ComparisonRow[]) => measureOf(rows) !== 'loss';

/** Whether an interval is over so few seeds that a reader should know. */
const hasFewSeeds = (rows: readonly ComparisonRow[]) =>
  rows.some(({ accuracy, loss }) => {
    const { n = 0 } = accuracy ?? loss ?? {};
    return n > 1 && n < fewSeeds;
  });

const fewSeedsNote = ` (n < ${fewSeeds}: wide and uncertain)`;

/** Runs of a regression have a loss instead of an accuracy. */
function measureOf(rows: readonly ComparisonRow[]): string {
  if (!rows.some(({ loss }) => loss !== undefined)) return 'accuracy';
  return rows.some(({ accuracy }) => accuracy !== undefined) ? 'accuracy or loss' : 'loss';
}

/** Number of columns, from the first, that are text. */
export const wordColumns = ({ head }: Table) => head.indexOf('method') + 1;

/** Nine digits: enough for all measurements, without the noise of binary fractions. */
const number = (value: number | undefined) =>
  value === undefined ? undefined : Number(value.toPrecision(9));
