import type { z } from 'zod';
import type { DatasetInfo } from '../core/dataset.js';
import type { ActivationName } from '../core/network/names.js';
import {
  activationShape,
  type ConvolutionWindow,
  convolvedSide,
  type ImageShape,
  type LayerShape,
  pooledShape,
  skipProblem,
  unitsIn,
} from '../core/network/shape.js';
import { flattened, type LayerInput, paddingOf, typeOf } from './layers.js';
import type { LayerType } from './plugins/entries.js';
import type { Registry } from './plugins/registry.js';
import type { Path } from './tree.js';
import { type Finding, validate } from './validate.js';

/**
 * Computes the shapes from the data set's images to the outputs.
 * @param dataset undefined when it is not known: sizes are not checked then
 * @returns the layers, complete only without findings, and what is wrong with them
 */
export function readLayers(
  inputs: readonly LayerInput[],
  dataset: Data | undefined,
  { layers: types, activations: known }: Pick<Registry, 'layers' | 'activations'>,
): { layers: LayerShape[]; activations: ActivationName[]; findings: Finding[] } {
  const findings: Finding[] = [];
  const refuse = (path: Path, message: string) => {
    const at = ['network', 'layers', ...path];
    // Of entries that are repeated, once.
    const isKnown = findings.some(
      (found) => String(found.path) === String(at) && found.message === message,
    );
    if (!isKnown) findings.push({ path: at, message, at: 'value' });
  };
  const activations: ActivationName[] = [];
  const network: NetworkSoFar = { layers: [], shape: dataset?.shape, isImage: true, refuse };
  const entries = flattened(inputs, refuse);
  /** Of each entry with weights, the number of its layer. */
  const numbers = new Map<number, number>();
  for (const [i, { layer, path, skipFrom }] of entries.entries()) {
    const isLast = i === entries.length - 1;
    const kind = kindOf(layer, types, (message) => refuse(path, message));
    if (kind === undefined) {
      network.shape = undefined;
      continue;
    }
    const own = typeOf(layer, types);
    for (const [key, message] of own ? [] : misplaced(layer, kind, isLast)) {
      refuse([...path, key], message);
    }
    if (isPooling(kind)) {
      addPooling(network, { layer, kind, path, isLast });
      continue;
    }
    const problem = activationProblem(layer, isLast, known);
    if (problem !== undefined) refuse([...path, 'activation'], problem);
    else if (!isLast) activations.push(layer.activation as ActivationName);
    numbers.set(i, network.layers.length);
    if (own) {
      const inOwn = validate(own.schema, layer);
      for (const found of inOwn.findings) {
        findings.push({ ...found, path: ['network', 'layers', ...path, ...found.path] });
      }
      addOwnLayer(network, own, inOwn.value, { path, isLast, dataset });
    } else {
      if (kind === 'whiten' && i > 0) refuse([...path, 'whiten'], 'must be the first layer');
      addLayer(network, { layer, kind, path, isLast, dataset });
    }
    network.pool = undefined;
    if (skipFrom === undefined) continue;
    if (isLast) refuse(path, noLastLayer);
    // A block may start with pooling.
    addSkip(network, numbers.get(skipFrom) ?? numbers.get(skipFrom + 1), path);
  }
  return { layers: network.layers, activations, findings };
}

type Data = Pick<DatasetInfo, 'name' | 'shape' | 'classes' | 'isRegression'>;

/** The layers up to an entry. */
interface NetworkSoFar {
  readonly layers: LayerShape[];
  /** Of the activations; undefined where something before is wrong. */
  shape: ImageShape | undefined;
  /** Whether no dense layer came yet. */
  isImage: boolean;
  /** Average pooling, which is part of the next layer. */
  pool?: number;
  readonly refuse: (path: Path, message: string) => void;
}

/** An entry of one of the built-in kinds. */
interface Entry {
  readonly layer: LayerInput;
  readonly kind: Kind;
  readonly path: Path;
  readonly isLast: boolean;
}

/** Values in a window of a whitening layer: the time of its eigenvectors grows with the third power. */
const mostWhitened = 1024;

const noLastLayer = 'cannot be the last layer: add a dense layer with one unit per class';

