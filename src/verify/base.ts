import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Experiment } from '../config/experiment.js';
import { loadExperiment } from '../config/load.js';
import { FlnError, UsageError } from '../errors.js';
import { isFolder } from '../files/folder.js';
import { diffValues, provenanceOf, type ValueDifference } from '../report/diff.js';
import { loadRunDirectory, oneRunDirectory, type RunDirectory } from '../runs/run-directory.js';
import { leavesOf } from '../runs/settings.js';
import { entryFor, readBaseline } from './baseline.js';
import type { SeedResult } from './judge.js';
import type { Target } from './target.js';
import { seedResult } from './verify.js';

/** Earlier results that a run is compared with seed by seed: a run directory or a baseline file. */
export interface Base {
  readonly path: string;
  /** Absent where the base is a baseline file, which holds accuracies alone. */
  readonly directory?: RunDirectory;
  /** Method -> seed -> what it reached; methods that were not trained are absent. */
  readonly results: ReadonlyMap<string, ReadonlyMap<number, SeedResult>>;
}

/**
 * Reads earlier results of the settings and the data of `target`. Methods that they lack, their
 * backend, device and expectations may be others.
 * @param path a run directory, or a file that `--update-baseline` wrote
 * @throws UsageError naming what differs or is absent
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
      `${path} is the run that is to be verified: compared with itself it always passes. Name the directory of earlier results`,
    );
  }
  refuse(settingDifferences(experiment, directory), directory, run, {
    what: 'their settings differ',
    wayOut: 'train both with the same config',
  });
  refuse(dataDifferences(run, directory), directory, run, {
    what: 'they were trained on other data',
    wayOut: 'train both on the same files',
  });
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
 * The methods of a config, each with the seeds of the config or of the base that are to be compared;
 * none where the base has no results of the method.
 * @throws UsageError when the base has none of any
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
  throw new UsageError(`${path} has no results of a method that the config names`);
}

/** @throws UsageError when the base has no result of a run that is to be compared */
export function refuseHoles({ path }: Base, holes: readonly string[]): void {
  if (holes.length === 0) return;
  const lines = holes.map((hole) => `\n  ${hole}`).join('');
  throw new UsageError(
    `${path} lacks results to compare with; train them with the same config:${lines}`,
  );
}

function refuse(
  differences: readonly ValueDifference[],
  base: RunDirectory,
  run: RunDirectory,
  { what, wayOut }: { readonly what: string; readonly wayOut: string },
): void {
  if (differences.length === 0) return;
  const shown = differences.slice(0, 5).map(({ name, a, b }) => {
    const [now, before] = [a, b].map((value) => (value === undefined ? 'absent' : String(value)));
    return `\n  ${name}: ${now}, in the base ${before}`;
  });
  const rest = differences.length - shown.length;
  throw new UsageError(
    `${run.path} cannot be compared with ${base.path}: ${what}. To compare them, ${wayOut}${shown.join('')}${rest > 0 ? `\n  ... and ${rest} more` : ''}`,
  );
}

/** Settings that the numbers of a single run do not depend on, or that change their rounding alone. */
const mayDiffer = ['name', 'expect', 'seeds', 'backend', 'device', 'methods'];

function settingDifferences(now: Experiment, base: RunDirectory): ValueDifference[] {
  const before = experimentOf(base, now);
  if (before === undefined) return [];
  const [a, b] = [now, before].map(({ resolved }) => {
    const settings = Object.entries(resolved).filter(([key]) => !mayDiffer.includes(key));
    return leavesOf(Object.fromEntries(settings));
  });
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

/** Undefined where config.yaml is absent and run.json says that it was the same config. */
function experimentOf(base: RunDirectory, now: Experiment): Experiment | undefined {
  if (base.config !== undefined) {
    try {
      return loadExperiment(join(base.path, 'config.yaml')).experiment;
    } catch (error) {
      if (!(error instanceof FlnError)) throw error;
      throw new UsageError(
        `this version cannot read the settings of ${base.path}; train it again.\n${error.message}`,
      );
    }
  }
  const { experiment } = (base.info?.json ?? {}) as { experiment?: { hash?: unknown } };
  if (experiment?.hash === now.hash) return undefined;
  throw new UsageError(
    `${base.path} has no config.yaml, which says what settings its results are of`,
  );
}

/** Checksums of data files that both have recorded and that are not the same. */
function dataDifferences(run: RunDirectory, base: RunDirectory): ValueDifference[] {
  const [a, b] = [run, base].map(({ info }) => {
    const recorded = [...provenanceOf(info?.json)];
    return new Map(recorded.filter(([name]) => name.startsWith('dataset.sha256')));
  });
  return a.size > 0 && b.size > 0 ? diffValues(a, b) : [];
}
