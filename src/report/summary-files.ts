import { stringify } from 'csv-stringify/sync';
import type { RunSummary } from './run-summary.js';
import { accuracyThresholds, aggregate } from './summary.js';

/** summary.csv: one line a run; empty cells where nothing was measured or a threshold not reached. */
export function summaryCsv(summaries: readonly RunSummary[]): string {
  const rows = summaries.map((run) => ({
    method: run.method,
    seed: run.seed,
    status: run.status,
    batches: run.batches,
    final_test_accuracy: run.finalTestAccuracy,
    best_test_accuracy: run.bestTestAccuracy,
    final_test_loss: run.finalTestLoss,
    final_train_loss: run.finalTrainLoss,
    final_validation_accuracy: run.finalValidationAccuracy,
    wall_s: run.wallSeconds,
    median_step_ms: run.medianStepMs,
    ...Object.fromEntries(
      accuracyThresholds.map((t) => [`seconds_to_${t}`, run.secondsToAccuracy[t]]),
    ),
    error: run.error,
  }));
  return stringify(rows, { header: true, columns: summaryColumns });
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
