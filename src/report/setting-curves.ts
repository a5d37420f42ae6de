import { join } from 'node:path';
import { UsageError } from '../errors.js';
import type { Problem, Run } from '../runs/run-directory.js';
import type { Setting } from '../runs/settings.js';
import { average, largest, smallest } from '../shared/statistics.js';
import { didYouMean } from '../shared/suggest.js';
import {
  type Band,
  bandOf,
  type Curve,
  type CurvePoint,
  type Measure,
  measuredRows,
} from './curves.js';
import { isResultSetting, type Settings } from './overlay.js';

/**
 * Final values of a column against a setting of the method (`targetStep`, `noise.read`) or of the experiment
 * (`batchSize`): a line for all runs that differ in this setting alone, a point per value, the mean over seeds. Several
 * runs of one seed count as one, with their mean. Methods without the setting are drawn as horizontal lines.
 * @param runs completed ones count
 * @param measure `against` is the setting
 * @throws UsageError when no run has the setting as a number
 */
export function settingCurves(
  runs: readonly Run[],
  measure: Measure & { readonly against: string },
  settings: Settings,
  band: Band = 'interval',
): Curve[] {
  const { column, against } = measure;
  const finals = runs
    .filter((run) => run.status === 'COMPLETED' && measuredRows(run, column).length > 0)
    .filter((run) => hasSettings(run, settings))
    .map((run): Final => {
      const own = settingsOfRun(run, settings.get(run.directory) ?? new Map());
      const value = run.metrics.columns[column][measuredRows(run, column).at(-1)!];
      return { run, own, x: own.get(against), value };
    });
  const placed = finals.filter((final): final is Final & { x: number } => isNumber(final.x));
  if (placed.length === 0) throw unknownSetting(against, finals);

  const lines = groupBy(placed, ({ run, own }) => keyOf(run, own, against));
  const rules = groupBy(
    finals.filter(({ x }) => !isNumber(x)),
    ({ run, own }) => keyOf(run, own, against),
  );
  const xs = placed.map(({ x }) => x);
  const ends = [...new Set([smallest(xs), largest(xs)])];
  const names = namesOf([...lines, ...rules], against);
  const curve = (name: string, points: CurvePoint[], seeds: number, hasMarkers: boolean): Curve => {
    return { name, points, seeds, partial: [], unfinished: false, hasMarkers };
  };
  return [
    ...lines.map((line, i) => {
      const at = groupBy(line, ({ x }) => String(x)).toSorted(([a], [b]) => a.x - b.x);
      const points = at.map((finals) => pointOf(finals[0].x, finals, band));
      return curve(names[i], points, largest(at.map((finals) => bySeed(finals).length)), true);
    }),
    ...rules.map((rule, i) => {
      const points = ends.map((x) => pointOf(x, rule, band));
      return curve(names[lines.length + i], points, bySeed(rule).length, false);
    }),
  ];
}

interface Final {
  readonly run: Run;
  /** Settings of the method by their short names, and of the experiment. */
  readonly own: ReadonlyMap<string, Setting>;
  readonly x: Setting | undefined;
  readonly value: number;
}

/** A run that is repeated, in another directory or under another label, is no further sample. */
const bySeed = (finals: readonly Final[]): number[] =>
  groupBy(finals, ({ run }) => String(run.seed)).map((same) =>
    average(same.map(({ value }) => value)),
  );

function pointOf(x: number, finals: readonly Final[], band: Band): CurvePoint {
  const values = bySeed(finals);
  const value = average(values);
  return { batch: x, epoch: Number.NaN, seconds: Number.NaN, value, ...bandOf(values, band) };
}

/** A directory without a config.yaml that can be read tells nothing about the setting. */
const hasSettings = (run: Run, settings: Settings): boolean =>
  (settings.get(run.directory)?.size ?? 0) > 0;

/** Runs that means of final values leave out: failed and unfinished ones, and those whose settings are unknown. */
export function withoutFinal(runs: readonly Run[], settings: Settings): Problem[] {
  const messages = runs.flatMap((run): (readonly [string, string])[] => {
    const { directory, seed } = run;
    const path = join(directory, `${withoutLayer(run)}-s${seed}`);
    const status = run.paused ? 'PAUSED' : run.status;
    if (status !== 'COMPLETED') {
      return [[path, `${path}: ${status}, without final value; omitted from the means`]];
    }
    if (hasSettings(run, settings)) return [];
    return [[directory, `${directory}: no config.yaml that can be read; omitted`]];
  });
  return [...new Map(messages)].map(([path, message]) => ({ path, message }));
}

/** `, layer 2` of runs that stand for one layer. */
const layerOf = ({ label }: Run): string => /, layer \d+$/.exec(label)?.[0] ?? '';

const withoutLayer = (run: Run): string =>
  run.label.slice(0, run.label.length - layerOf(run).length);

function settingsOfRun(run: Run, all: ReadonlyMap<string, Setting>): Map<string, Setting> {
  const label = withoutLayer(run);
  const prefix = `methods.${label}.`;
  const own = new Map<string, Setting>([['name', label]]);
  for (const [name, value] of all) {
    if (name.startsWith(prefix)) own.set(name.slice(prefix.length), value);
    else if (!name.startsWith('methods.') && !isResultSetting(name)) own.set(name, value);
  }
  own.delete('label');
  return own;
}

/** Of all runs of one line. */
const keyOf = (run: Run, own: ReadonlyMap<string, Setting>, against: string): string =>
  JSON.stringify([layerOf(run), ...[...own].filter(([name]) => name !== against).sort()]);

/**
 * A name for each line: the method, and the settings in which it differs from the other lines of that method, or the
 * label where these are many.
 */
function namesOf(lines: readonly (readonly Final[])[], against: string): string[] {
  const heads = lines.map(([first]) => first);
  return heads.map(({ run, own }) => {
    const rivals = heads.filter((other) => other.own.get('name') === own.get('name'));
    const keys = [...new Set(rivals.flatMap((rival) => [...rival.own.keys()]))];
    const varied = keys.filter(
      (key) => key !== against && new Set(rivals.map((rival) => rival.own.get(key))).size > 1,
    );
    const parts = varied.map((key) => {
      const value = own.get(key);
      if (value === undefined || value === null) return `no ${key}`;
      return typeof value === 'string' && !value.startsWith('[') ? value : `${key} ${value}`;
    });
    const name =
      varied.length > 3 ? run.label : [String(own.get('name')), ...parts, layerOf(run).slice(2)];
    return typeof name === 'string' ? name : name.filter((part) => part !== '').join(', ');
  });
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return [...groups.values()];
}

const isNumber = (value: Setting | undefined): value is number => typeof value === 'number';

function unknownSetting(against: string, finals: readonly Final[]): UsageError {
  if (finals.length === 0)
    return new UsageError(
      '--against draws final values, and no run with a config.yaml is complete: continue with fln run CONFIG --resume',
    );
  const known = [
    ...new Set(finals.flatMap(({ own }) => [...own].flatMap(([k, v]) => (isNumber(v) ? k : [])))),
  ];
  const varied = known.filter((name) => new Set(finals.map(({ own }) => own.get(name))).size > 1);
  const short = against.replace(/^methods\.[^.]+\./, '');
  const hint = known.includes(short) ? `; did you mean "${short}"?` : didYouMean(short, known);
  return new UsageError(
    `--against: no run has a number as its setting "${against}"${hint || '.'} ` +
      `Settings that differ between the runs: ${varied.join(', ') || 'none'}`,
  );
}
