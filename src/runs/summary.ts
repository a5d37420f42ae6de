import { stringify } from 'csv-stringify/sync';
import { type Estimate, estimate, largest, median } from '../shared/statistics.js';
import type { Metrics } from './metrics.js';
import { lastBatch, lastValue, type Run } from './run-directory.js';
import type { RunStatus, RunSummary } from './run-json.js';

/** Test accuracies for which the time until they are first reached is reported. */
export const accuracyThresholds = [
  0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99,
] as const;

/** Those that tables show unless others are asked for. */
export const roundThresholds = accuracyThresholds.filter((t) => ![0.96, 0.975, 0.985].includes(t));

/** When an accuracy is first reached. */
export interface Crossing {
  readonly batch: number;
  /** Training seconds. */
  readonly seconds: number;
  /** The last batch evaluated before it, 0 for none: the accuracy may have been reached at any batch in between. */
  readonly previous: number;
}

/** The first evaluated batch of a run that reaches an accuracy; undefined where none does. */
export function firstReached(
  { columns }: Metrics,
  threshold: number,
  column = 'test_accuracy',
): Crossing | undefined {
  const accuracy = columns[column] ?? new Float64Array();
  const row = accuracy.findIndex((value) => value >= threshold);
  if (row < 0) return undefined;
  const before = accuracy.subarray(0, row).findLastIndex((value) => !Number.isNaN(value));
  const previous = before < 0 ? 0 : columns.batch[before];
  return { batch: columns.batch[row], seconds: columns.wall_s[row], previous };
}

/**
 * The summary of one run, from its metrics.
 * @param error of a run that failed
 */
export function summarise(metrics: Metrics, status: RunStatus, error?: string): RunSummary {
  const { columns, rows } = metrics;
  const last = (name: string) => columns[name]?.findLast((value) => !Number.isNaN(value));
  const accuracy = columns.test_accuracy ?? new Float64Array();
  const secondsToAccuracy: Record<string, number> = {};
  for (const threshold of accuracyThresholds) {
    const crossing = firstReached(metrics, threshold);
    if (crossing) secondsToAccuracy[threshold] = crossing.seconds;
  }
  return {
    method: metrics.method,
    seed: metrics.seed,
    status,
    batches: rows > 0 ? columns.batch[rows - 1] : 0,
    finalTestAccuracy: last('test_accuracy'),
    bestTestAccuracy: best(accuracy),
    finalTestLoss: last('test_loss'),
    finalTrainLoss: last('train_loss'),
    finalValidationAccuracy: last('validation_accuracy'),
    finalValidationLoss: last('validation_loss'),
    finalTestAccuracyFlips: last('test_accuracy_flips'),
    finalValidationAccuracyFlips: last('validation_accuracy_flips'),
    wallSeconds: last('wall_s') ?? 0,
    medianStepMs: median(columns.step_ms ?? []),
    secondsToAccuracy,
    error,
  };
}

function best(accuracies: Float64Array): number | undefined {
  const measured = accuracies.filter((value) => !Number.isNaN(value));
  return measured.length > 0 ? measured.reduce((a, b) => Math.max(a, b)) : undefined;
}

/** One method over its completed seeds; only these have a final accuracy. */
export interface MethodSummary {
  readonly method: string;
  readonly variant?: string;
  /** Seeds that completed. */
  readonly completed: number;
  readonly seeds: number;
  readonly finalTestAccuracy?: Estimate;
  /** The largest test accuracy of any seed at any time. */
  readonly bestTestAccuracy?: number;
  readonly finalValidationAccuracy?: Estimate;
  readonly finalTestLoss?: Estimate;
  readonly finalValidationLoss?: Estimate;
  /** By the mean of the outputs for an image and its mirror image. */
  readonly finalTestAccuracyFlips?: Estimate;
  readonly finalValidationAccuracyFlips?: Estimate;
  /** Training seconds of a whole run. */
  readonly wallSeconds?: Estimate;
  /** Milliseconds, mean over seeds of the run's median. */
  readonly stepMs?: Estimate;
  /** Threshold -> seconds; absent unless every completed seed reached it. */
  readonly secondsToAccuracy: Readonly<Record<string, Estimate>>;
}

/** Aggregates runs over seeds, methods in the order of their first run. */
export function aggregate(summaries: readonly RunSummary[]): MethodSummary[] {
  return [...groupByMethod(summaries)].map(([method, runs]) => {
    const completed = runs.filter(({ status }) => status === 'COMPLETED');
    const over = (value: (run: RunSummary) => number | undefined) =>
      estimate(completed.map(value).filter((x) => x !== undefined));
    const bests = completed.flatMap(({ bestTestAccuracy }) => bestTestAccuracy ?? []);
    const secondsToAccuracy: Record<string, Estimate> = {};
    for (const threshold of accuracyThresholds) {
      const seconds = over((run) => run.secondsToAccuracy[threshold]);
      if (seconds?.n === completed.length) secondsToAccuracy[threshold] = seconds;
    }
    return {
      method,
      variant: runs[0].variant,
      completed: completed.length,
      seeds: runs.length,
      finalTestAccuracy: over((run) => run.finalTestAccuracy),
      bestTestAccuracy: bests.length > 0 ? largest(bests) : undefined,
      finalValidationAccuracy: over((run) => run.finalValidationAccuracy),
      finalTestLoss: over((run) => run.finalTestLoss),
      finalValidationLoss: over((run) => run.finalValidationLoss),
      finalTestAccuracyFlips: over((run) => run.finalTestAccuracyFlips),
      finalValidationAccuracyFlips: over((run) => run.finalValidationAccuracyFlips),
      wallSeconds: over((run) => run.wallSeconds),
      stepMs: over((run) => run.medianStepMs),
      secondsToAccuracy,
    };
  });
}

