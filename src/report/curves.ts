import { basename, dirname, resolve } from 'node:path';
import { metricsPath, type Problem, type Run } from '../runs/run-directory.js';
import { average, largest, smallest } from '../shared/statistics.js';

/** One point of a learning curve. Accuracies are shares in [0, 1]. */
export interface CurvePoint {
  readonly batch: number;
  /** Training seconds, mean over seeds. */
  readonly seconds: number;
  /** Mean over seeds. */
  readonly accuracy: number;
  /** Smallest and largest over seeds. */
  readonly low: number;
  readonly high: number;
}

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
}

/** The accuracy on the vertical axis. */
export interface Measure {
  readonly column: string;
  readonly title: string;
}

const measures: readonly Measure[] = [
  { column: 'test_accuracy', title: 'test accuracy' },
  { column: 'validation_accuracy', title: 'validation accuracy' },
  { column: 'train_accuracy', title: 'training accuracy, smoothed' },
];

/**
 * The accuracy to draw: on the test set, else on the validation split, else on the training batches.
 * A validation curve is preferred where the test set was evaluated only once, at the end.
 */
export function chooseMeasure(runs: readonly Run[]): Measure | undefined {
  const most = (column: string) => largest(runs.map((run) => measuredRows(run, column).length));
  const [test, validation] = measures;
  if (most(test.column) === 1 && most(validation.column) > 1) return validation;
  return measures.find(({ column }) => most(column) > 0);
}

/** Completed runs that have no value of the accuracy that a figure of these runs shows. */
export function leftOut(runs: readonly Run[]): Problem[] {
  const measure = chooseMeasure(runs);
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
    if (!Number.isNaN(value)) rows.push(row);
  });
  return rows;
}

/**
 * Mean and range over seeds at every batch that all seeds measured, at their mean time.
 * @param runs the seeds of one method
 */
export function buildCurve(name: string, runs: readonly Run[], { column }: Measure): Curve {
  const series = runs.map((run) => readSeries(run, column)).filter((points) => points.length > 0);
  const end = largest(series.map((points) => points.at(-1)!.batch));
  const complete = series.filter((points) => points.at(-1)!.batch === end);
  const partial = series.filter((points) => points.at(-1)!.batch < end);

  const atBatch = complete.map((points) => new Map(points.map((point) => [point.batch, point])));
  const points = complete[0].flatMap(({ batch }) => {
    const seeds = atBatch.flatMap((points) => points.get(batch) ?? []);
    if (seeds.length < complete.length) return [];
    const accuracies = seeds.map((point) => point.accuracy);
    return {
      batch,
      seconds: average(seeds.map((point) => point.seconds)),
      accuracy: average(accuracies),
      low: smallest(accuracies),
      high: largest(accuracies),
    };
  });
  const unfinished = !runs.some(({ status }) => status === 'COMPLETED');
  const drawn = { points: thin(points), partial: partial.map(thin) };
  return { name, ...drawn, seeds: complete.length, unfinished };
}

function readSeries(run: Run, column: string): CurvePoint[] {
  const { batch, wall_s, [column]: values } = run.metrics.columns;
  const rows = measuredRows(run, column);
  // One batch of training data is a noisy sample; evaluations are not.
  const window = column === 'train_accuracy' ? Math.max(1, Math.round(rows.length / 50)) : 1;
  return rows.map((row, i) => {
    const recent = rows.slice(Math.max(0, i + 1 - window), i + 1);
    const accuracy = average(recent.map((r) => values[r]));
    return { batch: batch[row], seconds: wall_s[row], accuracy, low: accuracy, high: accuracy };
  });
}

/** At most about 400 points, as many as a panel can show: keeps the SVG small for long runs. */
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
 * Groups runs by directory and label, in their order. A label that occurs in several directories gets a
 * prefix: the experiment's name, or where those agree too, the part in which the paths differ.
 */
export function groupRuns(runs: readonly Run[]): Series[] {
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
    return {
      name: rivals.length > 1 ? `${prefix(first, rivals)}/${first.label}` : first.label,
      runs,
    };
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
