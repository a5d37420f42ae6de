import { missing } from '../../report/table.js';
import { largest, smallest } from '../../shared/statistics.js';
import { grouped, inPercent, significant } from '../../shared/text.js';
import type { HalvingSummary } from '../halving/record.js';
import { type RankedTrial, ranked, type SweepStatus } from '../status.js';

/** An axis for the values of a parameter or the metric. */
export interface ParameterAxis {
  /** The path of the setting, or the column of the metric. */
  readonly path: string;
  readonly title: string;
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
  /** Position of a value in [0, 1]; undefined for values that are not on the axis. */
  position(value: unknown): number | undefined;
}

/** The data of a sweep's figures. */
export interface SweepView {
  /** Trials with a value of the metric, in their ranking: the best first, retired ones last. */
  readonly trials: readonly RankedTrial[];
  /** Parameters that differ between them. */
  readonly parameters: readonly ParameterAxis[];
  readonly metric: ParameterAxis;
  readonly goal: 'maximize' | 'minimize';
}

export function viewOf(status: SweepStatus): SweepView {
  const { manifest } = status;
  // Retired trials without a value for each of the current parameters are left out.
  const trials = ranked(status).filter(
    ({ trial }) =>
      !trial.retired || manifest.parameters.every((path) => trial.overrides[path] !== undefined),
  );
  const names = nameParameters(manifest.parameters);
  const parameters = manifest.parameters.flatMap((path) => {
    const values = trials.map(({ trial }) => trial.overrides[path] as unknown);
    const axis = parameterAxis(path, names.get(path) ?? path, values);
    return new Set(values.map((value) => JSON.stringify(value))).size > 1 ? [axis] : [];
  });
  const { column, method, goal } = manifest.metric;
  const title = `${column.replaceAll('_', ' ')}${method === undefined ? '' : ` of ${method}`}`;
  const metric = parameterAxis(
    column,
    title,
    trials.map(({ value }) => value),
  );
  return { trials, parameters, metric, goal };
}

/** Short names of parameters: the last part of their paths, if these are distinct. */
export function nameParameters(paths: readonly string[]): ReadonlyMap<string, string> {
  const last = (path: string) => path.slice(path.lastIndexOf('.') + 1);
  const isUnique = new Set(paths.map(last)).size === paths.length;
  return new Map(paths.map((path) => [path, isUnique ? last(path) : path]));
}

/** Up to this many values get a tick each; more get five ticks at equal distances. */
const mostTicks = 8;

/**
 * The axis of values: logarithmic where positive numbers span more than a factor of 30, linear for other
 * numbers, evenly spaced in order of appearance for anything else.
 */
export function parameterAxis(
  path: string,
  title: string,
  values: readonly unknown[],
): ParameterAxis {
  const distinct = [...new Map(values.map((value) => [textOf(value), value])).values()];
  const numbers = distinct.filter((value): value is number => typeof value === 'number');
  if (numbers.length === distinct.length) return numberAxis(path, title, numbers);
  const place = (i: number) => (i + 0.5) / distinct.length;
  const places = new Map(distinct.map((value, i) => [textOf(value), place(i)]));
  const ticks = distinct.map((value, i) => ({ at: place(i), label: textOf(value) }));
  return { path, title, ticks, position: (value) => places.get(textOf(value)) };
}

/** Formats the value of an override as in a config. */
export const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

function numberAxis(path: string, title: string, values: readonly number[]): ParameterAxis {
  const [least, most] = [smallest(values), largest(values)];
  const isLog = least > 0 && most / least > 30;
  const forward = isLog ? Math.log : (x: number) => x;
  const inverse = isLog ? Math.exp : (x: number) => x;
  const span = forward(most) - forward(least);
  const position = (value: unknown) => {
    if (typeof value !== 'number') return undefined;
    return span > 0 ? (forward(value) - forward(least)) / span : 0.5;
  };
  const at = (place: number) => inverse(forward(least) + place * span);
  const shown =
    values.length <= mostTicks ? values : [0, 0.25, 0.5, 0.75, 1].map((place) => at(place));
  const label = path.endsWith('accuracy') ? (x: number) => inPercent(x) : short;
  const ticks = shown.map((value) => ({ at: position(value) ?? 0, label: label(value) }));
  return { path, title, ticks: spread(ticks), position };
}

/** Leaves out ticks that would overlap, but not the ends. */
function spread(ticks: readonly { at: number; label: string }[]): { at: number; label: string }[] {
  const sorted = [...ticks].sort((a, b) => a.at - b.at);
  const kept: { at: number; label: string }[] = [];
  for (const tick of [...sorted.slice(0, 1), ...sorted.slice(-1), ...sorted.slice(1, -1)]) {
    if (kept.every(({ at }) => Math.abs(at - tick.at) >= 0.05)) kept.push(tick);
  }
  return kept;
}

/** Three significant digits. */
function short(value: number): string {
  if (value === 0) return '0';
  const rounded = Number(value.toPrecision(3));
  return Math.abs(rounded) < 1e-3 || Math.abs(rounded) >= 1e5
    ? rounded.toExponential()
    : String(rounded);
}

/** Formats the value of a metric. */
export const metricText = (column: string, value: number): string =>
  column.endsWith('accuracy') ? inPercent(value) : significant(value);

/** The rungs of a halving search: how many trials reached each, their best, and the last value among its best 1/eta. */
export function rungsTable(
  { rungs }: HalvingSummary,
  column: string,
): { readonly head: string[]; readonly rows: string[][] } {
  const shown = (value: number | undefined) =>
    value === undefined ? missing : metricText(column, value);
  const name = column.replaceAll('_', ' ');
  return {
    head: [
      'rung',
      'epochs',
      'trials',
      'running',
      'failed',
      'promoted',
      `best ${name}`,
      'threshold',
    ],
    rows: rungs.map(({ epoch, results, most, running, failed, promoted, best, threshold }, k) => [
      String(k + 1),
      grouped(epoch),
      `${grouped(results)} of ${grouped(most)}`,
      grouped(running),
      grouped(failed),
      k === rungs.length - 1 ? missing : grouped(promoted),
      shown(best),
      shown(threshold),
    ]),
  };
}

/** What a halving search costs, against training every trial in full. */
export const budgetText = ({ spent, most, full }: HalvingSummary): string =>
  `Epochs over all trials and seeds: ${grouped(spent)} trained, at most ${grouped(most)}; ` +
  `all trials in full: ${grouped(full)} (${inPercent(spent / full)} trained, at most ${inPercent(most / full)})`;