function groupByMethod(summaries: readonly RunSummary[]): Map<string, RunSummary[]> {
  const groups = new Map<string, RunSummary[]>();
  for (const summary of summaries) {
    const group = groups.get(summary.method);
    if (group) group.push(summary);
    else groups.set(summary.method, [summary]);
  }
  return groups;
}

/** The final result of a run, or why it has none. */
export type FinalResult =
  | {
      readonly testAccuracy?: number;
      readonly validationAccuracy?: number;
      readonly testLoss?: number;
      readonly validationLoss?: number;
      /** By the mean of the outputs for an image and its mirror image. */
      readonly testAccuracyFlips?: number;
      readonly validationAccuracyFlips?: number;
      /** Training time alone. */
      readonly trainSeconds?: number;
    }
  | { readonly missing: string };

/**
 * The result after a run's last batch. Only a completed run has one: the last accuracy of an interrupted
 * run or of a truncated metrics.csv is not a final one.
 *
 * @param from `metrics`: from metrics.csv only; `any`: from run.json where that file is absent
 */
export function finalResult(run: Run, from: 'metrics' | 'any'): FinalResult {
  const { status, error, metrics, unread, recorded, paused } = run;
  if (paused && status === 'INTERRUPTED') return { missing: `paused after epoch ${paused.epoch}` };
  if (status !== 'COMPLETED') return { missing: why[status] + (error ? `: ${error}` : '') };
  if (unread === 'absent' && from === 'any' && recorded) {
    const { finalTestAccuracy, finalValidationAccuracy, wallSeconds } = recorded;
    return measured({
      testAccuracy: finalTestAccuracy,
      validationAccuracy: finalValidationAccuracy,
      testLoss: recorded.finalTestLoss,
      validationLoss: recorded.finalValidationLoss,
      testAccuracyFlips: recorded.finalTestAccuracyFlips,
      validationAccuracyFlips: recorded.finalValidationAccuracyFlips,
      trainSeconds: wallSeconds,
    });
  }
  if (unread === 'absent') return { missing: 'its metrics.csv is absent' };
  if (unread === 'damaged') return { missing: `its metrics.csv is damaged; ${again}` };
  const end = lastBatch(metrics);
  if (end < (recorded?.batches ?? end)) {
    return { missing: `its metrics.csv ends at batch ${end} of ${recorded?.batches}; ${again}` };
  }
  return measured({
    testAccuracy: lastValue(metrics, 'test_accuracy'),
    validationAccuracy: lastValue(metrics, 'validation_accuracy'),
    testLoss: lastValue(metrics, 'test_loss'),
    validationLoss: lastValue(metrics, 'validation_loss'),
    testAccuracyFlips: lastValue(metrics, 'test_accuracy_flips'),
    validationAccuracyFlips: lastValue(metrics, 'validation_accuracy_flips'),
    trainSeconds: lastValue(metrics, 'wall_s'),
  });
}

const again = 'delete the file to train the run again';

const why = {
  QUEUED: 'not started',
  RUNNING: 'still running',
  FAILED: 'failed',
  INTERRUPTED: 'interrupted',
} as const;

function measured(result: Exclude<FinalResult, { missing: string }>): FinalResult {
  const { testAccuracy, validationAccuracy, testLoss, validationLoss } = result;
  // A regression has no accuracy.
  const values = [testAccuracy, validationAccuracy, testLoss, validationLoss];
  if (values.some((value) => value !== undefined)) return result;
  return { missing: 'no accuracy was measured after its last batch' };
}

/**
 * summary.csv: one line a run; empty cells where nothing was measured or a threshold not reached. Accuracies with
 * mirror images have columns only where a run has them.
 */
export function summaryCsv(summaries: readonly RunSummary[]): string {
  const rows = summaries.map(
    (run): Record<string, unknown> => ({
      method: run.method,
      seed: run.seed,
      status: run.status,
      batches: run.batches,
      final_test_accuracy: run.finalTestAccuracy,
      best_test_accuracy: run.bestTestAccuracy,
      final_test_loss: run.finalTestLoss,
      final_train_loss: run.finalTrainLoss,
      final_validation_accuracy: run.finalValidationAccuracy,
      final_validation_loss: run.finalValidationLoss,
      final_test_accuracy_flips: run.finalTestAccuracyFlips,
      final_validation_accuracy_flips: run.finalValidationAccuracyFlips,
      wall_s: run.wallSeconds,
      median_step_ms: run.medianStepMs,
      ...Object.fromEntries(
        accuracyThresholds.map((t) => [`seconds_to_${t}`, run.secondsToAccuracy[t]]),
      ),
      error: run.error,
    }),
  );
  const columns = summaryColumns.filter(
    (name) => !name.endsWith('_flips') || rows.some((row) => row[name] !== undefined),
  );
  return stringify(rows, { header: true, columns });
}

const summaryColumns = [
  'method',
  'seed',
  'status',
  'batches',
  'final_test_accuracy',
  'best_test_accuracy',
  'final_test_loss',
  'final_train_loss',
  'final_validation_accuracy',
  'final_validation_loss',
  'final_test_accuracy_flips',
  'final_validation_accuracy_flips',
  'wall_s',
  'median_step_ms',
  ...accuracyThresholds.map((t) => `seconds_to_${t}`),
  'error',
];

/** summary.json: the runs, and each method over its seeds (mean, half width of the 95 % interval, n). */
export function summaryJson(experiment: string, summaries: readonly RunSummary[]): string {
  const content = { experiment, runs: summaries, methods: aggregate(summaries) };
  return `${JSON.stringify(content, null, 2)}\n`;
}
