import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadPlugin } from '../config/plugins/load.js';
import { builtIn, type Registry, withPlugin } from '../config/plugins/registry.js';
import { UsageError } from '../errors.js';
import { isFolder } from '../files/folder.js';
import {
  hasModel,
  type Model,
  type ModelDescription,
  readDescription,
  readModel,
} from '../runs/model-file.js';
import { oneRunDirectory } from '../runs/run-directory.js';
import { runName } from '../shared/text.js';

/** Which trained models of a run directory are meant; all where nothing is given. */
export interface ModelChoice {
  readonly label?: string;
  readonly seed?: number;
  /**
   * Only the one with the best validation accuracy; test accuracy where there is no validation split. Of a regression, the
   * lowest loss.
   */
  readonly best?: boolean;
  /** Files of plugins that the models need: they run as code, where they are those of the training. */
  readonly plugins?: readonly string[];
}

interface Found {
  readonly folder: string;
  readonly description: ModelDescription;
}

/**
 * Reads the chosen models of a path.
 * @param path a run directory, a folder LABEL-sSEED in one, or a folder with one run directory below it
 * @throws UsageError where there is none, with the reason, or where a file is damaged
 */
export function loadModels(path: string, choice: ModelChoice = {}): Model[] {
  const found = choose(path, choice);
  const registry = registryOf(found, choice.plugins);
  return found.map(({ folder }) => readModel(folder, registry));
}

/** What the models may use. Nothing that a file names is loaded, only what the caller names. */
function registryOf(found: readonly Found[], files: readonly string[] = []): Registry {
  const recorded = found.flatMap(({ description }) => description.plugins ?? []);
  const versions = [...new Set(recorded.map(({ file, sha256 }) => `${file} (sha256 ${sha256})`))];
  const refusal = (sha256: string) => {
    if (recorded.some((plugin) => plugin.sha256 === sha256)) return undefined;
    if (versions.length === 0) {
      return `is not needed: ${found[0].folder} was trained without plugins. Leave out --plugins`;
    }
    return (
      `has the sha256 ${sha256}, and ${found[0].folder} was trained with ${versions.join(', ')}. ` +
      'Restore that version, or train again with this one'
    );
  };
  return files.reduce(
    (registry, file) => withPlugin(registry, loadPlugin(resolve(file), refusal)),
    builtIn,
  );
}

/**
 * The only model of a path.
 * @throws UsageError as {@link loadModels}, and where several are left, with how to choose one
 */
export function loadModel(path: string, choice: ModelChoice = {}): Model {
  const found = choose(path, choice);
  if (found.length === 1) {
    return readModel(found[0].folder, registryOf(found, choice.plugins));
  }
  const ways = found
    .slice(0, 20)
    .map(({ description: { label, seed } }) => `\n  --label ${label} --seed ${seed}`);
  const rest = found.length > ways.length ? `\n  ... and ${found.length - ways.length} more` : '';
  throw new UsageError(
    `${path} holds ${found.length} trained models; choose one, or --best:${ways.join('')}${rest}`,
  );
}

function choose(path: string, { label, seed, best = false }: ModelChoice): Found[] {
  const all = findModels(path);
  const found = all.filter(
    ({ description }) =>
      (label ?? description.label) === description.label &&
      (seed ?? description.seed) === description.seed,
  );
  if (found.length === 0) {
    const wanted = [label, seed !== undefined ? `seed ${seed}` : []].flat().filter(Boolean);
    const names = all.map(({ description }) => runName(description)).join('; ');
    throw new UsageError(`${path} has no trained model of ${wanted.join(', ')}; it has: ${names}`);
  }
  if (!best) return found;
  const [first, ...others] = found;
  return [others.reduce((a, b) => (scoreOf(b) > scoreOf(a) ? b : a), first)];
}

/** Validation accuracy; without a validation split, test accuracy. */
function scoreOf({ description: { results } }: Found): number {
  const result = results.validation ?? results.test;
  return result === undefined ? Number.NEGATIVE_INFINITY : (result.accuracy ?? -result.loss);
}

function findModels(path: string): Found[] {
  if (!isFolder(path)) throw new UsageError(`${path}: there is no such run directory`);
  const read = (folder: string) => ({ folder, description: readDescription(folder) });
  if (hasModel(path)) return [read(resolve(path))];
  const directory = oneRunDirectory(path);
  const folders = readdirSync(directory)
    .sort()
    .map((name) => join(directory, name))
    .filter(hasModel);
  if (folders.length > 0) return folders.map(read);
  throw new UsageError(
    `${directory} has no trained model: completed runs leave model.safetensors and model.json, except with ` +
      '--no-model and in earlier versions of fln. Resume the runs with --resume, or train them again with --overwrite',
  );
}
