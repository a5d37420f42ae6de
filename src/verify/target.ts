import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Experiment } from '../config/experiment.js';
import { loadExperiment } from '../config/load.js';
import { UsageError } from '../errors.js';
import { defaultDirectory } from '../experiment/plan.js';
import { isFolder } from '../files/folder.js';
import { loadRunDirectory, oneRunDirectory, type RunDirectory } from '../runs/run-directory.js';
import { recordedData } from '../runs/run-json.js';
import { shellCommand } from '../shared/text.js';

/** Results and the expectations that they are compared with. */
export interface Target {
  readonly experiment: Experiment;
  /** The file that holds the expectations. */
  readonly config: string;
  readonly directory: RunDirectory;
  /** Of reading the config. */
  readonly warnings: readonly string[];
}

/**
 * Finds a run directory and the config with its expectations, and checks that they belong together.
 * @param request.target a run directory, or a config
 * @param request.runDirectory of a config; its default directory if absent
 * @throws UsageError naming what is missing and how to create it, ConfigError
 */
export function findTarget({
  target,
  overrides,
  runDirectory,
}: {
  readonly target: string;
  readonly overrides: readonly string[];
  readonly runDirectory?: string;
}): Target {
  if (isFolder(target)) {
    if (runDirectory !== undefined) {
      throw new UsageError(`--run DIR is for a config, and ${target} is a run directory`);
    }
    const path = oneRunDirectory(target);
    const config = join(path, 'config.yaml');
    if (!existsSync(config)) {
      throw new UsageError(
        `${path} has no config.yaml, which would contain the expectations. Pass the config: fln verify CONFIG --run ${path}`,
      );
    }
    const loaded = loadExperiment(config, overrides, {
      ofRunDirectory: true,
      info: recordedData(path),
    });
    return matched({ ...loaded, config }, path);
  }
  const { experiment, warnings } = loadExperiment(target, overrides);
  const path = runDirectory ?? defaultDirectory(experiment);
  if (!isFolder(path)) {
    const out = runDirectory ? ['--out', runDirectory] : [];
    const command = shellCommand(['fln', 'run', target, ...overrides, ...out]);
    const elsewhere = runDirectory
      ? ''
      : '; if they are elsewhere, pass their directory with --run DIR';
    throw new UsageError(
      `there are no results of ${target}: ${path} does not exist. Train first: ${command}${elsewhere}`,
    );
  }
  return matched({ experiment, warnings, config: target }, oneRunDirectory(path));
}

function matched(
  { experiment, warnings, config }: Omit<Target, 'directory'>,
  path: string,
): Target {
  const directory = loadRunDirectory(path);
  const hash = hashOf(directory);
  if (hash === experiment.hash) return { experiment, config, directory, warnings };
  const theirs = hash === undefined ? 'results of an unknown config' : `results of config ${hash}`;
  throw new UsageError(
    `${path} contains ${theirs}, but ${config} is ${experiment.hash}: their settings differ, so its expectations do not apply to these results`,
  );
}

/**
 * Hash of the config of a run directory: of config.yaml as this version reads it, so that fields added
 * since have their defaults, else the hash in run.json.
 */
function hashOf(directory: RunDirectory): string | undefined {
  try {
    const info = recordedData(directory.path);
    return loadExperiment(join(directory.path, 'config.yaml'), [], { info }).experiment.hash;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
  return recordedHash(directory);
}

/** Hash of the config in run.json. */
export function recordedHash({ info }: RunDirectory): string | undefined {
  const { experiment } = (info?.json ?? {}) as { experiment?: { hash?: unknown } };
  return typeof experiment?.hash === 'string' ? experiment.hash : undefined;
}
