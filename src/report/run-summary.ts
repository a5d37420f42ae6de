/** Of a run, and of a trial of a sweep. */
export const runStatuses = ['QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'INTERRUPTED'] as const;
export type RunStatus = (typeof runStatuses)[number];

/** One line of summary.csv and summary.json. Accuracies are shares in [0, 1]; times are seconds. */
export interface RunSummary {
  readonly method: string;
  /** Which algorithm trained, where the method's name does not say it: `preconditioned`, `Algorithm 2`. */
  readonly variant?: string;
  readonly seed: number;
  readonly status: RunStatus;
  readonly batches: number;
  readonly finalTestAccuracy?: number;
  readonly bestTestAccuracy?: number;
  readonly finalTestLoss?: number;
  readonly finalTrainLoss?: number;
  readonly finalValidationAccuracy?: number;
  readonly finalValidationLoss?: number;
  /** Training time alone: evaluation and warm-up excluded, the method's set-up included. */
  readonly wallSeconds: number;
  readonly medianStepMs?: number;
  /** Training seconds until test accuracy first reached each threshold, e.g. `0.95`; absent when never. */
  readonly secondsToAccuracy: Readonly<Record<string, number>>;
  readonly error?: string;
}
