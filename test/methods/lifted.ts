import type * as tf from '@tensorflow/tfjs';
import { chunkRows } from '../../src/core/batches.js';
import type { StepMetrics } from '../../src/core/methods/method.js';
import { methods } from '../../src/core/methods/registry.js';
import { buildNetwork } from '../../src/core/network/network.js';
import type { LayerParameters } from '../../src/core/network/parameters.js';
import { denseLayers } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { Training } from '../../src/core/training.js';
import {
  leastSquares,
  type Matrix,
  map,
  sumAll,
  withOnes,
  zeros,
  zip,
} from '../reference/matrix.js';
import type { Layer } from '../reference/ridge.js';
import { matrix, normal } from '../solvers/tensors.js';

/** A regression of three classes on a few inputs, with more rows than a chunk holds. */
const rows = chunkRows + 30;
const inputs = 6;
export const x = normal(new Random(8, 'lifted'), rows, inputs);
export const labels = Uint8Array.from(x, ([a, b]) => (a > 0 ? 0 : b > 0 ? 1 : 2));
export const y = Array.from(labels, (label) => [0, 1, 2].map((k) => (k === label ? 1 : 0)));

const stream = () => new Random(3, 'init');

/** A training of a registered method on these rows, or others, and the random numbers that it started from. */
export async function startLifted(
  name: string,
  hidden: readonly number[],
  fields: Readonly<Record<string, unknown>>,
  data: { readonly x: Matrix; readonly labels: Uint8Array } = { x, labels },
): Promise<{ training: Training; random: Random }> {
  const definition = methods.find((entry) => entry.name === name)!;
  const method = await definition.load();
  const [count, width] = [data.x.length, data.x[0].length];
  const training = await Training.start(method, {
    config: definition.schema.parse({ name, ...fields }),
    network: buildNetwork({
      layers: denseLayers([width, ...hidden, 3]),
      activations: hidden.map(() => 'relu'),
    }),
    loss: 'mse',
    train: {
      split: { images: new Uint8Array(count * width), labels: data.labels, count },
      rows: (indices) => matrix(Array.from(indices, (i) => data.x[i])),
    },
    batchSize: count,
    totalBatches: 10,
    random: stream(),
    stream: (name) => new Random(1, name),
  });
  return { training: training as Training, random: stream() };
}

/** Runs iterations; returns what each reported. */
export async function iterate(training: Training, count: number): Promise<StepMetrics[]> {
  const metrics: StepMetrics[] = [];
  for (let k = 0; k < count; k++) metrics.push(await training.step());
  return metrics;
}

export const readLayers = (training: Training): Promise<Layer[]> =>
  Promise.all(training.parameters().map(readLayer));

async function readLayer({ weights, bias }: LayerParameters): Promise<Layer> {
  return { weights: await (weights as tf.Tensor2D).array(), bias: await bias.array() };
}

/** Float64 pieces that the reference iterations share. */
export const relu = (a: Matrix) => map(a, (value) => Math.max(0, value));
export const add = (a: Matrix, b: Matrix) => zip(a, b, (p, q) => p + q);
export const subtract = (a: Matrix, b: Matrix) => zip(a, b, (p, q) => p - q);
export const squares = (a: Matrix) => sumAll(map(a, (value) => value ** 2));

/** argmin ||T - A W - b||^2 + ridge (||W||^2 + biasRidge ||b||^2) */
export function ridgeFit(a: Matrix, targets: Matrix, ridge: number, biasRidge = 0): Layer {
  const width = a[0].length;
  const penalty = map(zeros(width + 1, width + 1), (_, i, j) =>
    i === j ? Math.sqrt(ridge * (i < width ? 1 : biasRidge)) : 0,
  );
  const { x: stacked } = leastSquares(
    [...withOnes(a), ...penalty],
    [...targets, ...zeros(width + 1, targets[0].length)],
  );
  return { weights: stacked.slice(0, -1), bias: stacked[width] };
}
