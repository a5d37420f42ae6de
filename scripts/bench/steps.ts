import * as tf from '@tensorflow/tfjs';
import { BatchSource, gatherRows, oneHot } from '../../src/data/batches.js';
import type { Dataset } from '../../src/data/dataset.js';
import { loadDataset } from '../../src/data/load.js';
import type { Batch, Trainer } from '../../src/methods/method.js';
import { methods } from '../../src/methods/registry.js';
import { buildNetwork } from '../../src/network/network.js';
import { denseLayers, type LayerShape, widthsOf } from '../../src/network/shape.js';
import { Random } from '../../src/random.js';

/** The networks of Figures 2 and 3, on generated data: what a step costs does not depend on the digits. */
export const networks = {
  MLP: denseLayers([784, 300, 10]),
  'LeNet-5': [
    {
      input: [28, 28, 1],
      output: [28, 28, 6],
      pool: 1,
      window: { kernel: 5, stride: 1, padding: 2 },
    },
    {
      input: [28, 28, 6],
      output: [10, 10, 16],
      pool: 2,
      window: { kernel: 5, stride: 1, padding: 0 },
    },
    { input: [10, 10, 16], output: [1, 1, 120], pool: 2 },
    { input: [1, 1, 120], output: [1, 1, 84], pool: 1 },
    { input: [1, 1, 84], output: [1, 1, 10], pool: 1 },
  ],
} as const satisfies Record<string, readonly LayerShape[]>;

const batchSize = 500;

export interface Workload {
  /** @param name of a method, or of a method and its solver: `fenchel/exact` */
  start(name: string, fields?: Readonly<Record<string, unknown>>): Promise<Trainer>;
  batch(t: number): Batch;
}

export async function loadWorkload(network: keyof typeof networks): Promise<Workload> {
  const layers = networks[network];
  const activations = layers.slice(1).map(() => 'relu' as const);
  const shape = { layers, widths: widthsOf(layers), activations, loss: 'cross-entropy' as const };
  const dataset = await loadDataset({
    name: 'synthetic-digits',
    limit: 5000,
    testLimit: 10,
    preprocessing: 'scale',
  });
  const source = new BatchSource(dataset.train, batchSize, 1);
  const rows = (indices: ArrayLike<number>) => tensorRows(dataset, indices);
  return {
    batch: (t) => {
      const indices = source.indices(t);
      const y = oneHot(dataset.train.labels, indices, 10);
      return { indices, x: rows(indices), y: tf.tensor2d(y, [indices.length, 10]) };
    },
    start: async (name, fields = {}) => {
      const [methodName, solver] = name.split('/');
      const definition = methods.find(
        (entry) =>
          entry.name === methodName &&
          (solver === undefined || entry.solver === solver) &&
          (entry.networks?.include(shape) ?? true),
      )!;
      const method = await definition.load();
      const { preset = [], ...own } = fields;
      const named = definition.presets?.[preset as string] ?? {};
      const values = typeof named === 'function' ? named(shape) : named;
      const identity = solver === undefined ? {} : { solver };
      return method.init({
        config: definition.schema.parse({
          ...definition.defaults?.(shape),
          ...values,
          name: methodName,
          ...identity,
          ...own,
        }),
        network: buildNetwork(shape),
        loss: shape.loss,
        train: { split: dataset.train, rows },
        batchSize,
        totalBatches: 1200,
        random: new Random(1, 'init'),
      });
    },
  };
}

function tensorRows({ train, levels }: Dataset, indices: ArrayLike<number>): tf.Tensor2D {
  return tf.tensor2d(gatherRows(train, indices, levels), [indices.length, 784]);
}

/** Milliseconds of one step, its batch made beforehand. */
export async function timeStep(trainer: Trainer, batch: Batch): Promise<number> {
  const started = performance.now();
  await trainer.step(batch);
  return performance.now() - started;
}

/** Steps of one trainer before it is the next one's turn; 5, so that every kind of step comes first in time. */
export const turn = 5;

/**
 * Several trainers in turn on the same batches, {@link turn} steps each. The first step of a turn is
 * not counted: it finds the caches full of another trainer's numbers.
 *
 * @param turns of each trainer, after an uncounted one
 * @param between is called before the first trainer's turn, for what is timed elsewhere
 * @returns milliseconds of each trainer's steps
 */
export async function timeInTurn(
  workload: Workload,
  trainers: readonly Trainer[],
  turns: number,
  between: (counted: boolean) => Promise<void> = async () => {},
): Promise<number[][]> {
  const times = trainers.map((): number[] => []);
  for (let round = 0; round <= turns; round++) {
    const batches = Array.from({ length: turn }, (_, i) => workload.batch(round * turn + i));
    await between(round > 0);
    for (const [i, trainer] of trainers.entries()) {
      for (const [step, batch] of batches.entries()) {
        const ms = await timeStep(trainer, batch);
        if (round > 0 && step > 0) times[i].push(ms);
      }
    }
    for (const { x, y } of batches) tf.dispose([x, y]);
  }
  return times;
}

/** Tensors gained over `steps` steps, after two in which averages and metrics come into being. */
export async function tensorsLeaked(
  workload: Workload,
  trainer: Trainer,
  steps: number,
): Promise<number> {
  let before = 0;
  for (let t = 0; t < steps + 2; t++) {
    if (t === 2) before = tf.memory().numTensors;
    const batch = workload.batch(t);
    await trainer.step(batch);
    tf.dispose([batch.x, batch.y]);
  }
  return tf.memory().numTensors - before;
}
