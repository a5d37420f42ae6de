import { dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { readText } from '../files/read.js';
import { isAccuracyColumn } from '../runs/metrics.js';
import {
  lastValue,
  loadRuns,
  type Problem,
  type Run,
  type RunDirectory,
  shownStatus,
} from '../runs/run-directory.js';
import { type Setting, settingsOf } from '../runs/settings.js';
import { finalResult } from '../runs/summary.js';
import { didYouMean } from '../shared/suggest.js';

export interface ListOptions {
  /** Conditions that all must hold; every run is listed when absent. */
  readonly where?: readonly string[];
  /** Field or setting; with the prefix `-` in descending order. */
  readonly sort?: string;
  /**
   * Field or setting to rank completed runs by, best first: accuracies in descending order, others in
   * ascending order. `true`: by validation accuracy, or by test accuracy where no run has a validation split.
   */
  readonly best?: string | true;
  readonly limit?: number;
  /** Where the paths are one sweep: the ranking of its trials, which `best: true` then uses. */
  readonly sweep?: SweepRanking;
  /** Fields and settings that will be shown; their names are checked. */
  readonly columns?: readonly string[];
}

/** How a sweep ranks its trials. */
export interface SweepRanking {
  /** Column of the metric, and the method whose metric it is. */
  readonly column: string;
  readonly method?: string;
  /** Run directories of the trials with a value, the best first. */
  readonly ranked: readonly string[];
  /** Run directories of trials that the sweep file no longer has. */
  readonly retired: ReadonlySet<string>;
}

export interface Listing {
  /** The matching runs, sorted and limited. */
  readonly runs: readonly ListedRun[];
  /** Every run found. */
  readonly all: readonly ListedRun[];
  /** Fields and settings in conditions and in the order. */
  readonly names: readonly string[];
  /** Field or setting of the ranking, with `best`. */
  readonly rankedBy?: string;
  /** Runs that matched before the limit. */
  readonly matching: number;
  readonly problems: readonly Problem[];
}

/**
 * Finds runs below paths. What cannot be read becomes a problem.
 * @throws UsageError for an invalid condition, and for a name that no run has
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
  const sorted = byValue(measured, name, isAccuracyColumn(name) ? -1 : 1);
  if (sweep === undefined) return sorted;
  // Runs of the best trial first: its seeds, with the method of the metric.
  const places = new Map(sweep.ranked.map((path, place) => [path, place]));
  const place = ({ directory }: ListedRun) => places.get(resolve(directory.path)) ?? -1;
  return sorted
    .filter((run) => place(run) >= 0 && (sweep.method ?? run.run.label) === run.run.label)
    .sort((a, b) => place(a) - place(b));
}

/** Runs without a value come last; equal ones keep their order. */
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

/** `test_accuracy>=0.97`, `status=FAILED`, `dataset~mnist`. */
export interface Condition {
  readonly name: string;
  readonly holds: (value: Value) => boolean;
}

const operators = {
  '=': (value: Value, wanted: string) => isEqual(value, wanted),
  '!=': (value: Value, wanted: string) => !isEqual(value, wanted),
  '<': (value: Value, wanted: string) => order(value, wanted) < 0,
  '<=': (value: Value, wanted: string) => order(value, wanted) <= 0,
  '>': (value: Value, wanted: string) => order(value, wanted) > 0,
  '>=': (value: Value, wanted: string) => order(value, wanted) >= 0,
  '~': (value: Value, wanted: string) => text(value).toLowerCase().includes(wanted.toLowerCase()),
} as const;
type Operator = keyof typeof operators;

/** @throws UsageError for an invalid condition */
export function parseCondition(condition: string): Condition {
  const match = /^\s*([^\s=!<>~]+)\s*(!=|<=|>=|=|<|>|~)\s*(.*?)\s*$/s.exec(condition);
  if (match === null) {
    throw new UsageError(
      `--where: "${condition}" is not a condition; examples: method=fenchel, "test_accuracy>=97%", ` +
        '"learningRate<0.1", status!=COMPLETED or "directory~mnist" (contains)',
    );
  }
  const [, name, operator, wanted] = match;
  const compare = operators[operator as Operator];
  return { name, holds: (value) => compare(value, wanted) };
}

const text = (value: Value) => (value === undefined || value === null ? '' : String(value));

function isEqual(value: Value, wanted: string): boolean {
  const number = numberOf(wanted);
  return typeof value === 'number' && number !== undefined
    ? value === number
    : text(value) === wanted;
}

/** Negative, 0 or positive; NaN, for which every comparison is false, without a value or with one of another type. */
function order(value: Value, wanted: string): number {
  if (value === undefined || value === null) return Number.NaN;
  if (typeof value === 'number') return value - (numberOf(wanted) ?? Number.NaN);
  return text(value) < wanted ? -1 : text(value) > wanted ? 1 : 0;
}

/** `0.97`, `1e-3` or `97%`. */
function numberOf(text: string): number | undefined {
  const match = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*(%?)$/i.exec(text);
  if (match === null) return undefined;
  return match[2] === '' ? Number(match[1]) : Number(`${match[1]}e-2`);
}

/** Fields of a run apart from its settings, in the order of the columns. */
export const runFields = [
  'directory',
  'experiment',
  'method',
  'seed',
  'status',
  'batches',
  'validation_accuracy',
  'validation_loss',
  'validation_accuracy_flips',
  'test_accuracy',
  'best_test_accuracy',
  'test_accuracy_flips',
  'test_loss',
  'train_loss',
  'train_s',
  'step_ms',
  'dataset',
  'network',
  'backend',
  'started',
  'ended',
  'error',
  'retired',
] as const;
export type RunField = (typeof runFields)[number];

export type Value = Setting | undefined;

/** One run with all values by which it can be selected and sorted. */
export interface ListedRun {
  readonly run: Run;
  readonly directory: RunDirectory;
  /** Accuracies are shares in [0, 1], `train_s` seconds, `step_ms` milliseconds, times ISO 8601. */
  readonly fields: Readonly<Record<RunField, Value>>;
  /** Of the whole experiment, by path; read on first use. */
  readonly settings: () => ReadonlyMap<string, Setting>;
}

/**
 * The runs of a directory. A config.yaml that cannot be read becomes a problem on first use.
 * @param retired whether they belong to a trial that is no longer in its sweep file
 */
export function listedRuns(
  directory: RunDirectory,
  problems: Problem[],
  retired?: true,
): ListedRun[] {
  let known: ReadonlyMap<string, Setting> | undefined;
  const settings = () => {
    known ??= settingsOf(directory, problems);
    return known;
  };
  return directory.runs.map((run) => ({
    run,
    directory,
    fields: { ...fieldsOf(run, directory), retired },
    settings,
  }));
}

/** A field, a setting of the run's own method (`learningRate`), or one of the experiment by its path. */
export function look({ fields, run, settings }: ListedRun, name: string): Value {
  if (isField(name)) return fields[name];
  return settings().get(`methods.${run.label}.${name}`) ?? settings().get(name);
}

export const isField = (name: string): name is RunField =>
  (runFields as readonly string[]).includes(name);

function fieldsOf(run: Run, { info, path }: RunDirectory): Omit<ListedRun['fields'], 'retired'> {
  const { metrics, recorded } = run;
  const last = (column: string) => lastValue(metrics, column);
  const result = finalResult(run, 'any');
  const final = 'missing' in result ? {} : result;
  return {
    directory: path,
    experiment: run.experiment,
    method: run.label,
    seed: run.seed,
    status: shownStatus(run),
    batches: last('batch') ?? recorded?.batches,
    validation_accuracy: final.validationAccuracy,
    validation_loss: last('validation_loss') ?? recorded?.finalValidationLoss,
    validation_accuracy_flips: final.validationAccuracyFlips,
    test_accuracy: final.testAccuracy,
    test_accuracy_flips: final.testAccuracyFlips,
    best_test_accuracy: recorded?.bestTestAccuracy,
    test_loss: last('test_loss') ?? recorded?.finalTestLoss,
    train_loss: last('train_loss') ?? recorded?.finalTrainLoss,
    train_s: last('wall_s') ?? recorded?.wallSeconds,
    step_ms: recorded?.medianStepMs,
    dataset: info?.dataset,
    network: info?.layers,
    backend: info?.backend,
    started: run.startedAt,
    ended: run.endedAt,
    error: run.error,
  };
}

/** The parameters of a sweep, where all runs are its trials; else none. */
export function sweepParameters(runs: readonly ListedRun[]): string[] {
  const sweeps = new Set(runs.map(({ directory }) => dirname(dirname(directory.path))));
  if (sweeps.size !== 1) return [];
  const [sweep] = sweeps;
  try {
    const { parameters } = JSON.parse(readText(join(sweep, 'sweep.json')));
    return parameters.filter((path: unknown) => typeof path === 'string').map(shortName);
  } catch {
    // Not a sweep, or its manifest is damaged: the runs are listed nevertheless.
    return [];
  }
}

/** `learningRate` for `methods.adam.learningRate`: the setting of each run's own method. */
const shortName = (path: string) => path.replace(/^methods\.[^.]+\.(?=[^.]+$)/, '');
