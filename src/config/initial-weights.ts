import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { adviceOf } from '../core/methods/fields.js';
import type { MethodDefinition, NetworkShape } from '../core/methods/method.js';
import type { InitialWeights } from '../core/network/network.js';
import {
  descriptionName,
  fromStored,
  storedArrays,
  weightsName,
} from '../core/network/weight-layout.js';
import { UsageError } from '../errors.js';
import { causeOf, isSystemError } from '../files/disk.js';
import { readBytes, readText, statsOf } from '../files/read.js';
import { type NamedArray, parseArrays } from '../files/safetensors.js';
import type { Experiment, PinnedInit } from './experiment.js';
import type { MethodResolution } from './methods.js';
import type { InitConfig } from './schema.js';
import type { Finding } from './validate.js';

/**
 * `init` of a config: training starts from the weights of a completed run (docs/model.md). The checksums of the
 * model files are part of the experiment.
 */

/** A value of `init` that cannot be used. */
class InitError extends UsageError {
  constructor(
    readonly field: 'from' | 'seed' | 'label',
    message: string,
  ) {
    super(message);
  }
}

/**
 * Finds and checks the model of each seed. Where `sha256` has one already, as in the config.yaml of a run
 * directory, that is taken and the file is checked when a training starts: results remain readable without it.
 * @param network undefined when it is not usable, or not known yet
 */
export function pinModels(
  init: InitConfig,
  seeds: readonly number[],
  network: NetworkShape | undefined,
): {
  readonly init: PinnedInit;
  readonly findings: readonly Finding[];
  /** Where each checksum comes from, by its path in the config. */
  readonly origins: Readonly<Record<string, string>>;
} {
  const sha256: Record<string, string> = {};
  const findings: Finding[] = [];
  const origins: Record<string, string> = {};
  for (const seed of seeds) {
    if (init.sha256?.[seed] !== undefined) {
      sha256[seed] = init.sha256[seed];
      continue;
    }
    try {
      const file = findModelFile(init, seed);
      sha256[seed] = readModelFile(file, network).sha256;
      origins[`init.sha256.${seed}`] = file;
    } catch (error) {
      if (!(error instanceof InitError)) throw error;
      const { field, message } = error;
      if (findings.some((found) => found.message === message)) continue;
      findings.push({ path: ['init', field], message, at: 'value' });
    }
  }
  return { init: { ...init, sha256 }, findings, origins };
}

/** Methods that cannot start from a model, and settings of random initial weights. */
export function checkInit(
  entries: readonly unknown[],
  resolutions: readonly Pick<MethodResolution, 'method'>[],
): Finding[] {
  return resolutions.flatMap(({ method }, i): Finding[] => {
    if (!method) return [];
    const { definition } = method;
    if (definition.refusesInit !== undefined) {
      const message = `cannot start from init: ${definition.refusesInit}. Remove the method, or train it in a config without init`;
      return [{ path: ['methods', i], message, at: 'value' }];
    }
    const unused = randomStart(definition).filter((field) =>
      Object.hasOwn(Object(entries[i]), field),
    );
    return unused.map((field) => {
      const message = 'has no effect with init, from whose weights the methods start; remove it';
      return { path: ['methods', i, field], message, at: 'key' };
    });
  });
}

/** The fields of a method that only random initial weights depend on. */
export const randomStart = ({ schema }: MethodDefinition): string[] =>
  Object.entries(schema.shape).flatMap(([key, field]) =>
    adviceOf(field).whenStartedFromModel === 'unused' ? [key] : [],
  );

/**
 * The weights that a run starts from; undefined without `init`.
 * @throws UsageError where the model is absent, damaged, does not fit the network or has another checksum
 */
export function initialWeights(
  { init, network }: Pick<Experiment, 'init' | 'network'>,
  seed: number,
): InitialWeights | undefined {
  if (init === undefined) return undefined;
  try {
    const file = findModelFile(init, seed);
    const { sha256, weights } = readModelFile(file, network);
    if (sha256 === init.sha256[seed]) return weights;
    throw new InitError(
      'from',
      `${file} is not the model that sha256 records for seed ${seed}: its SHA-256 is ${sha256.slice(0, 12)}..., not ` +
        `${init.sha256[seed].slice(0, 12)}.... Another model is another experiment: restore the file, or remove ` +
        'init.sha256 from the config',
    );
  } catch (error) {
    if (!(error instanceof InitError)) throw error;
    throw new UsageError(`init.${error.field}: ${error.message}`, { cause: error });
  }
}

