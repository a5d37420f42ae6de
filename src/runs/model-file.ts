import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { devices } from '../backend/backend.js';
import { readLayers } from '../config/layer-shapes.js';
import { type LayerInput, layerSchema } from '../config/layers.js';
import type { PluginKind } from '../config/plugins/define.js';
import { builtIn, type Registry } from '../config/plugins/registry.js';
import type { ChannelScaling } from '../core/dataset.js';
import { type ActivationName, normEpsilon } from '../core/network/names.js';
import type { LayerShape } from '../core/network/shape.js';
import {
  descriptionName,
  fromStored,
  storedArrays,
  weightsName,
} from '../core/network/weight-layout.js';
import { sha256Of } from '../data/content.js';
import { UsageError } from '../errors.js';
import { isFolder } from '../files/folder.js';
import { readBytes, readText } from '../files/read.js';
import { encodeArrays, parseArrays } from '../files/safetensors.js';

/**
 * The trained model of a run, beside its metrics.csv (docs/model.md): `model.safetensors` has the weights
 * that were tested, in PyTorch's layout, and `model.json` everything else that is needed to use them.
 */

export { descriptionName, weightsName };

export const modelFormat = 1;

const size = z.int().positive();
/** A regression has no accuracy. */
const evaluation = z.object({
  loss: z.number(),
  accuracy: z.number().optional(),
  /** By the mean of the outputs for an image and its mirror image, where the run measured it. */
  accuracyFlips: z.number().optional(),
  images: size,
});

const descriptionSchema = z.object({
  format: z.literal(modelFormat),
  experiment: z.string(),
  label: z.string(),
  seed: z.int(),
  method: z.object({ name: z.string(), solver: z.string().optional() }),
  /** Hash of the experiment's config. */
  configHash: z.string(),
  program: z.object({ name: z.string(), version: z.string() }),
  /** What computed the results. */
  backend: z.object({
    name: z.string(),
    version: z.string(),
    detail: z.string(),
    device: z.enum(devices).optional(),
  }),
  network: z.object({
    /** [channels, height, width] */
    input: z.tuple([size, size, size]),
    /** As in a config. The layers with weights are `layers.0`, `layers.1`, ... in model.safetensors. */
    layers: z.array(z.record(z.string(), z.unknown())).min(1),
  }),
  loss: z.string(),
  preprocessing: z.object({
    name: z.string(),
    /** Per channel, in the units of the data: the network's input is (x - mean) / std. */
    mean: z.array(z.number()).min(1),
    std: z.array(z.number().positive()).min(1),
  }),
  /** Names of the outputs, in order: of the classes, or their numbers. */
  classes: z.array(z.string()).min(1),
  /** Whether the outputs are numbers to be predicted rather than classes. */
  isRegression: z.boolean().optional(),
  /** Names of the features of a CSV file, in the order of the inputs. */
  columns: z.array(z.string()).optional(),
  /** Own code that the experiment used, with the kinds and names that it defines (docs/plugins.md). */
  plugins: z
    .array(z.object({ file: z.string(), sha256: z.string(), defines: z.string() }))
    .optional(),
  prediction: z.union([
    z.object({ rule: z.literal('feed-forward') }),
    z.object({ rule: z.literal('lifted'), lambda: z.number().positive() }),
  ]),
  dataset: z.object({
    name: z.string(),
    /** The `dataset` block of the config. */
    config: z.record(z.string(), z.unknown()),
    sha256: z.record(z.string(), z.string()),
  }),
  /** After the last batch, as in metrics.csv. */
  results: z.object({
    batches: z.number(),
    trainSeconds: z.number().optional(),
    test: evaluation.optional(),
    validation: evaluation.optional(),
  }),
  weights: z.object({ file: z.literal(weightsName), sha256: z.string(), parameters: size }),
});

/** Content of model.json. */
export type ModelDescription = Readonly<z.infer<typeof descriptionSchema>>;

/** Weights and bias of a layer, as arrays. */
export interface LayerWeights {
  /** In PyTorch's layout, of the shape {@link storedShape}. */
  readonly stored: Float32Array;
  readonly bias: Float32Array;
  /** Of a batch norm. */
  readonly statistics?: { readonly mean: Float32Array; readonly variance: Float32Array };
}

