import type { Device } from '../backend/backend.js';
import { backendsOn, wrongDevice } from '../backend/registry.js';
import type { Augmentation, DatasetInfo } from '../core/dataset.js';
import type { NetworkShape } from '../core/methods/method.js';
import { isDiscontinuous, type LossName } from '../core/network/names.js';
import { activationShape, hasStages, widthsOf } from '../core/network/shape.js';
import { didYouMean } from '../shared/suggest.js';
import { readLayers } from './layer-shapes.js';
import type { LayerInput } from './layers.js';
import type { MethodResolution } from './methods.js';
import { builtIn, type Registry } from './plugins/registry.js';
import { type ReadyNetworkName, readyNetwork } from './ready-networks.js';
import type { ExperimentOutput } from './schema.js';
import type { Path } from './tree.js';
import type { Finding } from './validate.js';

/** The value of the config at a path, or undefined when it is absent or already found wrong. */
export type Lookup = <T>(...path: Path) => T | undefined;

/** Lengths of the lists whose entries are looked up one by one. */
interface Lengths {
  readonly seeds: number;
  readonly methods: number;
}

/**
 * What is wrong with keys that are valid by themselves but not together, such as sizes and the data set.
 * Keys that are already found wrong are left out, so that one mistake does not hide another.
 */
export function checkTogether(
  get: Lookup,
  lengths: Lengths,
  dataset: DatasetInfo | undefined,
  network: NetworkShape | undefined,
  registry: Registry,
): Finding[] {
  return [
    ...(dataset ? checkSizes(get, dataset, lengths) : []),
    ...(network ? checkBatchNorms(get, network, lengths) : []),
    ...checkSeeds(get, lengths),
    ...checkLabels(get, lengths),
    ...checkPrediction(get, network, registry),
    ...checkFlips(get, dataset),
    ...checkStream(get, network),
    ...checkDevice(get),
  ];
}

/** The network on this data set, and what is wrong with it; undefined when it cannot be used. */
export function readNetwork(
  get: Lookup,
  dataset: DatasetInfo | undefined,
  registry: Registry,
): {
  network?: NetworkShape;
  findings: readonly Finding[];
} {
  const inputs = layersOf(
    {
      name: get<ReadyNetworkName>('network', 'name'),
      layers: get<LayerInput[]>('network', 'layers'),
    },
    dataset,
  );
  if (!inputs) {
    const message = 'has no layers: write layers, or name, the name of a ready network';
    const isEmpty = get('network') !== undefined && isEmptyNetwork(get);
    return { findings: isEmpty ? [{ path: ['network'], message, at: 'value' }] : [] };
  }
  if (get('network', 'name') !== undefined && get('network', 'layers') !== undefined) {
    const message = 'is a network of its own, and there are layers too; remove one of the two';
    return { findings: [{ path: ['network', 'name'], message, at: 'key' }] };
  }
  const { layers, activations, findings } = readLayers(inputs, dataset, registry);
  if (!dataset || findings.length > 0) return { findings };
  const loss = get<LossName>('loss') ?? 'cross-entropy';
  const { isRegression } = dataset;
  const shape = { layers, widths: widthsOf(layers), activations, loss };
  return { network: { ...shape, ...(isRegression && { isRegression }) }, findings };
}

const isEmptyNetwork = (get: Lookup): boolean =>
  Object.keys(get<object>('network') ?? {}).length === 0;

/** The layers of the `network` of a config. @param dataset that sizes a ready network; its images are of 32 pixels when absent */
export function layersOf(
  { name, layers }: { readonly name?: ReadyNetworkName; readonly layers?: readonly LayerInput[] },
  dataset: Pick<DatasetInfo, 'shape' | 'classes'> | undefined,
): readonly LayerInput[] | undefined {
  if (layers !== undefined || name === undefined) return layers;
  return readyNetwork(name, { height: dataset?.shape[0] ?? 32, classes: dataset?.classes ?? 10 });
}

