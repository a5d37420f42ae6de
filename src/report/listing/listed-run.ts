import type { Problem, Run, RunDirectory } from '../../runs/run-directory.js';
import { type Setting, settingsOf } from '../../runs/settings.js';
import { finalResult } from '../../runs/summary.js';

/** What is known of a run beside its settings, in the order in which it is listed. */
export const runFields = [
  'directory',
  'experiment',
  'method',
  'seed',
  'status',
  'batches',
  'validation_accuracy',
  'validation_loss',
  'test_accuracy',
  'best_test_accuracy',
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

/** One run with everything that it can be chosen and sorted by. */
export interface ListedRun {
  readonly run: Run;
  readonly directory: RunDirectory;
  /** Accuracies are shares in [0, 1], `train_s` seconds, `step_ms` milliseconds, times ISO 8601. */
  readonly fields: Readonly<Record<RunField, Value>>;
  /** Of the whole experiment, by path; read when first asked for. */
  readonly settings: () => ReadonlyMap<string, Setting>;
}

/**
 * The runs of a directory. A config.yaml that cannot be read becomes a problem when it is needed.
 * @param retired whether they are of a trial that its sweep file no longer has
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
  const last = (column: string) => {
    const value = metrics.columns[column]?.at(-1);
    return Number.isFinite(value) ? value : undefined;
  };
  const result = finalResult(run, 'any');
  const final = 'missing' in result ? {} : result;
  return {
    directory: path,
    experiment: run.experiment,
    method: run.label,
    seed: run.seed,
    status: run.status,
    batches: last('batch') ?? recorded?.batches,
    validation_accuracy: final.validationAccuracy,
    validation_loss: last('validation_loss') ?? recorded?.finalValidationLoss,
    test_accuracy: final.testAccuracy,
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
