import { lastBatch, type Run } from './run-directory.js';

/** What a run ended with, or why it has no final result. */
export type FinalResult =
  | {
      readonly testAccuracy?: number;
      readonly validationAccuracy?: number;
      /** Training time alone. */
      readonly trainSeconds?: number;
    }
  | { readonly missing: string };

/**
 * The result after a run's last batch. Only a completed run has one: the last accuracy that an
 * interrupted run measured is no final one, and neither is that of a metrics.csv cut off later.
 *
 * @param from `metrics` reads metrics.csv alone; `any` takes run.json's word where that file was left out
 */
export function finalResult(run: Run, from: 'metrics' | 'any'): FinalResult {
  const { status, error, metrics, unread, recorded } = run;
  if (status !== 'COMPLETED') return { missing: why[status] + (error ? `: ${error}` : '') };
  if (unread === 'absent' && from === 'any' && recorded) {
    const { finalTestAccuracy, finalValidationAccuracy, wallSeconds } = recorded;
    return measured({
      testAccuracy: finalTestAccuracy,
      validationAccuracy: finalValidationAccuracy,
      trainSeconds: wallSeconds,
    });
  }
  if (unread === 'absent') return { missing: 'its metrics.csv is absent' };
  if (unread === 'damaged') return { missing: `its metrics.csv is damaged; ${again}` };
  const end = lastBatch(metrics);
  if (end < (recorded?.batches ?? end)) {
    return { missing: `its metrics.csv ends at batch ${end} of ${recorded?.batches}; ${again}` };
  }
  const last = (name: string) => {
    const value = metrics.columns[name]?.at(-1);
    return Number.isFinite(value) ? value : undefined;
  };
  return measured({
    testAccuracy: last('test_accuracy'),
    validationAccuracy: last('validation_accuracy'),
    trainSeconds: last('wall_s'),
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
  const { testAccuracy, validationAccuracy } = result;
  if (testAccuracy !== undefined || validationAccuracy !== undefined) return result;
  return { missing: 'no accuracy was measured after its last batch' };
}
