import type { StepMetrics } from '../core/methods/method.js';
import { commonColumns } from '../report/metrics-file.js';
import type { Evaluation } from './evaluate.js';
import type { RunId } from './events.js';

/** Columns of a metrics.csv: the common ones, the validation split's, the method's own. */
export function metricsColumns(validated: boolean, own: readonly string[]): string[] {
  const validation = validated ? ['validation_loss', 'validation_accuracy'] : [];
  return [...commonColumns, ...validation, ...own];
}

/** What one batch measured; times are milliseconds. */
export interface BatchMeasurement {
  readonly run: RunId;
  /** From 1. */
  readonly batch: number;
  /** From 1. */
  readonly epoch: number;
  /** Training time since the start of the run. */
  readonly wallMs: number;
  readonly stepMs: number;
  readonly step: StepMetrics;
  readonly test?: Evaluation;
  readonly validation?: Evaluation;
}

/** The row of metrics.csv for one batch. */
export function metricsRow(
  measured: BatchMeasurement,
): Record<string, number | string | undefined> {
  const { run, batch, epoch, step, test, validation } = measured;
  return {
    ...step.extra,
    method: run.label,
    seed: run.seed,
    batch,
    epoch,
    wall_s: (measured.wallMs / 1000).toFixed(6),
    train_loss: step.loss,
    train_accuracy: step.accuracy,
    test_loss: test?.loss,
    test_accuracy: test?.accuracy,
    objective: step.objective,
    residual: step.residual,
    step_ms: measured.stepMs.toFixed(3),
    validation_loss: validation?.loss,
    validation_accuracy: validation?.accuracy,
  };
}
