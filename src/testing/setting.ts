import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { BatchSource, gatherRows, oneHot } from '../core/batches.js';
import type { Split } from '../core/dataset.js';
import type {
  Batch,
  Method,
  MethodDefinition,
  NetworkShape,
  StepMetrics,
} from '../core/methods/method.js';
import type { ActivationName, LossName } from '../core/network/names.js';
import { buildNetwork, type InitialWeights } from '../core/network/network.js';
import { denseLayers, type LayerShape, widthsOf } from '../core/network/shape.js';
import { Random } from '../core/random.js';
import { Training } from '../core/training.js';
import { loadDataset } from '../data/load.js';
import { readState, writeState } from '../experiment/checkpoint/state-file.js';

/** The setting in which methods are tested: small networks on 300 generated digits. */

const data = await loadDataset({
  name: 'synthetic-digits',
  limit: 300,
  testLimit: 10,
  preprocessing: 'scale',
});

/** Every second row and column of an image: equations of 785 unknowns would take most of the time. */
export const side = 14;
const pixels = side * side;

export interface Setting {
  readonly layers: readonly LayerShape[];
  readonly activation: ActivationName;
  readonly loss: LossName;
  readonly batchSize: number;
  readonly steps: number;
}

const split: Split = {
  ...data.train,
  images: data.train.images.filter((_, i) => i % 2 === 0 && Math.floor(i / 28) % 2 === 0),
};

export const rows = (indices: ArrayLike<number>) =>
  tf.tensor2d(gatherRows(split, indices, data.levels), [indices.length, pixels]);

/** Fully connected layers from the images to the classes, with these hidden widths. */
export const dense = (...hidden: number[]): LayerShape[] => denseLayers([pixels, ...hidden, 10]);

/** A small LeNet: a padded convolution, a convolution after pooling, and dense layers after pooling. */
export const convolutional: readonly LayerShape[] = [
  {
    input: [side, side, 1],
    output: [side / 2, side / 2, 3],
    pool: 1,
    window: { kernel: 5, stride: 2, padding: 2 },
  },
  {
    input: [7, 7, 3],
    output: [2, 2, 6],
    pool: 2,
    window: { kernel: 2, stride: 1, padding: 0 },
  },
  { input: [2, 2, 6], output: [1, 1, 12], pool: 2 },
  { input: [1, 1, 12], output: [1, 1, 10], pool: 1 },
];

/** WebGPU is tested on a driver in software. */
const isSlow = process.env.FLN_TEST_BACKEND === 'webgpu';

/**
 * Steps after which a method has learned something: saturating activations and shared weights take longer.
 * @param solves whether each step solves its sub-problems, which is slow in software and learns sooner
 */
export const learningSteps = (layers: readonly LayerShape[], solves: boolean): number =>
  (layers === convolutional ? 30 : 15) / (isSlow && solves ? 5 : 1);

/** The network of a setting, as methods and their checks get it. */
export function shapeOf({ layers, activation, loss }: Setting): NetworkShape {
  const activations = layers.slice(1).map(() => activation);
  return { layers, widths: widthsOf(layers), activations, loss };
}

/** A method's config with every default, as the config loader would fill it in. */
export function defaultConfig(
  definition: MethodDefinition,
  setting: Setting,
  fields: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const { name, solver } = definition;
  const shape = shapeOf(setting);
  const identity = solver ? { name, solver } : { name };
  return definition.schema.parse({
    ...definition.defaults?.(shape, fields),
    ...identity,
    ...fields,
  });
}

export async function startTraining<Config>(
  method: Method<Config>,
  config: Config,
  setting: Setting,
  trainingRows = rows,
  initial?: InitialWeights,
): Promise<Training> {
  const { loss, batchSize, steps } = setting;
  return Training.start(method, {
    config,
    network: { ...buildNetwork(shapeOf(setting)), initial },
    loss,
    train: { split, rows: trainingRows },
    batchSize,
    totalBatches: steps,
    random: new Random(1, 'init'),
    stream: (name) => new Random(1, name),
  });
}

/** Batch number `t` of seed 1. */
export function batchAt(t: number, batchSize: number): Batch & { dispose(): void } {
  const indices = new BatchSource(data.train, batchSize, 1).indices(t);
  const x = rows(indices);
  const y = tf.tensor2d(oneHot(data.train.labels, indices, 10), [indices.length, 10]);
  return { x, y, indices, dispose: () => tf.dispose([x, y]) };
}

/** All training rows, as a full-batch method sees them. */
export function wholeSplit(): Batch & { dispose(): void } {
  const indices = Uint32Array.from({ length: split.count }, (_, i) => i);
  const x = rows(indices);
  const y = tf.tensor2d(oneHot(split.labels, indices, 10), [split.count, 10]);
  return { x, y, indices, dispose: () => tf.dispose([x, y]) };
}

/** Runs the steps from `first` on; returns what each reported and the tensor count after each. */
export async function runSteps(training: Training, { batchSize, steps }: Setting, first = 0) {
  const metrics: StepMetrics[] = [];
  const tensors: number[] = [];
  for (let t = first; t < steps; t++) {
    const batch = batchAt(t, batchSize);
    metrics.push(await training.step(batch));
    batch.dispose();
    tensors.push(tf.memory().numTensors);
  }
  return { metrics, tensors };
}

/**
 * Runs all steps in two sessions: the second has a training of its own, and what the first wrote to a
 * file. Returns what each step reported, and the weights.
 */
export async function runInTwoSessions(start: () => Promise<Training>, setting: Setting) {
  const half = Math.ceil(setting.steps / 2);
  const folder = mkdtempSync(join(tmpdir(), 'fln-state-'));
  const file = join(folder, 'state.safetensors');
  try {
    const first = await start();
    const { metrics } = await runSteps(first, { ...setting, steps: half });
    const { form } = await writeState(file, first.state);
    first.dispose();

    const second = await start();
    second.state = readState(file, form);
    const rest = await runSteps(second, setting, half);
    const weights = await weightsOf(second);
    second.dispose();
    return { metrics: [...metrics, ...rest.metrics], weights };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Every weight and bias, flattened. */
export async function weightsOf(training: Training): Promise<number[]> {
  const parts = training.parameters().flatMap(({ weights, bias }) => [weights.data(), bias.data()]);
  return (await Promise.all(parts)).flatMap((part) => [...part]);
}