/** @throws InitError */
function findModelFile({ from, seed = 'same', label }: InitConfig, runSeed: number): string {
  const found = statsOf(from);
  if (!found) throw new InitError('from', `there is no file or folder ${from}`);
  const isFile = !found.isDirectory();
  if (isFile || existsSync(join(from, weightsName))) {
    const one = `is for a run directory, and from is ${isFile ? 'one model file' : 'the folder of one run'}; remove it`;
    if (label !== undefined) throw new InitError('label', one);
    if (seed !== 'same') throw new InitError('seed', one);
    return isFile ? from : join(from, weightsName);
  }
  const models = modelsIn(from);
  const labels = [...new Set(models.map((model) => model.label))];
  if (models.length === 0) throw new InitError('from', noModels(from));
  if (label === undefined && labels.length > 1) {
    throw new InitError(
      'from',
      `${from} has models of ${labels.join(', ')}; choose one, as in label: ${labels[0]}`,
    );
  }
  const wanted = label ?? labels[0];
  const fitting = models.filter((model) => model.label === wanted);
  if (fitting.length === 0) {
    throw new InitError('label', `${from} has no model of ${wanted}; it has ${labels.join(', ')}`);
  }
  const wantedSeed = seed === 'same' ? runSeed : seed;
  const model = fitting.find((one) => one.seed === wantedSeed);
  if (model) return join(from, model.folder, weightsName);
  const seeds = fitting.map((one) => one.seed).sort((a, b) => a - b);
  throw new InitError(
    seed === 'same' ? 'from' : 'seed',
    `${from} has no model of ${wanted} with seed ${wantedSeed}; it has seed ${seeds.join(', ')}` +
      (seed === 'same' ? `. To start every run from one of them: seed: ${seeds[0]}` : ''),
  );
}

/** The runs of a run directory that left a model. */
function modelsIn(directory: string): { folder: string; label: string; seed: number }[] {
  return readdirSync(directory)
    .sort()
    .flatMap((folder) => {
      const [, label, seed] = /^(.+)-s(\d+)$/.exec(folder) ?? [];
      const names = [weightsName, descriptionName];
      const isModel = label && names.every((name) => existsSync(join(directory, folder, name)));
      return isModel ? [{ folder, label, seed: Number(seed) }] : [];
    });
}

function noModels(directory: string): string {
  const inside = readdirSync(directory).filter((name) => {
    const path = join(directory, name);
    return statsOf(path)?.isDirectory() && modelsIn(path).length > 0;
  });
  if (inside.length > 0) {
    return `${directory} is not a run directory; did you mean ${join(directory, inside[0])}?`;
  }
  return (
    `${directory} has no trained model: completed runs leave ${weightsName} and ${descriptionName}, except with ` +
    '--no-model and in earlier versions of fln. Train its runs again with --overwrite'
  );
}

/**
 * Reads a model file, of this program or with the same arrays.
 * @returns no weights without a network
 * @throws InitError
 */
function readModelFile(
  file: string,
  network: NetworkShape | undefined,
): { readonly sha256: string; readonly weights?: InitialWeights } {
  try {
    const bytes = readBytes(file, Number.POSITIVE_INFINITY);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    refuseDamaged(file, sha256);
    const arrays = parseArrays(bytes);
    return { sha256, ...(network && { weights: weightsOf(file, arrays, network) }) };
  } catch (error) {
    if (error instanceof InitError) throw error;
    const { message } = error as Error;
    const reason =
      error instanceof SyntaxError
        ? 'it is not a safetensors file'
        : isSystemError(error)
          ? causeOf(error)
          : message;
    throw new InitError('from', `${file} cannot be used: ${reason}`);
  }
}

/** @throws Error where the model.json beside a file records another checksum */
function refuseDamaged(file: string, sha256: string): void {
  const path = join(dirname(file), descriptionName);
  if (basename(file) !== weightsName || !existsSync(path)) return;
  let recorded: unknown;
  try {
    recorded = JSON.parse(readText(path))?.weights?.sha256;
  } catch (error) {
    throw new Error(`${descriptionName} beside it cannot be read (${(error as Error).message})`);
  }
  if (recorded === sha256) return;
  throw new Error(`it is damaged: its SHA-256 is not the one that ${descriptionName} records`);
}

/** @throws InitError where names or shapes are not those of the network */
function weightsOf(
  file: string,
  arrays: ReadonlyMap<string, NamedArray>,
  { layers }: NetworkShape,
): InitialWeights {
  const wrong: string[] = [];
  const take = ({ name, shape }: { name: string; shape: readonly number[] }, l: number) => {
    const found = arrays.get(name);
    if (found?.values instanceof Float32Array && String(found.shape) === String(shape)) {
      return found.values;
    }
    const type = found?.dtype === 'F64' ? ' of float64' : '';
    const there = found ? `[${found.shape.join(', ')}]${type}` : 'none';
    const expected = `[${shape.join(', ')}]${type && ' of float32'}`;
    wrong.push(`layer ${l + 1}: expected ${name} ${expected}, found ${there}`);
    return new Float32Array();
  };
  const weights = layers.map((layer, l) => {
    const names = storedArrays(layer, l);
    const stored = take(names.weight, l);
    const bias = take(names.bias, l);
    const mean = `layers.${l}.norm.mean`;
    if (!names.mean && arrays.has(mean)) {
      wrong.push(`layer ${l + 1}: it has a batch norm there (${mean}), and the network has none`);
    }
    return wrong.length > 0
      ? { weights: stored, bias }
      : { weights: fromStored(stored, layer), bias };
  });
  const more = [...arrays.keys()].find((name) => {
    const [, l] = /^layers\.(\d+)\./.exec(name) ?? [];
    return l !== undefined && Number(l) >= layers.length;
  });
  if (more)
    wrong.push(`it has ${more}, and the network has only ${layers.length} layers with weights`);
  if (wrong.length === 0) return weights;
  const shown = wrong.slice(0, 4);
  const rest = wrong.length > shown.length ? `; ... and ${wrong.length - shown.length} more` : '';
  throw new InitError('from', `${file} is not a model of this network: ${shown.join('; ')}${rest}`);
}