function checkSizes(
  get: Lookup,
  { name, trainSize, testSize }: DatasetInfo,
  { methods: count }: Lengths,
): Finding[] {
  const findings: Finding[] = [];
  const refuse = (path: Path, message: string) => findings.push({ path, message, at: 'value' });
  const limit = get<number>('dataset', 'limit');
  const testLimit = get<number>('dataset', 'testLimit');
  const heldOut = get('dataset', 'validation');
  const validation = typeof heldOut === 'number' ? heldOut : 0;
  if (limit !== undefined && limit > trainSize) {
    refuse(['dataset', 'limit'], `is more than the ${trainSize} training images of ${name}`);
  }
  if (testLimit !== undefined && testLimit > testSize) {
    refuse(['dataset', 'testLimit'], `is more than the ${testSize} test images of ${name}`);
  }
  const available = Math.min(limit ?? trainSize, trainSize);
  const train = available - validation;
  if (train <= 0) {
    const message = `leaves nothing to train on: there are ${available} training images`;
    refuse(['dataset', 'validation'], message);
    return findings;
  }
  const taskSize = get<number>('dataset', 'stream', 'taskSize') ?? train;
  if (taskSize > train) {
    refuse(['dataset', 'stream', 'taskSize'], `is more than the ${train} training images`);
  }
  const used = Math.min(taskSize, train);
  const images = used < train ? 'images of a task' : 'training images';
  for (const path of batchSizes(count)) {
    const batchSize = get<number | 'full'>(...path);
    if (typeof batchSize !== 'number' || batchSize <= used) continue;
    refuse(path, `is more than the ${used} ${images}; use at most ${used}, or full`);
  }
  return findings;
}

/** Where batch sizes are: of the experiment, and of each method. */
const batchSizes = (methods: number): Path[] => [
  ['batchSize'],
  ...Array.from({ length: methods }, (_, i): Path => ['methods', i, 'batchSize']),
];

/** Batches whose batch norms see one value of each channel. */
function checkBatchNorms(get: Lookup, { layers }: NetworkShape, { methods }: Lengths): Finding[] {
  const l = layers.findIndex((layer) => {
    const [height, width] = activationShape(layer);
    return layer.norm === 'batch' && height * width === 1;
  });
  if (l < 0) return [];
  const message = `must be at least 2: layer ${l + 1} has a batch norm, and one image gives it one value of each unit, whose variance is 0`;
  return batchSizes(methods)
    .filter((path) => get(...path) === 1)
    .map((path) => ({ path, message, at: 'value' }));
}

function checkPrediction(
  get: Lookup,
  network: NetworkShape | undefined,
  { losses }: Registry,
): Finding[] {
  const isLifted = get('evaluate', 'predict') === 'lifted';
  const loss = get<string>('loss') ?? 'cross-entropy';
  if (isLifted && losses.includes(loss) && !builtIn.losses.includes(loss)) {
    const message = `lifted needs loss ${builtIn.losses.join(' or ')}, and the loss is ${loss}; remove it`;
    return [{ path: ['evaluate', 'predict'], message, at: 'value' }];
  }
  const last = network?.activations.at(-1);
  if (isLifted && network?.layers.some(hasStages)) {
    const message =
      'lifted is for networks of maps and activations alone, and a layer has a norm, max-pooling, a residual block, dropout or whitening; remove it';
    return [{ path: ['evaluate', 'predict'], message, at: 'value' }];
  }
  if (isLifted && loss === 'cross-entropy' && last !== undefined && isDiscontinuous(last)) {
    const message = `lifted needs an activation of bounded slope in the last hidden layer, which has ${last}, and that jumps; remove it`;
    return [{ path: ['evaluate', 'predict'], message, at: 'value' }];
  }
  if (isLifted || get('evaluate', 'lambda') === undefined) return [];
  const message = 'is used only by lifted prediction; add predict: lifted, or remove it';
  return [{ path: ['evaluate', 'lambda'], message, at: 'key' }];
}

/** Evaluation with mirror images where there are none, or no accuracy of the outputs. */
function checkFlips(get: Lookup, dataset: DatasetInfo | undefined): Finding[] {
  if (get('evaluate', 'flips') !== true) return [];
  const [height, width] = dataset?.shape ?? [];
  const message = dataset?.isRegression
    ? 'is an accuracy, which a regression does not have; remove it'
    : height === 1 && width === 1
      ? `is for images, and the rows of ${dataset?.name} are features without height and width; remove it`
      : get('evaluate', 'predict') === 'lifted'
        ? 'takes the mean of outputs of the forward pass, and predict: lifted does not classify by them; remove one of the two'
        : undefined;
  return message === undefined ? [] : [{ path: ['evaluate', 'flips'], message, at: 'key' }];
}

