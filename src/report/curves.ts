import { basename, dirname, resolve } from 'node:path';
import { isAccuracyColumn } from '../runs/metrics.js';
import { metricsPath, type Problem, type Run } from '../runs/run-directory.js';
import { average, estimate, largest, smallest } from '../shared/statistics.js';
import { detailsOf, type Settings } from './overlay.js';

/** One point of a learning curve. Accuracies are shares in [0, 1]. */
export interface CurvePoint {
  /** In a figure against a setting, the value of that. */
  readonly batch: number;
  /** Passes over the training set. */
  readonly epoch: number;
  /** Training seconds, mean over seeds. */
  readonly seconds: number;
  /** Mean over seeds. */
  readonly value: number;
  /** Lower and upper edge of the band. */
  readonly low: number;
  readonly high: number;
}

/**
 * What the band around a mean curve shows: smallest and largest value over the seeds, or the 95 % Student-t
 * interval of the mean.
 */
export type Band = 'range' | 'interval' | 'none';

/** The learning curve of one method. */
export interface Curve {
  readonly name: string;
  readonly points: readonly CurvePoint[];
  /** Seeds behind the points. */
  readonly seeds: number;
  /** No seed completed: the last point is not a final result. */
  readonly unfinished: boolean;
  /** Runs that stopped earlier: excluded from the mean and drawn separately. */
  readonly partial: readonly (readonly CurvePoint[])[];
  /** Whether each point has a marker, not the last one alone. */
  readonly hasMarkers?: boolean;
}

/** The quantity on the vertical axis. */
export interface Measure {
  /** Of metrics.csv. */
  readonly column: string;
  readonly title: string;
  /** Number of rows of the moving average; undefined: none. `auto`: a fiftieth of the rows. */
  readonly smooth?: number | 'auto';
  /** Setting on the horizontal axis, against which final values are drawn, instead of batches or time. */
  readonly against?: string;
}

/** Whether a column holds accuracies: shares in [0, 1], of which 1 is best. */
export const isAccuracy = ({ column }: Measure): boolean => isAccuracyColumn(column);

const titles: Readonly<Record<string, string>> = {
  test_accuracy: 'test accuracy',
  validation_accuracy: 'validation accuracy',
  test_accuracy_flips: 'test accuracy with flips',
  validation_accuracy_flips: 'validation accuracy with flips',
  train_accuracy: 'training accuracy',
  train_loss: 'training loss',
  objective: 'lifted objective',
  residual: 'optimality residual',
  step_ms: 'milliseconds per step',
  wall_s: 'training time in seconds',
};

/** A column of metrics.csv, drawn as it is or as a moving average over `smooth` rows. */
export function measureOf(column: string, smooth?: number): Measure {
  const title = titles[column] ?? column.replaceAll('_', ' ');
  if (smooth === undefined || smooth === 1) return { column, title };
  return { column, title: `${title}, mean of ${smooth} rows`, smooth };
}

/** Preferred quantities of the figure, best first. One batch of training data is a noisy sample. */
const measures: readonly Measure[] = [
  measureOf('test_accuracy'),
  measureOf('validation_accuracy'),
  { column: 'train_accuracy', title: 'training accuracy, smoothed', smooth: 'auto' },
  measureOf('test_loss'),
  measureOf('validation_loss'),
  { column: 'train_loss', title: 'training loss, smoothed', smooth: 'auto' },
];

/**
 * The quantity to draw: accuracy on the test set, else on the validation split, else on the training batches;
 * without accuracies, as in a regression, an error in the same order. A validation curve is preferred where the
 * test set was evaluated only once, at the end.
 */
export function chooseMeasure(runs: readonly Run[]): Measure | undefined {
  const most = (column: string) => largest(runs.map((run) => measuredRows(run, column).length));
  const found = measures.find(({ column }) => most(column) > 0);
  const other = measures.find(
    ({ column }) => column === found?.column.replace('test', 'validation'),
  );
  return other && most(found!.column) === 1 && most(other.column) > 1 ? other : found;
}

/** The columns of metrics.csv in which some run has a value, except those that number its rows. */
export function measuredColumns(runs: readonly Run[]): string[] {
  const names = new Set(runs.flatMap(({ metrics }) => Object.keys(metrics.columns)));
  for (const name of ['seed', 'batch', 'epoch']) names.delete(name);
  return [...names].filter((name) => runs.some((run) => measuredRows(run, name).length > 0));
}

/** Completed runs that have no value of the quantity that a figure of these runs shows. */
export function leftOut(
  runs: readonly Run[],
  measure: Measure | undefined = chooseMeasure(runs),
): Problem[] {
  if (measure === undefined) return [];
  return runs
    .filter((run) => run.status === 'COMPLETED' && run.metrics.rows > 0)
    .filter((run) => measuredRows(run, measure.column).length === 0)
    .map(({ directory, label, seed }) => {
      const path = metricsPath(directory, { label, seed });
      const message = `${path}: has no ${measure.title}, which the figure shows; omitted`;
      return { path, message };
    });
}

/** Rows of a run that have a value in a column. */
export function measuredRows({ metrics }: Run, column: string): number[] {
  const rows: number[] = [];
  metrics.columns[column]?.forEach((value, row) => {
    if (Number.isFinite(value)) rows.push(row);
  });
  return rows;
}

/**
 * Mean and band over seeds at every batch that all seeds measured, at their mean time.
 * @param runs the seeds of one method
 */