function addPooling(network: NetworkSoFar, { layer, kind, path, isLast }: Entry): void {
  const { layers, shape, isImage, refuse } = network;
  const isAverage = kind === 'averagePool' || layer.globalPool === 'average';
  const verb = isAverage ? 'averages' : 'pools';
  if (!isImage) refuse(path, `${verb} an image, but comes after a dense layer`);
  if (network.pool !== undefined) {
    refuse(path, 'follows another averagePool; use one larger window');
  }
  if (isLast) refuse(path, 'must be followed by a layer with weights: the last layer is dense');
  if (!isAverage && layers.length === 0) {
    refuse(path, 'pools the activations of the layer before it, and there is none');
  }
  const isGlobal = kind === 'globalPool';
  if (isGlobal && shape && isImage && shape[0] !== shape[1]) {
    refuse(path, `needs as many rows as columns, and the image there is ${sides(shape)}`);
  }
  const window = isGlobal ? (shape?.[0] ?? 1) : (layer.averagePool ?? layer.maxPool!);
  if (shape && isImage && Math.min(shape[0], shape[1]) < window) {
    refuse([...path, kind], `is ${window}, but the image there is ${sides(shape)}`);
    network.shape = undefined;
  } else if (isAverage) {
    network.pool = window;
  } else if (shape && layers.length > 0) {
    const before = layers[layers.length - 1];
    const outerPool = (before.outerPool ?? 1) * window;
    layers[layers.length - 1] = { ...before, outerPool };
    network.shape = pooledShape(activationShape(before), outerPool);
  }
}

/** A layer of a plugin's type. @param config of its schema; undefined where that refuses it */
function addOwnLayer(
  network: NetworkSoFar,
  own: LayerType,
  config: z.output<LayerType['schema']> | undefined,
  { path, isLast, dataset }: Pick<Entry, 'path' | 'isLast'> & { readonly dataset?: Data },
): void {
  const { layers, shape: input, pool = 1, refuse } = network;
  network.shape = undefined;
  const seen = input && pooledShape(input, pool);
  const output = seen && config && own.output(config, seen);
  if (typeof output === 'string') refuse([...path, own.name], output);
  if (!input || !seen || !config || !output || typeof output === 'string') return;
  const map = () => own.map(config, seen, output);
  layers.push({ input, output, pool, own: { type: own.name, map } });
  network.shape = output;
  network.isImage = output[0] * output[1] > 1;
  if (!isLast || !dataset || unitsIn(output) === dataset.classes) return;
  const { classes, name } = dataset;
  refuse(
    [...path, own.name],
    `gives ${unitsIn(output)} units, but the last layer has one unit for each of the ${classes} classes of ${name}; add a dense layer of ${classes}`,
  );
}

/** A built-in layer with weights. */
function addLayer(
  network: NetworkSoFar,
  { layer, kind, path, isLast, dataset }: Entry & { readonly dataset: Data | undefined },
): void {
  const { layers, shape: input, pool = 1, isImage, refuse } = network;
  const isConvolution = kind === 'conv' || kind === 'whiten';
  if (kind === 'conv' && layer.kernel === undefined) {
    refuse([...path, 'kernel'], 'is missing (side of the window of the convolution)');
  }
  if (layer.padding === 'same' && layer.kernel !== undefined && layer.kernel % 2 === 0) {
    refuse([...path, 'padding'], `same needs an odd kernel, and it is ${layer.kernel}`);
  }
  if (isConvolution && !isImage) refuse(path, 'convolves an image, but comes after a dense layer');
  if (isConvolution && isLast) refuse(path, noLastLayer);
  const seen = input && pooledShape(input, pool);
  const most = kind === 'whiten' && seen ? 2 * layer.whiten! ** 2 * seen[2] : undefined;
  if (most !== undefined && (layer.filters ?? 0) > most) {
    refuse([...path, 'filters'], `is more than the ${most} eigenvectors with both signs`);
  }
  if (most !== undefined && most > 2 * mostWhitened) {
    refuse(
      [...path, 'whiten'],
      `has windows of ${most / 2} values, and the eigenvectors of more than ${mostWhitened} take minutes; use a smaller window`,
    );
  }
  const window = isConvolution ? windowOf(layer) : undefined;
  const output = seen && outputOf(layer, seen, window);
  const { maxPool, norm, dropout } = layer;
  if (output && Math.min(output[0], output[1]) < 1) {
    const key = kind === 'whiten' ? 'whiten' : 'kernel';
    const fit = `is ${window?.kernel}, but the image there is ${sides(seen)}`;
    const way = kind === 'whiten' ? 'use a smaller window' : 'use a smaller window, or padding';
    refuse([...path, key], `${fit}; ${way}`);
    network.shape = undefined;
  } else if (output && maxPool && Math.min(output[0], output[1]) < maxPool) {
    refuse([...path, 'maxPool'], `is ${maxPool}, but the output is ${sides(output)}`);
    network.shape = undefined;
  } else if (input && output) {
    const next: LayerShape = {
      input,
      output,
      pool,
      ...(window && { window }),
      ...(kind === 'whiten' && { whiten: true }),
      ...(maxPool !== undefined && { maxPool }),
      ...(norm && { norm }),
      ...(dropout !== undefined && { dropout }),
    };
    layers.push(next);
    network.shape = activationShape(next);
  }
  if (kind !== 'dense') return;
  network.isImage = false;
  if (!isLast || !dataset || layer.dense === dataset.classes) return;
  const { classes, name, isRegression } = dataset;
  const units = isRegression ? 'targets' : 'classes';
  const message = `is ${layer.dense}, but the last layer has one unit for each of the ${classes} ${units} of ${name}; write ${classes}, or add a layer of ${classes}`;
  refuse([...path, 'dense'], message);
}