/** What a stream, whose images change from task to task, cannot have beside it. */
function checkStream(get: Lookup, network: NetworkShape | undefined): Finding[] {
  if (get('dataset', 'stream') === undefined) return [];
  const refuse = (path: Path, message: string): Finding => ({ path, message, at: 'key' });
  const isWhitened = network?.layers[0]?.whiten === true;
  const whitened =
    'starts with a whitening layer, which is computed from the training images as they are, and dataset.stream changes them; remove one of the two';
  const unknown = (what: string) =>
    `${what}, and dataset.stream permutes the pixels; remove one of the two`;
  return [
    ...(isWhitened ? [refuse(['network'], whitened)] : []),
    ...(get('evaluate', 'flips') === true
      ? [refuse(['evaluate', 'flips'], unknown('takes mirror images'))]
      : []),
    ...(get('evaluate', 'predict') === 'lifted'
      ? [refuse(['evaluate', 'predict'], unknown('lifted takes images as they are'))]
      : []),
  ];
}

function checkDevice(get: Lookup): Finding[] {
  const device = get<Device>('device');
  const backend = get<string>('backend') ?? 'auto';
  if (device === undefined || backend === 'auto') return [];
  if (backendsOn(device).some(({ name }) => name === backend)) return [];
  return [{ path: ['device'], message: wrongDevice(backend, device), at: 'value' }];
}

function checkSeeds(get: Lookup, { seeds: count }: Lengths): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<number>();
  for (let i = 0; i < count; i++) {
    const seed = get<number>('seeds', i);
    if (seed === undefined || seen.size < seen.add(seed).size) continue;
    const message = `seed ${seed} is given twice; the second run would repeat the first`;
    findings.push({ path: ['seeds', i], message, at: 'value' });
  }
  return findings;
}

/** Labels name folders, and columns and lines of the figure: each must be unique, also without case. */
function checkLabels(get: Lookup, { methods: count }: Lengths): Finding[] {
  const findings: Finding[] = [];
  const labels: string[] = [];
  for (let i = 0; i < count; i++) {
    const label = labelOf(get, i);
    if (label === undefined) continue;
    const isOwn = get('methods', i, 'label') !== undefined;
    const path = ['methods', i, isOwn ? 'label' : 'name'];
    const twin = labels.find((other) => other.toLowerCase() === label.toLowerCase());
    if (twin === label) {
      const message = `two methods have the label "${label}"; give one of them another label, as in label: ${label}-2`;
      findings.push({ path, message, at: 'value' });
    } else if (twin !== undefined) {
      const message = `the labels "${twin}" and "${label}" differ only in case, which some file systems ignore; change one of them`;
      findings.push({ path, message, at: 'value' });
    }
    labels.push(label);
  }
  return findings;
}

const labelOf = (get: Lookup, method: number): string | undefined =>
  get<string>('methods', method, 'label') ?? get<string>('methods', method, 'name');

/** Labels under `expect` or `tuning` that no method has. */
export function checkLabelsOf(
  block: 'expect' | 'tuning',
  get: Lookup,
  methods: number,
  given: readonly string[],
): Finding[] {
  const labels = Array.from({ length: methods }, (_, i) => labelOf(get, i)).filter(
    (label) => label !== undefined,
  );
  // The labels are not all known while a method is wrong.
  if (labels.length < methods || methods === 0) return [];
  const unknown = given.filter((label) => !labels.includes(label));
  return unknown.map((label) => {
    const hint = didYouMean(label, labels) || `; the labels are ${labels.join(', ')}`;
    const message = `no method has this label${hint}`;
    return { path: [block, label], message, at: 'key' };
  });
}

/** Expected accuracies of a regression, which has none. */
export const checkExpected = (expected: readonly string[]): Finding[] =>
  expected.map((label) => ({
    path: ['expect', label],
    message: 'is an accuracy, which a regression does not have; remove it',
    at: 'key',
  }));

/** Methods that take the same images in every step, on data that changes. */
export function checkStreamed(
  get: Lookup,
  resolutions: readonly Pick<MethodResolution, 'method'>[],
): Finding[] {
  if (get('dataset', 'stream') === undefined) return [];
  return resolutions.flatMap(({ method }, i): Finding[] => {
    if (!method?.definition.fullBatch) return [];
    const message = `${method.config.name} takes the same training images in every step, and dataset.stream changes them in every epoch; remove one of the two`;
    return [{ path: ['methods', i, 'name'], message, at: 'value' }];
  });
}

