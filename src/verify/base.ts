import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Experiment } from '../config/experiment.js';
import { loadExperiment } from '../config/load.js';
import { FlnError, UsageError } from '../errors.js';
import { isFolder } from '../files/folder.js';
import { dataDifferences, diffValues, type ValueDifference } from '../report/diff.js';
import { loadRunDirectory, oneRunDirectory, type RunDirectory } from '../runs/run-directory.js';
import { recordedData } from '../runs/run-json.js';
import { leavesOf } from '../runs/settings.js';
import { entryFor, readBaseline } from './baseline.js';
import type { SeedResult } from './judge.js';
import { recordedHash, type Target } from './target.js';
import { seedResult } from './verify.js';

/** Earlier results that a run is compared with seed by seed, from a run directory or a baseline file. */
export interface Base {
  readonly path: string;
  /** Absent for a baseline file, which has accuracies only. */
  readonly directory?: RunDirectory;
  /** Method -> seed -> result; methods that were not trained are absent. */
  readonly results: ReadonlyMap<string, ReadonlyMap<number, SeedResult>>;
}

/**
 * Reads earlier results with the settings and the data of `target`. Backend, device and expectations may
 * differ, and methods may be missing.
 * @param path a run directory, or a file written by `--update-baseline`
 * @throws UsageError naming what differs or is missing
 */
export function findBase(
  path: string,
  { experiment, directory: run }: Pick<Target, 'experiment' | 'directory'>,
): Base {
  const baseline = isFolder(path) ? undefined : readBaseline(path);
  if (baseline !== undefined) {
    const { methods } = entryFor(baseline, path, experiment);
    const results = Object.entries(methods).map(([label, seeds]) => {
      const measured = Object.entries(seeds).map(
        ([seed, accuracy]) => [Number(seed), { seed: Number(seed), accuracy }] as const,
      );
      return [label, new Map(measured)] as const;
    });
    return { path, results: new Map(results) };
  }
  const directory = loadRunDirectory(oneRunDirectory(path));
  if (realpathSync(directory.path) === realpathSync(run.path)) {
    throw new UsageError(
      `${path} is the run being verified, which compared with itself always passes. Pass the directory of earlier results`,
    );
  }
  const pair = `${run.path} cannot be compared with ${directory.path}`;
  refuse(
    settingDifferences(experiment, directory),
    `${pair}: their settings differ. To compare them, train both with the same config`,
  );
  refuse(
    dataDifferences(run, directory),
    `${pair}: they were trained on different data. To compare them, train both on the same files`,
  );
  const started = directory.runs.filter(({ status }) => status !== 'QUEUED');
  const results = new Map(
    [...new Set(started.map(({ label }) => label))].map((label) => {
      const seeds = started.filter((run) => run.label === label).map(({ seed }) => seed);
      return [label, new Map(seeds.map((seed) => [seed, seedResult(directory, label, seed)]))];
    }),
  );
  return { path: directory.path, directory, results };
}

/**
 * The methods of a config, each with the seeds of the config and of the base; `seeds` is undefined where
 * the base has no results of the method.
 * @throws UsageError when the base has results of none of them
 */
export function seedsToCompare(
  { methods, seeds }: Pick<Experiment, 'methods' | 'seeds'>,
  { path, results }: Base,
): { readonly method: string; readonly seeds?: readonly number[] }[] {
  const compared = methods.map(({ label }) => {
    const earlier = results.get(label);
    return { method: label, seeds: earlier && [...new Set([...seeds, ...earlier.keys()])] };
  });
  if (compared.some(({ seeds }) => seeds !== undefined)) return compared;
  throw new UsageError(`${path} has no results of any method of the config`);
}

/**
 * @param missing runs without a result in the base, and why
 * @throws UsageError when there are any
 */
export function refuseMissing({ path }: Base, missing: readonly string[]): void {
  if (missing.length === 0) return;
  const lines = missing.map((run) => `\n  ${run}`).join('');
  throw new UsageError(
    `${path} has no results of some runs; train them with the same config:${lines}`,
  );
}

/** @throws UsageError with the message and the first differences */
function refuse(differences: readonly ValueDifference[], message: string): void {
  if (differences.length === 0) return;
  const shown = differences.slice(0, 5).map(({ name, a, b }) => {
    const [now, before] = [a, b].map((value) => (value === undefined ? 'absent' : String(value)));
    return `\n  ${name}: ${now}, in the base ${before}`;
  });
  const rest = differences.length - shown.length;
  const more = rest > 0 ? `\n  ... and ${rest} more` : '';
  throw new UsageError(`${message}${shown.join('')}${more}`);
}

/** Settings that do not affect the numbers of a run, or only their rounding. Methods are compared one by one. */
const mayDiffer = ['name', 'expect', 'seeds', 'backend', 'device', 'methods'];

function settingDifferences(now: Experiment, base: RunDirectory): ValueDifference[] {
  const before = experimentOf(base, now);
  if (before === undefined) return [];
  const [a, b] = [now, before].map(({ resolved }) => {
    const settings = Object.entries(resolved).filter(([key]) => !mayDiffer.includes(key));
    const leaves = new Map(leavesOf(Object.fromEntries(settings)));
    // The same plugin or model may lie elsewhere.
    for (const key of leaves.keys()) {
      if (/^plugins\.\d+\.file$|^init\.from$/.test(key)) leaves.delete(key);
    }
    return leaves;
  });
  // Models of seeds that only one of them has are no difference of settings.
  for (const [one, other] of [
    [a, b],
    [b, a],
  ]) {
    if (!now.init || !before.init) break;
    for (const key of one.keys()) {
      if (/^init\.sha256\./.test(key) && !other.has(key)) one.delete(key);
    }
  }
  const methods = before.methods.flatMap(({ label, config }): ValueDifference[] => {
    const same = now.methods.find((method) => method.label === label);
    const path = `methods.${label}`;
    if (same === undefined) return [{ name: path, b: 'present' }];
    return diffValues(leavesOf(same.config), leavesOf(config)).map((difference) => ({
      ...difference,
      name: `${path}.${difference.name}`,
    }));
  });
  return [...diffValues(a, b), ...methods];
}

/** Undefined where config.yaml is absent and run.json has the hash of the same config. */
function experimentOf(base: RunDirectory, now: Experiment): Experiment | undefined {
  if (base.config !== undefined) {
    try {
      const info = recordedData(base.path);
      return loadExperiment(join(base.path, 'config.yaml'), [], { info }).experiment;
    } catch (error) {
      if (!(error instanceof FlnError)) throw error;
      throw new UsageError(
        `this version cannot read the settings of ${base.path}; train it again.\n${error.message}`,
      );
    }
  }
  if (recordedHash(base) === now.hash) return undefined;
  throw new UsageError(
    `${base.path} has no config.yaml, so the settings of its results are unknown`,
  );
}
