import type { Experiment } from '../config/experiment.js';
import { UsageError } from '../errors.js';
import { diffValues, provenanceOf, type ValueDifference } from '../report/diff.js';
import { clockColumns, readMetricsBytes } from '../runs/metrics.js';
import { metricsPath, type RunDirectory } from '../runs/run-directory.js';
import { finalResult } from '../runs/summary.js';
import { runName } from '../shared/text.js';
import { type Base, refuseMissing, seedsToCompare } from './base.js';
import { runOf } from './verify.js';

/** The first difference between two metrics.csv, apart from the time columns. */
export interface ExactDifference {
  /** Line of the file, the header being 1. */
  readonly line: number;
  /** Absent for a difference of the headers. */
  readonly batch?: string;
  /** Which of the files ends before this line, if one does. */
  readonly ends?: 'run' | 'base';
  readonly column?: string;
  /** The cells; undefined where a line has no such column. */
  readonly run?: string;
  readonly base?: string;
}

export interface ExactRun {
  readonly method: string;
  /** Absent for a method that is not judged. */
  readonly seed?: number;
  /** `not judged`: the base has no results of this method. */
  readonly verdict: 'ok' | 'failed' | 'not judged';
  readonly difference?: ExactDifference;
  /** Why the run has no complete metrics.csv. */
  readonly missing?: string;
}

export interface Exact {
  readonly base: string;
  readonly ok: boolean;
  readonly runs: readonly ExactRun[];
  /** Differences between the two run.json in machine, program and backend; `b` is the base's value. */
  readonly provenance: readonly ValueDifference[];
  /** Of the run. */
  readonly backend?: string;
}

/**
 * Compares the metrics.csv of a run with earlier ones byte by byte, apart from the time columns. On a
 * deterministic backend (wasm), the same config and seed give the same bytes.
 * @throws UsageError when the base has no metrics.csv to compare with
 */
export function verifyExact(
  experiment: Pick<Experiment, 'methods' | 'seeds'>,
  directory: RunDirectory,
  base: Base,
): Exact {
  const earlier = base.directory;
  if (earlier === undefined) {
    throw new UsageError(
      `${base.path} is a baseline file, which has no metrics.csv; --exact needs a run directory`,
    );
  }
  const absent: string[] = [];
  const runs = seedsToCompare(experiment, base).flatMap(({ method, seeds }): ExactRun[] => {
    if (seeds === undefined) return [{ method, verdict: 'not judged' }];
    return seeds.map((seed) => {
      const run = { label: method, seed };
      const [missing, before] = [directory, earlier].map((side) =>
        whyIncomplete(side, method, seed),
      );
      if (before !== undefined) absent.push(`${runName(run)}: ${before}`);
      if (missing !== undefined || before !== undefined) {
        return { method, seed, verdict: 'failed', missing };
      }
      const [now, then] = [directory, earlier].map(({ path }) =>
        readMetricsBytes(metricsPath(path, run)).toString('utf8').split('\n'),
      );
      const difference = firstDifference(now, then);
      return { method, seed, verdict: difference ? 'failed' : 'ok', difference };
    });
  });
  refuseMissing(base, absent);
  const provenance = diffValues(
    provenanceOf(directory.info?.json),
    provenanceOf(earlier.info?.json),
  );
  const ok = runs.every(({ verdict }) => verdict !== 'failed');
  const { backend } = directory.info ?? {};
  return { base: base.path, ok, runs, provenance, backend };
}

/** Why a run has no complete metrics.csv; undefined where it has one. */
function whyIncomplete(directory: RunDirectory, method: string, seed: number): string | undefined {
  const run = runOf(directory, method, seed);
  if (run === undefined) return 'not run';
  if (run.status === 'COMPLETED' && run.unread === undefined) return undefined;
  const result = finalResult(run, 'metrics');
  return 'missing' in result ? result.missing : undefined;
}

/** Cells are numbers and labels, without commas and line ends. */
function firstDifference(
  run: readonly string[],
  base: readonly string[],
): ExactDifference | undefined {
  const columns = run[0].split(',');
  const batchAt = columns.indexOf('batch');
  for (let i = 0; i < Math.max(run.length, base.length); i++) {
    if (run[i] === base[i]) continue;
    const line = i + 1;
    // The text after the last line end is empty.
    const [a, b] = [run[i], base[i]].map((text) => (text ? text.split(',') : undefined));
    const batch = i === 0 ? undefined : (a ?? b)?.[batchAt];
    if (a === undefined || b === undefined) {
      return { line, batch, ends: a === undefined ? 'run' : 'base' };
    }
    for (let at = 0; at < Math.max(a.length, b.length); at++) {
      if (a[at] === b[at] || clockColumns.includes(columns[at])) continue;
      return { line, batch, column: columns[at] ?? b[at], run: a[at], base: b[at] };
    }
  }
  return undefined;
}
