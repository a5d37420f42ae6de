import type { Experiment } from '../config/experiment.js';
import { splitSizes } from '../data/load.js';
import { UsageError } from '../errors.js';
import type { Run, RunDirectory } from '../runs/run-directory.js';
import { finalResult } from '../runs/summary.js';
import type { BaselineEntry } from './baseline.js';
import { judge, type MethodVerdict, type SeedResult } from './judge.js';

/** Measured accuracies of an experiment compared with the limits of its config and with a baseline. */
export interface Verification {
  readonly experiment: string;
  readonly directory: string;
  /** How many images each accuracy was measured on. */
  readonly testImages: number;
  readonly ok: boolean;
  /** In the order of the config. */
  readonly methods: readonly MethodVerdict[];
}

/**
 * Judges the runs of a directory by the `expect` block of a config, and by a baseline.
 * @param directory holds runs of this config (see target.ts)
 * @param options.allowUnlimited accept that there is neither a limit nor a baseline
 * @throws UsageError when there is neither, since such a check would always pass
 */
export function verify(
  experiment: Experiment,
  directory: RunDirectory,
  {
    baseline,
    allowUnlimited = false,
  }: { readonly baseline?: BaselineEntry; readonly allowUnlimited?: boolean } = {},
): Verification {
  const { name, data, dataset, seeds, expect } = experiment;
  const hasLimits =
    baseline !== undefined ||
    Object.values(expect).some(({ atLeast, atMost }) => (atLeast ?? atMost) !== undefined);
  if (hasLimits || experiment.data.isRegression) requireTestAccuracy(experiment);
  else if (!allowUnlimited) {
    throw new UsageError(
      `the config of ${name} has no limits to verify. Add one, as in\n` +
        `expect:\n  ${experiment.methods[0].label}: { atLeast: 0.97 }\nor compare with earlier results: --paired DIR, --exact DIR or --baseline FILE`,
    );
  }
  const testImages = splitSizes(data, dataset).test;
  const methods = experiment.methods.map(({ label }) => {
    const results = seeds.map((seed) => seedResult(directory, label, seed));
    const expected = Object.hasOwn(expect, label) ? expect[label] : undefined;
    const earlier =
      baseline && Object.hasOwn(baseline.methods, label) ? baseline.methods[label] : {};
    return judge(label, results, expected, testImages, Object.values(earlier));
  });
  const ok = methods.every(({ verdict }) => verdict !== 'failed');
  return { experiment: name, directory: directory.path, testImages, ok, methods };
}

export const runOf = ({ runs }: RunDirectory, label: string, seed: number): Run | undefined =>
  runs.find((run) => run.label === label && run.seed === seed);

/** The test accuracy of a run after its last batch. */
export function seedResult(directory: RunDirectory, label: string, seed: number): SeedResult {
  const run = runOf(directory, label, seed);
  if (run === undefined) return { seed, missing: 'not run' };
  const result = finalResult(run, 'metrics');
  if ('missing' in result) return { seed, missing: result.missing };
  const { testAccuracy } = result;
  if (testAccuracy === undefined) return { seed, missing: 'its test accuracy was not measured' };
  return { seed, accuracy: testAccuracy };
}

/** @throws UsageError when a config does not measure test accuracy */
export function requireTestAccuracy({ name, evaluate, data }: Experiment): void {
  if (data.isRegression) {
    throw new UsageError(
      `the data of ${name} is a regression, which has no accuracy to verify; --exact DIR compares the bytes of metrics.csv`,
    );
  }
  if (evaluate.test === 'never') {
    throw new UsageError(
      `the config of ${name} does not measure test accuracy (evaluate.test: never), which fln verify compares. Set evaluate.test to last or every`,
    );
  }
}
