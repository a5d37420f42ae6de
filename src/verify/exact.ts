import type { Experiment } from '../config/experiment.js';
import { UsageError } from '../errors.js';
import { diffValues, provenanceOf, type ValueDifference } from '../report/diff.js';
import { clockColumns, readMetricsBytes } from '../runs/metrics.js';
import { metricsPath, type RunDirectory } from '../runs/run-directory.js';
import { finalResult } from '../runs/summary.js';
import { type Base, refuseHoles, seedsToCompare } from './base.js';

/** The first place where two metrics.csv differ, apart from the time columns. */
export interface ExactDifference {
  /** Line of the file, the header being 1. */
  readonly line: number;
  /** Absent for a difference of the headers. */
  readonly batch?: string;
  /** Which file ends here, where one does. */
  readonly ends?: 'run' | 'base';
  readonly column?: string;
  /** What stands there; undefined where a line has no such column. */
  readonly run?: string;
  readonly base?: string;
}

export interface ExactRun {
  readonly method: string;
  /** Absent where the method is not judged. */
  readonly seed?: number;
  /** `not judged`: the base has no results of this method. */
  readonly verdict: 'ok' | 'failed' | 'not judged';
  readonly difference?: ExactDifference;
  /** Why there is nothing to compare. */
  readonly missing?: string;
}

export interface Exact {
  readonly base: string;
  readonly ok: boolean;
  readonly runs: readonly ExactRun[];
  /** What run.json says of machine, program and backend, and is not the same: `b` is the base's. */
  readonly provenance: readonly ValueDifference[];
  /** The backend of the run, whose arithmetic may not be the same twice. */
  readonly backend?: string;
}

/**
 * Compares the metrics.csv of a run with earlier ones byte by byte, apart from the time columns: for runs
 * that are to be the same, as those of one config and seed on wasm.
 * @throws UsageError when the base holds no metrics.csv to compare with
 */
export function verifyExact(
  experiment: Pick<Experiment, 'methods' | 'seeds'>,
  directory: RunDirectory,
  base: Base,
): Exact {
  const earlier = base.directory;
  if (earlier === undefined) {
    throw new UsageError(
      `${base.path} holds accuracies alone: --exact compares metrics.csv, with those of a run directory`,
    );
  }
  const holes: string[] = [];
  const runs = seedsToCompare(experiment, base).flatMap(({ method, seeds }): ExactRun[] => {
    if (seeds === undefined) return [{ method, verdict: 'not judged' }];
    return seeds.map((seed) => {
      const [missing, hole] = [directory, earlier].map((side) => unfinished(side, method, seed));
      if (hole !== undefined) holes.push(`${method}, seed ${seed}: ${hole}`);
      if (missing !== undefined || hole !== undefined) {
        return { method, seed, verdict: 'failed', missing };
      }
      const [now, before] = [directory, earlier].map(({ path }) =>
        linesOf(metricsPath(path, { label: method, seed })),
      );
      const difference = firstDifference(now, before);
      return { method, seed, verdict: difference ? 'failed' : 'ok', difference };
    });
  });
  refuseHoles(base, holes);
  const provenance = diffValues(
    provenanceOf(directory.info?.json),
    provenanceOf(earlier.info?.json),
  );
  const ok = runs.every(({ verdict }) => verdict !== 'failed');
  const { backend } = directory.info ?? {};
  return { base: base.path, ok, runs, provenance, backend };
}

/** Why a run has no whole metrics.csv; undefined where it has one. */
function unfinished({ runs }: RunDirectory, method: string, seed: number): string | undefined {
  const run = runs.find((run) => run.label === method && run.seed === seed);
  if (run === undefined) return 'not run';
  if (run.status === 'COMPLETED' && run.unread === undefined) return undefined;
  const result = finalResult(run, 'metrics');
  return 'missing' in result ? result.missing : undefined;
}

const linesOf = (file: string): string[] => readMetricsBytes(file).toString('utf8').split('\n');

/** Fields are numbers and labels: neither has a comma or a line end in it. */
function firstDifference(
  run: readonly string[],
  base: readonly string[],
): ExactDifference | undefined {
  const columns = run[0].split(',');
  const batchAt = columns.indexOf('batch');
  for (let i = 0; i < Math.max(run.length, base.length); i++) {
    if (run[i] === base[i]) continue;
    const line = i + 1;
    // The text behind the last line end is empty.
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