/** @param from the first layer of the block whose last one is the last so far */
function addSkip({ layers, shape, refuse }: NetworkSoFar, from: number | undefined, path: Path) {
  const last = layers.length - 1;
  if (!shape || from === undefined || from > last) return;
  const mismatch = skipProblem(layers[from].input, activationShape(layers[last]));
  if (mismatch) refuse(path, mismatch);
  layers[last] = { ...layers[last], skipFrom: from };
}

const kinds = ['dense', 'conv', 'whiten', 'averagePool', 'maxPool', 'globalPool'] as const;

/** `own` for a type of a plugin. */
type Kind = (typeof kinds)[number] | 'own';

const isPooling = (kind: Kind) =>
  kind === 'averagePool' || kind === 'maxPool' || kind === 'globalPool';

function kindOf(
  layer: LayerInput,
  types: readonly LayerType[],
  refuse: (message: string) => void,
): Kind | undefined {
  const own = types.map(({ name }) => name);
  // A convolution may have max-pooling of its own.
  const given = [...kinds, ...own].filter(
    (kind) => layer[kind] !== undefined && !(kind === 'maxPool' && layer.conv !== undefined),
  );
  if (given.length === 1) return own.includes(given[0]) ? 'own' : (given[0] as Kind);
  if (given.length > 1) refuse(`has ${given.join(' and ')}: write one layer for each`);
  else
    refuse(`has no layer type: set one of ${[...kinds, ...own, 'residual', 'repeat'].join(', ')}`);
  return undefined;
}

/** Keys that this kind of layer does not have. */
function misplaced(layer: LayerInput, kind: Kind, isLast: boolean): [string, string][] {
  const found = (keys: readonly string[], message: string) =>
    keys.filter((key) => layer[key] !== undefined).map((key): [string, string] => [key, message]);
  const isWhitening = kind === 'whiten';
  const ofConvolutions = [
    ...(kind === 'conv'
      ? []
      : found(['kernel', 'padding'], 'belongs to a convolution (conv: CHANNELS)')),
    ...(kind === 'conv' || isWhitening
      ? []
      : found(['stride'], 'belongs to a convolution (conv: CHANNELS)')),
    ...(isWhitening ? [] : found(['filters'], 'belongs to a whitening layer (whiten: SIDE)')),
  ];
  if (isPooling(kind)) {
    const verb = kind === 'averagePool' ? 'averaging' : 'pooling';
    return [
      ...ofConvolutions,
      ...found(['activation'], `${verb} has no activation: the layer before it has one`),
      ...found(['norm', 'dropout'], 'belongs to a layer with weights'),
    ];
  }
  return [
    ...ofConvolutions,
    ...(isLast ? found(['norm', 'dropout'], 'is for hidden layers: the last layer is linear') : []),
    ...(isWhitening
      ? found(['norm'], 'has no use here: the outputs of this layer have unit variance')
      : []),
  ];
}

function activationProblem(
  { activation }: LayerInput,
  isLast: boolean,
  known: readonly string[],
): string | undefined {
  const names = known.join(', ');
  if (isLast) {
    const isLinear = activation === undefined || activation === 'identity';
    return isLinear ? undefined : 'the last layer is linear: remove its activation';
  }
  if (activation === undefined) return `is missing: a hidden layer needs one of ${names}`;
  if (activation === 'identity')
    return `must not be identity in a hidden layer; use one of ${names}`;
  return undefined;
}

function windowOf(layer: LayerInput): ConvolutionWindow {
  const { kernel = 1, stride = 1, whiten } = layer;
  if (whiten !== undefined) return { kernel: whiten, stride, padding: 0 };
  return { kernel, stride, padding: Math.floor(paddingOf(layer)) };
}

function outputOf(
  { dense, conv, filters }: LayerInput,
  [height, width, channels]: ImageShape,
  window: ConvolutionWindow | undefined,
): ImageShape {
  if (window === undefined) return [1, 1, dense!];
  const outputs = conv ?? filters ?? 2 * window.kernel ** 2 * channels;
  return [convolvedSide(height, window), convolvedSide(width, window), outputs];
}

function sides(shape: ImageShape | undefined): string {
  return shape ? `${shape[0]} x ${shape[1]}` : '';
}
