import { clockColumns, type Metrics } from '../runs/metrics.js';
import {
  keyOf,
  loadRunDirectory,
  oneRunDirectory,
  type Problem,
  type Run,
  type RunDirectory,
} from '../runs/run-directory.js';
import type { RunStatus } from '../runs/run-json.js';
import { leavesOf, type Setting, settingsOf } from '../runs/settings.js';
import { type FinalResult, finalResult } from '../runs/summary.js';

/** Two run directories side by side. */
export interface RunsDiff {
  readonly a: string;
  readonly b: string;
  readonly settings: readonly ValueDifference[];
  readonly provenance: readonly ValueDifference[];
  /** Every method and seed of either, in the order of the first. */
  readonly runs: readonly RunDiff[];
  /** Nothing differs except measured times and provenance. */
  readonly identical: boolean;
  readonly problems: readonly Problem[];
}

export interface RunDiff {
  readonly method: string;
  readonly seed: number;
  readonly status: Sides<RunStatus>;
  /** Final accuracies, shares in [0, 1]: on the test set, or on the validation split where neither has the former. */
  readonly accuracy: Sides<number>;
  /** Final losses of a regression on the same split; absent where there is an accuracy. */
  readonly loss?: Sides<number>;
  /** Training seconds. */
  readonly trainSeconds: Sides<number>;
  /** Absent unless both have metrics. */
  readonly metrics?: MetricsDifference;
}

/** A value of each side; absent where it has none. */
export interface Sides<T> {
  readonly a?: T;
  readonly b?: T;
}

/**
 * Compares config, provenance and results of two run directories.
 * @throws UsageError when a path is not exactly one run directory
 */
export function diffRuns(a: string, b: string): RunsDiff {
  const [left, right] = [a, b].map((path) => loadRunDirectory(oneRunDirectory(path)));
  return diffDirectories(left, right);
}

/** {@link diffRuns} of directories whose rows were all read. */
export function diffDirectories(left: RunDirectory, right: RunDirectory): RunsDiff {
  const problems = [...left.problems, ...right.problems];
  const settings = diffValues(settingsOf(left, problems), settingsOf(right, problems));
  const keys = new Map([...left.runs, ...right.runs].map((run) => [keyOf(run), run]));
  const runs = [...keys].map(([key, { label, seed }]) => {
    const [a, b] = [left, right].map(({ runs }) => runs.find((run) => keyOf(run) === key));
    return diffRun(label, seed, { a, b });
  });
  return {
    a: left.path,
    b: right.path,
    settings,
    provenance: diffValues(provenanceOf(left.info?.json), provenanceOf(right.info?.json)),
    runs,
    identical: settings.length === 0 && runs.every(({ metrics }) => metrics?.same === true),
    problems,
  };
}

function diffRun(method: string, seed: number, { a, b }: Sides<Run>): RunDiff {
  const results = { a: resultOf(a), b: resultOf(b) };
  const sides = (value: keyof FinalValues): Sides<number> => ({
    a: results.a?.[value],
    b: results.b?.[value],
  });
  const has = ({ a, b }: Sides<number>) => a !== undefined || b !== undefined;
  const [test, validation] = [sides('testAccuracy'), sides('validationAccuracy')];
  const testLoss = sides('testLoss');
  const isRegression = !has(test) && !has(validation);
  const loss = has(testLoss) ? testLoss : sides('validationLoss');
  const measured = a && b && a.metrics.rows > 0 && b.metrics.rows > 0;
  return {
    method,
    seed,
    status: { a: a?.status, b: b?.status },
    accuracy: has(test) ? test : validation,
    ...(isRegression && has(loss) && { loss }),
    trainSeconds: sides('trainSeconds'),
    metrics: measured ? diffMetrics(a.metrics, b.metrics) : undefined,
  };
}

type FinalValues = Exclude<FinalResult, { missing: string }>;

function resultOf(run: Run | undefined): FinalValues | undefined {
  const result = run && finalResult(run, 'any');
  return result && !('missing' in result) ? result : undefined;
}

export type MetricsDifference =
  /** Every value of every column that both have, and as many batches. */
  | { readonly same: true; readonly batches: number }
  | {
      readonly same: false;
      /** The first batch with a difference, and the values that differ there. */
      readonly batch: number;
      readonly columns: readonly {
        readonly name: string;
        readonly a: number;
        readonly b: number;
      }[];
    }
  /** The same in all rows of the shorter one. */
  | { readonly same: 'prefix'; readonly batches: { readonly a: number; readonly b: number } };

/** Compares two metrics.csv batch by batch, apart from the time columns. */
export function diffMetrics(a: Metrics, b: Metrics): MetricsDifference {
  const names = Object.keys(a.columns).filter(
    (name) => name in b.columns && !clockColumns.includes(name),
  );
  const rows = Math.min(a.rows, b.rows);
  for (let row = 0; row < rows; row++) {
    const columns = names.flatMap((name) => {
      const [x, y] = [a.columns[name][row], b.columns[name][row]];
      return Object.is(x, y) || x === y ? [] : [{ name, a: x, b: y }];
    });
    if (columns.length > 0) return { same: false, batch: a.columns.batch[row], columns };
  }
  if (a.rows === b.rows) return { same: true, batches: rows };
  return { same: 'prefix', batches: { a: a.rows, b: b.rows } };
}

/** A value that differs; undefined on a side that does not have it. */
export interface ValueDifference {
  readonly name: string;
  readonly a?: Setting;
  readonly b?: Setting;
}

/** The differences between two maps, in the order of the first, then of the second. */
export function diffValues(
  a: ReadonlyMap<string, Setting>,
  b: ReadonlyMap<string, Setting>,
): ValueDifference[] {
  return [...new Set([...a.keys(), ...b.keys()])]
    .map((name) => ({ name, a: a.get(name), b: b.get(name) }))
    .filter(({ a, b }) => a !== b);
}

/** Parts of run.json that are not provenance: results and their times. */
const others = ['runs', 'startedAt', 'endedAt', 'experiment'];

/** The provenance in run.json, by path: `git.commit`, `backend.name`. */
export function provenanceOf(json: unknown): ReadonlyMap<string, Setting> {
  const parts = Object.entries(json ?? {}).filter(([name]) => !others.includes(name));
  return leavesOf(Object.fromEntries(parts));
}

/** Differences between the checksums of data files, where both directories recorded them. */
export function dataDifferences(run: RunDirectory, base: RunDirectory): ValueDifference[] {
  const [a, b] = [run, base].map(({ info }) => {
    const recorded = [...provenanceOf(info?.json)];
    return new Map(recorded.filter(([name]) => name.startsWith('dataset.sha256')));
  });
  return a.size > 0 && b.size > 0 ? diffValues(a, b) : [];
}
