import {
  keyOf,
  loadRunDirectory,
  oneRunDirectory,
  type Problem,
  type Run,
} from '../../runs/run-directory.js';
import type { RunStatus } from '../../runs/run-json.js';
import { settingsOf } from '../../runs/settings.js';
import { finalResult } from '../../runs/summary.js';
import { diffMetrics, type MetricsDifference } from './metrics-diff.js';
import { provenanceOf } from './provenance.js';
import { diffValues, type ValueDifference } from './value-diff.js';

/** Two run directories side by side. */
export interface RunsDiff {
  readonly a: string;
  readonly b: string;
  readonly settings: readonly ValueDifference[];
  readonly provenance: readonly ValueDifference[];
  /** Every method and seed of either, in the order of the first. */
  readonly runs: readonly RunDiff[];
  /** Nothing differs but clocks and provenance. */
  readonly identical: boolean;
  readonly problems: readonly Problem[];
}

export interface RunDiff {
  readonly method: string;
  readonly seed: number;
  readonly status: Sides<RunStatus>;
  /** Final accuracies, shares in [0, 1]: on the test set, or on validation where both have only that. */
  readonly accuracy: Sides<number>;
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
  const tested = results.a?.testAccuracy !== undefined || results.b?.testAccuracy !== undefined;
  const split = tested ? 'testAccuracy' : 'validationAccuracy';
  const measured = a && b && a.metrics.rows > 0 && b.metrics.rows > 0;
  return {
    method,
    seed,
    status: { a: a?.status, b: b?.status },
    accuracy: { a: results.a?.[split], b: results.b?.[split] },
    trainSeconds: { a: results.a?.trainSeconds, b: results.b?.trainSeconds },
    metrics: measured ? diffMetrics(a.metrics, b.metrics) : undefined,
  };
}

function resultOf(run: Run | undefined) {
  const result = run && finalResult(run, 'any');
  return result && !('missing' in result) ? result : undefined;
}