export function buildCurve(
  name: string,
  runs: readonly Run[],
  measure: Measure,
  band: Band = 'range',
): Curve {
  const series = runs.map((run) => readSeries(run, measure)).filter((points) => points.length > 0);
  const end = largest(series.map((points) => points.at(-1)!.batch));
  const complete = series.filter((points) => points.at(-1)!.batch === end);
  const partial = series.filter((points) => points.at(-1)!.batch < end);

  const atBatch = complete.map((points) => new Map(points.map((point) => [point.batch, point])));
  const points = complete[0].flatMap(({ batch, epoch }) => {
    const seeds = atBatch.flatMap((points) => points.get(batch) ?? []);
    if (seeds.length < complete.length) return [];
    const values = seeds.map(({ value }) => value);
    const seconds = average(seeds.map((point) => point.seconds));
    return { batch, epoch, seconds, value: average(values), ...bandOf(values, band) };
  });
  const unfinished = !runs.some(({ status }) => status === 'COMPLETED');
  return { name, points, partial, seeds: complete.length, unfinished };
}

export function bandOf(values: readonly number[], band: Band): { low: number; high: number } {
  if (band === 'range') return { low: smallest(values), high: largest(values) };
  const { mean, halfWidth = 0 } = estimate(values)!;
  const half = band === 'interval' ? halfWidth : 0;
  return { low: mean - half, high: mean + half };
}

/** The points of one run. A moving average is the mean of a row and of those before it; at the start, of fewer. */
function readSeries(run: Run, { column, smooth = 1 }: Measure): CurvePoint[] {
  const { batch, wall_s, [column]: values } = run.metrics.columns;
  const epochs = epochsOf(run);
  const rows = measuredRows(run, column);
  const window = smooth === 'auto' ? Math.max(1, Math.round(rows.length / 50)) : smooth;
  return rows.map((row, i) => {
    const recent = rows.slice(Math.max(0, i + 1 - window), i + 1);
    const value = average(recent.map((r) => values[r]));
    const place = { batch: batch[row], epoch: epochs[row], seconds: wall_s[row] };
    return { ...place, value, low: value, high: value };
  });
}

/** Passes over the training set after each row: `epoch` counts those that have begun. */
function epochsOf({ metrics: { columns, rows } }: Run): Float64Array {
  const { batch, epoch } = columns;
  const places = new Float64Array(rows).fill(Number.NaN);
  if (epoch === undefined) return places;
  // The first epoch has as many batches as any other one.
  const first = epoch.lastIndexOf(1);
  const batches = first < 0 ? 1 : batch[first];
  return places.map((_, row) =>
    Math.min(epoch[row], Math.max(epoch[row] - 1, batch[row] / batches)),
  );
}

/** Curves for a logarithmic axis: without values that are not positive, and how many those were. */
export function onlyPositive(curves: readonly Curve[]): {
  readonly curves: readonly Curve[];
  readonly dropped: number;
} {
  let dropped = 0;
  const positive = (points: readonly CurvePoint[]) => {
    const kept = points.filter(({ value }) => value > 0);
    dropped += points.length - kept.length;
    return kept;
  };
  const cleaned = curves
    .map((curve) => ({
      ...curve,
      points: positive(curve.points),
      partial: curve.partial.map(positive).filter((points) => points.length > 0),
    }))
    .filter(({ points }) => points.length > 0);
  return { curves: cleaned, dropped };
}

/** At most about 400 points, as many as a panel can show: keeps the SVG small for long runs. */
export const thinned = (curve: Curve): Curve => ({
  ...curve,
  points: thin(curve.points),
  partial: curve.partial.map(thin),
});

function thin(points: readonly CurvePoint[]): readonly CurvePoint[] {
  const stride = Math.ceil(points.length / 400);
  if (stride === 1) return points;
  // The first points are the steep part of the curve: keep them all.
  return points.filter((_, i) => i < 50 || i % stride === 0 || i === points.length - 1);
}

/** The seeds of one method in one run directory, under a name that is unique in the figure. */
export interface Series {
  readonly name: string;
  readonly runs: readonly Run[];
}

/**
 * Groups runs by directory and label, in their order. A label that occurs in several directories gets the one or two
 * settings that differ, as in `fenchel (targetStep 0.1)`; else a prefix: the experiment's name, or where those agree
 * too, the part in which the paths differ.
 */
export function groupRuns(runs: readonly Run[], settings: Settings = new Map()): Series[] {
  const groups = new Map<string, Run[]>();
  for (const run of runs) {
    const key = JSON.stringify([run.directory, run.label]);
    const group = groups.get(key);
    if (group) group.push(run);
    else groups.set(key, [run]);
  }
  const series = [...groups.values()];
  return series.map((runs) => {
    const [first] = runs;
    const rivals = series.map(([other]) => other).filter(({ label }) => label === first.label);
    if (rivals.length === 1) return { name: first.label, runs };
    const detail = detailsOf(rivals, settings)?.[rivals.indexOf(first)];
    const name = detail ? `${first.label} (${detail})` : `${prefix(first, rivals)}/${first.label}`;
    return { name, runs };
  });
}

function prefix(run: Run, rivals: readonly Run[]): string {
  const unique = (name: (run: Run) => string) =>
    rivals.filter((rival) => name(rival) === name(run)).length === 1;
  const folder = ({ directory }: Run) => basename(resolve(directory));
  const parent = ({ directory }: Run) => basename(dirname(resolve(directory)));
  const candidates = [
    ({ experiment }: Run) => experiment,
    folder,
    (run: Run) => `${parent(run)}/${folder(run)}`,
  ];
  return (candidates.find(unique) ?? ((run) => run.directory))(run);
}