/** A trained model, read from its files and checked. */
export interface Model {
  /** The folder LABEL-sSEED. */
  readonly folder: string;
  readonly description: ModelDescription;
  readonly layers: readonly LayerShape[];
  /** One per hidden layer. */
  readonly activations: readonly ActivationName[];
  readonly weights: readonly LayerWeights[];
}

/** The preprocessing of each channel. */
export const scalingOf = ({ preprocessing: { mean, std } }: ModelDescription): ChannelScaling[] =>
  mean.map((value, channel) => ({ mean: value, std: std[channel] }));

/** Whether a folder has a model. */
export const hasModel = (folder: string): boolean =>
  isFolder(folder) && existsSync(join(folder, descriptionName));

/**
 * Reads and checks the model in the folder of a run. It needs nothing else there, and loads no code.
 * @param registry what the network may use: the plugins that the caller has loaded
 * @throws UsageError that names the file and what is wrong with it
 */
export function readModel(folder: string, registry: Registry = builtIn): Model {
  const path = join(folder, descriptionName);
  const file = join(folder, weightsName);
  const description = readDescription(folder);
  const { layers, activations } = reading(path, () => networkOf(description, path, registry));
  const weights = reading(file, () => readWeights(file, description, layers));
  return { folder, description, layers, activations, weights };
}

/** The `model.json` in the folder of a run. @throws UsageError as {@link readModel} */
export function readDescription(folder: string): ModelDescription {
  const path = join(folder, descriptionName);
  return reading(path, () => parseDescription(readText(path)));
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof SyntaxError ? 'not valid JSON' : (error as Error).message;
    throw new UsageError(`${path} cannot be used: ${reason}. ${wayOut}`, { cause: error });
  }
}

const wayOut = 'Restore the file, or train the run again with --overwrite';

function parseDescription(text: string): ModelDescription {
  const json: unknown = JSON.parse(text);
  const version = (json as { format?: unknown } | null)?.format;
  if (typeof version === 'number' && version > modelFormat) {
    throw new Error(
      `it has format ${version}, and this version of fln reads format ${modelFormat}: update fln`,
    );
  }
  const parsed = descriptionSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new Error(`${path.join('.') || 'the content'}: ${message}`);
}

/** @throws UsageError where a plugin of the experiment defines a name: for one that is not loaded */
export function refusePluginEntry(
  { plugins = [] }: ModelDescription,
  path: string,
  kind: PluginKind,
  name: string,
): void {
  const entry = `${kind} ${name}`;
  const plugin = plugins.find(({ defines }) => defines.split(', ').includes(entry));
  if (plugin === undefined) return;
  // All that evaluating may need: not those that only define methods.
  const files = plugins.filter(({ defines }) => !/^method [^,]*(, method [^,]*)*$/.test(defines));
  throw new UsageError(
    `${path}: the ${kind === 'dataset' ? 'data set' : kind} "${name}" is defined by a plugin, which is code. fln evaluate ` +
      `and fln predict run it where you name it: --plugins ${files.map(({ file }) => file).join(',')}. ` +
      'fln export does not write it',
  );
}

/** The layers of the network, computed as for a config. */
function networkOf(
  description: ModelDescription,
  path: string,
  registry: Registry,
): { layers: readonly LayerShape[]; activations: readonly ActivationName[] } {
  const { network, loss, classes, dataset, preprocessing } = description;
  const [channels, height, width] = network.input;
  const know = (kind: PluginKind, name: string, names: readonly string[]) => {
    if (names.includes(name)) return;
    refusePluginEntry(description, path, kind, name);
    if (kind !== 'layer') throw new Error(`the ${kind} "${name}" is not one of this program`);
  };
  for (const { activation, ...layer } of withBlocks(network.layers)) {
    if (activation !== undefined) know('activation', String(activation), registry.activations);
    const types = registry.layers.map(({ name }) => name);
    for (const key of Object.keys(layer)) know('layer', key, types);
  }
  know('loss', loss, registry.losses);
  if (preprocessing.mean.length !== channels || preprocessing.std.length !== channels) {
    throw new Error(`preprocessing does not have ${channels} channels`);
  }
  const inputs = network.layers.map((layer, l): LayerInput => {
    const parsed = layerSchema(registry).safeParse(layer);
    if (parsed.success) return parsed.data;
    const [{ path: within, message }] = parsed.error.issues;
    throw new Error(`${['network.layers', l, ...within].join('.')}: ${message}`);
  });
  const shape = [height, width, channels] as const;
  const info = { name: dataset.name, shape, classes: classes.length };
  const { layers, activations, findings } = readLayers(inputs, info, registry);
  if (findings.length > 0) {
    throw new Error(`${findings[0].path.join('.')} ${findings[0].message}`);
  }
  return { layers, activations };
}

