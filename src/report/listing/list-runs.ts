import { resolve } from 'node:path';
import { UsageError } from '../../errors.js';
import { loadRuns, type Problem } from '../../runs/run-directory.js';
import { didYouMean } from '../../shared/suggest.js';
import { type Condition, parseCondition } from './condition.js';
import { isField, type ListedRun, listedRuns, look, runFields, type Value } from './listed-run.js';

export interface ListOptions {
  /** All must hold; every run is listed when absent. */
  readonly where?: readonly string[];
  /** Field or setting; with `-` before it the largest come first. */
  readonly sort?: string;
  /**
   * Field or setting to rank completed runs by, best first: accuracies from the largest, others from
   * the smallest. `true`: by validation accuracy, or by test accuracy where none validated.
   */
  readonly best?: string | true;
  readonly limit?: number;
  /** Where the paths are one sweep: its trials in their ranking, which `best: true` then follows. */
  readonly sweep?: SweepRanking;
  /** Fields and settings that will be shown, to be checked. */
  readonly columns?: readonly string[];
}

/** How a sweep ranks its trials. */
export interface SweepRanking {
  /** Column of the metric, and the method that it is taken of. */
  readonly column: string;
  readonly method?: string;
  /** Run directories of the trials with a value, the best first. */
  readonly ranked: readonly string[];
  /** Run directories of trials that the sweep file no longer has. */
  readonly retired: ReadonlySet<string>;
}

export interface Listing {
  /** Those that match, sorted and limited. */
  readonly runs: readonly ListedRun[];
  /** Every run found. */
  readonly all: readonly ListedRun[];
  /** Fields and settings that conditions and order name. */
  readonly names: readonly string[];
  /** What they were ranked by, with `best`. */
  readonly rankedBy?: string;
  /** Runs that matched before the limit. */
  readonly matching: number;
  readonly problems: readonly Problem[];
}

/**
 * Finds runs below paths. What cannot be read becomes a problem.
 * @throws UsageError when a condition is none, or names what no run has
 */
export function listRuns(paths: readonly string[], options: ListOptions = {}): Listing {
  const { directories, problems } = loadRuns(paths, 'last row');
  const { sweep } = options;
  const all = directories.flatMap((directory) => {
    const retired = sweep?.retired.has(resolve(directory.path)) || undefined;
    return listedRuns(directory, problems, retired);
  });
  const conditions = (options.where ?? []).map(parseCondition);
  for (const { name } of conditions) checkName('where', name, all);
  for (const name of options.columns ?? []) checkName('columns', name, all);
  const matching = all.filter((run) => holdAll(conditions, run));
  const rankedBy =
    options.best === true ? (sweep?.column ?? defaultRanking(matching)) : options.best;
  const order = options.sort?.replace(/^-/, '') ?? 'started';
  if (rankedBy !== undefined) checkName('best', rankedBy, all);
  else checkName('sort', order, all);
  const sorted =
    rankedBy !== undefined
      ? rank(matching, rankedBy, options.best === true ? sweep : undefined)
      : byValue(matching, order, options.sort?.startsWith('-') ? -1 : 1);
  const names = [...conditions.map(({ name }) => name), rankedBy ?? order];
  const runs = sorted.slice(0, options.limit);
  return { runs, all, names, rankedBy, matching: sorted.length, problems };
}

const holdAll = (conditions: readonly Condition[], run: ListedRun) =>
  conditions.every(({ name, holds }) => holds(look(run, name)));

function defaultRanking(runs: readonly ListedRun[]): string {
  const isValidated = runs.some(({ fields }) => fields.validation_accuracy !== undefined);
  return isValidated ? 'validation_accuracy' : 'test_accuracy';
}

function rank(runs: readonly ListedRun[], name: string, sweep?: SweepRanking): ListedRun[] {
  const measured = runs.filter(
    (run) => run.run.status === 'COMPLETED' && typeof look(run, name) === 'number',
  );
  const sorted = byValue(measured, name, name.endsWith('accuracy') ? -1 : 1);
  if (sweep === undefined) return sorted;
  // Runs of the best trial first: its seeds, of the method that it is judged by.
  const places = new Map(sweep.ranked.map((path, place) => [path, place]));
  const place = ({ directory }: ListedRun) => places.get(resolve(directory.path)) ?? -1;
  return sorted
    .filter((run) => place(run) >= 0 && (sweep.method ?? run.run.label) === run.run.label)
    .sort((a, b) => place(a) - place(b));
}

/** Runs without a value come last; equal ones stay in the order in which they were found. */
function byValue(runs: readonly ListedRun[], name: string, sign: number): ListedRun[] {
  const keyed = runs.map((run) => ({ run, value: look(run, name) ?? undefined }));
  const has = keyed.filter(({ value }) => value !== undefined);
  const hasNot = keyed.filter(({ value }) => value === undefined);
  has.sort((a, b) => sign * compare(a.value, b.value));
  return [...has, ...hasNot].map(({ run }) => run);
}

function compare(a: Value, b: Value): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

function checkName(option: string, name: string, runs: readonly ListedRun[]): void {
  if (isField(name) || runs.length === 0) return;
  if (runs.some((run) => look(run, name) !== undefined)) return;
  const settings = new Set(runs.flatMap((run) => [...run.settings().keys()]));
  const own = [...settings].map((path) => path.replace(/^methods\.[^.]+\./, ''));
  const hint = didYouMean(name, [...runFields, ...own, ...settings]);
  throw new UsageError(
    `--${option}: no run has a field or a setting "${name}"${hint}\n  Fields: ${runFields.join(', ')}.\n` +
      '  Settings go by their path in config.yaml (dataset.limit), those of the method by their name alone (learningRate).',
  );
}