/** An augmentation that the data or a method cannot have. */
export function checkAugment(
  get: Lookup,
  dataset: DatasetInfo | undefined,
  resolutions: readonly Pick<MethodResolution, 'method'>[],
): Finding[] {
  const block = ['dataset', 'augment'];
  const given = get<ExperimentOutput['dataset']['augment']>(...block);
  if (given && Object.keys(given).length === 0) {
    return [{ path: block, message: 'is empty: set flip, translate or cutout', at: 'value' }];
  }
  const { flip, translate, cutout } = augmentation(given) ?? {};
  if (flip === undefined && translate === undefined && cutout === undefined) return [];
  const findings: Finding[] = [];
  const refuse = (path: Path, message: string) => findings.push({ path, message, at: 'value' });
  const [height, width, channels] = dataset?.shape ?? [];
  const isFlat = height === 1 && width === 1;
  const smaller = Math.min(height ?? Infinity, width ?? Infinity);
  if (isFlat) {
    const message = `is for images, and the rows of ${dataset?.name} are ${channels} features without height and width; remove it`;
    findings.push({ path: block, message, at: 'key' });
  } else {
    if (translate !== undefined && translate >= smaller) {
      const message = `must be less than the smaller side of the images, which are ${height}x${width}: the reflected border is not wider`;
      refuse([...block, 'translate'], message);
    }
    if (cutout !== undefined && cutout > smaller) {
      refuse(
        [...block, 'cutout'],
        `is more than the smaller side of the images, which are ${height}x${width}`,
      );
    }
  }
  for (const [i, { method }] of resolutions.entries()) {
    if (!method?.definition.fullBatch) continue;
    const message = `${method.config.name} takes the same training images in every step, and dataset.augment changes them in every epoch; remove one of the two`;
    refuse(['methods', i, 'name'], message);
  }
  return findings;
}

/** The augmentation of a config without what is switched off; undefined when nothing is left. */
export function augmentation(
  block: ExperimentOutput['dataset']['augment'],
): Augmentation | undefined {
  const { flip = 'none', translate = 0, cutout = 0 } = block ?? {};
  if (flip === 'none' && translate === 0 && cutout === 0) return undefined;
  return {
    ...(flip !== 'none' && { flip }),
    ...(translate > 0 && { translate }),
    ...(cutout > 0 && { cutout }),
  };
}

/** Convolutions in bfloat16 where nothing would be. */
export function checkConvolutionPrecision(
  get: Lookup,
  network: NetworkShape | undefined,
  resolutions: readonly Pick<MethodResolution, 'method'>[],
): Finding[] {
  const path = ['convolutionPrecision'];
  if (get(...path) !== 'bfloat16') return [];
  const findings: Finding[] = [];
  const refuse = (message: string, where: Path = path) =>
    findings.push({ path: where, message, at: 'value' });
  if (network?.layers.every(({ window }) => window === undefined)) {
    refuse('is for convolutions, and the network has none; remove it');
  }
  const backend = get<string>('backend') ?? 'auto';
  if (backend !== 'auto' && backend !== 'tensorflow') {
    refuse(`bfloat16 is for the backend tensorflow, and backend is ${backend}; change one of them`);
  }
  for (const [i, { method }] of resolutions.entries()) {
    if (!method) continue;
    const { fullBatch, solver } = method.definition;
    if (!fullBatch && solver !== 'exact') continue;
    const name = `${method.config.name}${solver ? ` with solver: ${solver}` : ''}`;
    const message = `${name} solves its sub-problems in float32, and convolutionPrecision is bfloat16; remove one of the two`;
    refuse(message, ['methods', i, 'name']);
  }
  return findings;
}

/** Full-batch methods with a batch size other than `full`. */
export function checkFullBatch(
  get: Lookup,
  resolutions: readonly Pick<MethodResolution, 'method'>[],
): Finding[] {
  return resolutions.flatMap(({ method }, i): Finding[] => {
    if (!method?.definition.fullBatch) return [];
    const own = get<number | 'full'>('methods', i, 'batchSize');
    const batchSize = own ?? method.config.batchSize ?? get<number | 'full'>('batchSize');
    if (batchSize === undefined || batchSize === 'full') return [];
    const all = 'takes all training images in every step';
    const message =
      own === undefined
        ? `${method.config.name} ${all}, not ${batchSize}; set batchSize: full for it, or at the top level`
        : `must be full: ${method.config.name} ${all}`;
    const field = own === undefined ? 'name' : 'batchSize';
    return [{ path: ['methods', i, field], message, at: 'value' }];
  });
}
