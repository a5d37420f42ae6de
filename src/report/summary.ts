import type { Metrics } from './metrics-file.js';
import type { RunStatus, RunSummary } from './run-summary.js';
import { type Estimate, estimate, largest, median } from './statistics.js';

/** Test accuracies whose first crossing is timed. */
export const accuracyThresholds = [0.8, 0.9, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99] as const;

/**
 * The summary of one run, from its metrics.
 * @param error why it failed, where it did
 */
export function summarise(metrics: Metrics, status: RunStatus, error?: string): RunSummary {
  const { columns, rows } = metrics;
  const last = (name: string) => columns[name]?.findLast((value) => !Number.isNaN(value));
  const accuracy = columns.test_accuracy ?? new Float64Array();
  const secondsToAccuracy: Record<string, number> = {};
  for (const threshold of accuracyThresholds) {
    const row = accuracy.findIndex((value) => value >= threshold);
    if (row >= 0) secondsToAccuracy[threshold] = columns.wall_s[row];
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

/** One method over its seeds: the completed ones, which alone have a final accuracy. */
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