/** Entries of `network.layers`, and those inside residual blocks and repeats. */
const withBlocks = (entries: unknown): Readonly<Record<string, unknown>>[] =>
  [entries].flat().flatMap((entry) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const { residual, layers } = entry as Readonly<Record<string, unknown>>;
    return [{ ...entry }, ...withBlocks(residual), ...withBlocks(layers)];
  });

function readWeights(
  file: string,
  description: ModelDescription,
  layers: readonly LayerShape[],
): LayerWeights[] {
  const bytes = readBytes(file, Number.POSITIVE_INFINITY);
  if (sha256Of(bytes) !== description.weights.sha256) {
    throw new Error(`its SHA-256 is not the one that ${descriptionName} records`);
  }
  const arrays = parseArrays(bytes);
  const array = ({ name, shape }: { name: string; shape: readonly number[] }): Float32Array => {
    const found = arrays.get(name);
    if (!(found?.values instanceof Float32Array) || String(found.shape) !== String(shape)) {
      throw new Error(`it has no float32 array ${name} of shape [${shape.join(', ')}]`);
    }
    if (!found.values.every(Number.isFinite))
      throw new Error(`${name} has values that are not finite`);
    return found.values;
  };
  return layers.map((layer, l) => {
    const { weight, bias, mean, variance } = storedArrays(layer, l);
    const own = { stored: array(weight), bias: array(bias) };
    if (!mean || !variance) return own;
    const statistics = { mean: array(mean), variance: array(variance) };
    if (statistics.variance.some((value) => value < 0)) {
      throw new Error(`${variance.name} has negative values`);
    }
    return { ...own, statistics };
  });
}

/**
 * The same model without batch norms, which at test time are part of the weights: what is exported. Weights on a backend
 * are folded there, as in training (core/network/at-test.ts), to give the same bits.
 */
export function withoutBatchNorms(model: Model): Model {
  const weights = model.weights.map(({ stored, bias, statistics }): LayerWeights => {
    if (!statistics) return { stored, bias };
    const { mean, variance } = statistics;
    const scale = variance.map((value) => 1 / Math.sqrt(value + normEpsilon));
    const patch = stored.length / bias.length;
    return {
      stored: stored.map((value, i) => value * scale[Math.floor(i / patch)]),
      bias: bias.map((value, k) => value - mean[k] * scale[k]),
    };
  });
  const layers = model.layers.map(({ norm, ...layer }) =>
    norm === 'rms' ? { ...layer, norm } : layer,
  );
  return { ...model, layers, weights };
}

/** The bytes of a `model.safetensors` with the weights of a model. */
export const weightsFile = ({ layers, weights }: Pick<Model, 'layers' | 'weights'>): Uint8Array =>
  encodeArrays(
    layers.flatMap((layer, l) => {
      const { weight, bias } = storedArrays(layer, l);
      return [
        { ...weight, dtype: 'F32', values: weights[l].stored },
        { ...bias, dtype: 'F32', values: weights[l].bias },
      ] as const;
    }),
  );

/** The program's own weights [patch, channels] of a layer. */
export const ownWeights = ({ layers, weights }: Model, layer: number): Float32Array =>
  fromStored(weights[layer].stored, layers[layer]);

/** `fenchel-s1` */
export const modelName = ({ folder }: Pick<Model, 'folder'>): string => basename(folder);
