import { UsageError } from '../../errors.js';
import type { SweepConfig } from '../schema.js';

export type SlurmSettings = SweepConfig['slurm'];
export type SbatchOptions = SlurmSettings['options'];

/** What the launcher itself says to sbatch, and what would keep it from submitting or from returning. */
const own = [
  ...['array', 'output', 'error', 'open-mode', 'signal', 'requeue', 'no-requeue', 'job-name'],
  ...['parsable', 'wrap', 'wait', 'test-only', 'help', 'usage', 'version'],
];

/**
 * `time=2:00:00`, `exclusive` as options of sbatch.
 * @throws UsageError for what is none, and for what the launcher sets itself
 */
export function parseSbatch(given: readonly string[]): SbatchOptions {
  return Object.fromEntries(
    given.map((text) => {
      const [, name, value] = /^-{0,2}([a-z][a-z0-9-]*)(?:=(.+))?$/s.exec(text) ?? [];
      if (name === undefined) {
        throw new UsageError(`--sbatch: "${text}" is not an option of sbatch; write time=2:00:00`);
      }
      return [name, value ?? true] as const;
    }),
  );
}

/** @throws UsageError for options that would break how trials are run and found */
export function checkSbatch(options: SbatchOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (own.includes(name)) {
      throw new UsageError(`the option ${name} of sbatch is set by the sweep itself: leave it out`);
    }
    if (name === 'dependency' && String(value).includes('?')) {
      throw new UsageError(
        'the option dependency of sbatch: separate conditions by commas, as the sweep adds its own',
      );
    }
    if (/[\r\n]/.test(String(value))) {
      throw new UsageError(`the option ${name} of sbatch has a line break in it`);
    }
  }
}
