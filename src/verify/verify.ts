import type { Experiment } from '../config/experiment.js';
import { splitSizes } from '../data/load.js';
import { findDataset } from '../data/registry.js';
import { UsageError } from '../errors.js';
import type { RunDirectory } from '../runs/run-directory.js';
import { finalResult } from '../runs/summary.js';
import type { BaselineEntry } from './baseline.js';
import { judge, type MethodVerdict, type SeedResult } from './judge.js';

/** Measured accuracies of an experiment against what its config expects. */
export interface Verification {
  readonly experiment: string;
  readonly directory: string;
  /** How many images each accuracy was measured on. */
  readonly testImages: number;
  readonly ok: boolean;
  /** In the order of the config. */
  readonly methods: readonly MethodVerdict[];
}

export interface VerifyOptions {
  /** What the experiment reached earlier. */
  readonly baseline?: BaselineEntry;
  /** Whether results that nothing limits may pass: they become the baseline, or are compared otherwise. */
  readonly mayBeUnlimited?: boolean;
}

/**
 * Judges the runs of a directory by the `expect` block of a config, and by a baseline.
 * @param directory holds runs of this config (see target.ts)
 * @throws UsageError when nothing is expected that could fail: such a gate would always pass
 */
export function verify(
  experiment: Experiment,
  directory: RunDirectory,
  { baseline, mayBeUnlimited = false }: VerifyOptions = {},
): Verification {
  const { name, dataset, seeds, expect } = experiment;
  const isJudged = baseline !== undefined || setsLimits(experiment);
  if (!isJudged && !mayBeUnlimited) refuseEmptyGate(experiment);
  if (isJudged) refuseUnseenTestSet(experiment);
  const testImages = splitSizes(findDataset(dataset.name), dataset).test;
  const methods = experiment.methods.map(({ label }) => {
    const results = seeds.map((seed) => seedResult(directory, label, seed));
    const expected = Object.hasOwn(expect, label) ? expect[label] : undefined;
    const accepted =
      baseline && Object.hasOwn(baseline.methods, label) ? baseline.methods[label] : {};
    return judge(label, results, expected, testImages, Object.values(accepted));
  });
  const ok = methods.every(({ verdict }) => verdict !== 'failed');
  return { experiment: name, directory: directory.path, testImages, ok, methods };
}

/** What a method reached with a seed after its last batch. */
export function seedResult({ runs }: RunDirectory, label: string, seed: number): SeedResult {
  const run = runs.find((run) => run.label === label && run.seed === seed);
  if (run === undefined) return { seed, missing: 'not run' };
  const result = finalResult(run, 'metrics');
  if ('missing' in result) return { seed, missing: result.missing };
  const { testAccuracy } = result;
  if (testAccuracy === undefined) return { seed, missing: 'its test accuracy was not measured' };
  return { seed, accuracy: testAccuracy };
}

/** Whether a config expects anything that a result could fail. */
export const setsLimits = ({ expect }: Pick<Experiment, 'expect'>): boolean =>
  Object.values(expect).some(
    ({ atLeast, atMost }) => atLeast !== undefined || atMost !== undefined,
  );

function refuseEmptyGate({ name, methods }: Experiment): void {
  throw new UsageError(
    `the config of ${name} sets no limit to verify. Give it one, as in\n` +
      `expect:\n  ${methods[0].label}: { atLeast: 0.97 }\nor compare with earlier results: --paired DIR, --exact DIR or --baseline FILE`,
  );
}

/** @throws UsageError when a config leaves the test set alone */
export function refuseUnseenTestSet({ name, evaluate }: Experiment): void {
  if (evaluate.test === 'never') {
    throw new UsageError(
      `the config of ${name} leaves the test set alone (evaluate.test: never), and test accuracies are what is verified. Set evaluate.test to last or every`,
    );
  }
}
