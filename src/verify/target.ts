import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Experiment } from '../config/experiment.js';
import { loadExperiment } from '../config/load.js';
import { UsageError } from '../errors.js';
import { defaultDirectory } from '../experiment/plan.js';
import { isFolder } from '../files/folder.js';
import { loadRunDirectory, oneRunDirectory, type RunDirectory } from '../runs/run-directory.js';
import { trainCommand } from './train-command.js';

/** What the user names: a run directory, or a config whose run directory is looked up. */
export interface TargetRequest {
  readonly target: string;
  readonly overrides: readonly string[];
  /** The run directory, where it is not the config's default one. */
  readonly runDirectory?: string;
}

export interface Target {
  readonly experiment: Experiment;
  /** The file that holds the expectations. */
  readonly config: string;
  readonly directory: RunDirectory;
  /** Of reading the config. */
  readonly warnings: readonly string[];
}

/**
 * Finds a run directory and the config that says what to expect of it, and makes sure that the one
 * belongs to the other.
 * @throws UsageError naming what is absent and how to make it, ConfigError
 */
export function findTarget({ target, overrides, runDirectory }: TargetRequest): Target {
  if (isFolder(target)) {
    if (runDirectory !== undefined) {
      throw new UsageError(
        `${target} is a run directory itself; --run DIR names the run directory of a config`,
      );
    }
    const path = oneRunDirectory(target);
    const config = join(path, 'config.yaml');
    if (!existsSync(config)) {
      throw new UsageError(
        `${path} has no config.yaml, which says what to expect. Name the config: fln verify CONFIG --run ${path}`,
      );
    }
    const loaded = loadExperiment(config, overrides, { ofRunDirectory: true });
    return matched({ ...loaded, config }, path);
  }
  const { experiment, warnings } = loadExperiment(target, overrides);
  const path = runDirectory ?? defaultDirectory(experiment);
  if (!isFolder(path)) throw new UsageError(absent(target, overrides, path, runDirectory));
  return matched({ experiment, warnings, config: target }, oneRunDirectory(path));
}

function absent(
  config: string,
  overrides: readonly string[],
  path: string,
  given: string | undefined,
): string {
  const command = trainCommand(config, overrides, given ? ['--out', given] : []);
  const elsewhere = given ? '' : '; if they are elsewhere, name their directory with --run DIR';
  return `there are no results of ${config}: ${path} does not exist. Train first: ${command}${elsewhere}`;
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
    `${path} holds ${theirs}, and ${config} is ${experiment.hash}: their settings differ, so its expectations say nothing about these results`,
  );
}

/**
 * Hash of the config that a directory was made with. That of config.yaml as this version reads it
 * comes first: a field that is new since has its default in both.
 */
function hashOf({ path, info }: RunDirectory): string | undefined {
  try {
    return loadExperiment(join(path, 'config.yaml')).experiment.hash;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
  const { experiment } = (info?.json ?? {}) as { experiment?: { hash?: unknown } };
  return typeof experiment?.hash === 'string' ? experiment.hash : undefined;
}
