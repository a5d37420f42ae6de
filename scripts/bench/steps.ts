import * as tf from '@tensorflow/tfjs';
import { parseExperiment } from '../../src/config/load.js';
import { BatchSource, gatherRows, oneHot } from '../../src/core/batches.js';
import type { CompilerOptions } from '../../src/core/compile.js';
import { pixelLevels } from '../../src/core/dataset.js';
import type { Batch } from '../../src/core/methods/method.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { Random } from '../../src/core/random.js';
import { Training } from '../../src/core/training.js';
import { loadDataset } from '../../src/data/load.js';

/** The networks of Figures 2 and 3, as configs have them. */
export const networks = {
  MLP: [{ dense: 300, activation: 'relu' }, { dense: 10 }],
  'LeNet-5': [
    { conv: 6, kernel: 5, padding: 2, activation: 'relu' },
    { averagePool: 2 },
    { conv: 16, kernel: 5, activation: 'relu' },
    { averagePool: 2 },
    { dense: 120, activation: 'relu' },
    { dense: 84, activation: 'relu' },
    { dense: 10 },
  ],
} as const;

const normalised = { kernel: 3, padding: 'same', norm: 'batch', activation: 'gelu' } as const;

/** And a deep one, that of configs/deep/24-96-96.yaml. */
const allNetworks = {
  ...networks,
  '24-96-96': [
    { whiten: 2, activation: 'gelu' },
    { conv: 24, maxPool: 2, ...normalised },
    { conv: 24, ...normalised },
    { conv: 96, maxPool: 2, ...normalised },
    { conv: 96, ...normalised },
    { conv: 96, maxPool: 2, ...normalised },
    { conv: 96, ...normalised },
    { globalPool: 'max' },
    { dense: 10 },
  ],
} as const;

const batchSize = 500;

export interface Workload {
  /** @param fields of an entry of `methods` */
  start(
    name: string,
    fields?: Readonly<Record<string, unknown>>,
    options?: CompilerOptions,
  ): Promise<Training>;
  batch(t: number): Batch;
}

/** On generated data: the cost of a step does not depend on the images. */
export async function loadWorkload(network: keyof typeof allNetworks): Promise<Workload> {
  const experiment = (method: object) => resolved(network, method);
  const { train, levels, classes, shape } =
    network === '24-96-96'
      ? randomImages()
      : await loadDataset(experiment({ name: 'adam' }).dataset);
  const source = new BatchSource(train, batchSize, 1);
  const units = shape[0] * shape[1] * shape[2];
  const rows = (indices: ArrayLike<number>): tf.Tensor2D =>
    tf.tensor2d(gatherRows(train, indices, levels), [indices.length, units]);
  return {
    batch: (t) => {
      const indices = source.indices(t);
      const y = oneHot(train.labels, indices, classes);
      return { indices, x: rows(indices), y: tf.tensor2d(y, [indices.length, classes]) };
    },
    start: async (name, fields = {}, { convolutionPrecision } = {}) => {
      const { network: layers, loss, methods } = experiment({ name, ...fields });
      const method = await methods[0].definition.load();
      return Training.start(method, {
        config: methods[0].config,
        network: buildNetwork(layers),
        loss,
        train: { split: train, rows },
        batchSize,
        convolutionPrecision,
        totalBatches: 1200,
        random: new Random(1, 'init'),
        stream: (name) => new Random(1, name),
      });
    },
  };
}

/** 5,000 images of CIFAR-10's shape with random pixels. */
function randomImages() {
  const count = 5000;
  const random = new Random(1, 'images');
  const images = Uint8Array.from({ length: count * 3072 }, () => 256 * random.uniform());
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  const shape = [32, 32, 3] as const;
  const levels = pixelLevels([{ mean: 127.5, std: 73.9 }]);
  return { train: { images, labels, count }, levels, classes: 10, shape };
}

/** An experiment of one method, with what the config loader fills in. */
function resolved(network: keyof typeof allNetworks, method: object) {
  const config = {
    name: 'bench',
    dataset:
      network === '24-96-96'
        ? { name: 'cifar10' }
        : { name: 'synthetic-digits', limit: 5000, testLimit: 10 },
    network: { layers: allNetworks[network] },
    epochs: 1,
    batchSize,
    seeds: [1],
    methods: [method],
  };
  return parseExperiment(JSON.stringify(config), 'bench').experiment;
}

/** Milliseconds of one step, without making its batch. */
export async function timeStep(training: Training, batch: Batch): Promise<number> {
  const started = performance.now();
  await training.step(batch);
  return performance.now() - started;
}

/**
 * Steps of one training before it is the next one's turn: one that is not counted, since it finds the caches full of
 * another training's numbers, and 8, of which one updates the covariances of a preconditioned method.
 */
export const turn = 9;

/** The steps after which a preconditioned method updates its covariances at its full interval of 8. */
export async function settle(workload: Workload, training: Training): Promise<void> {
  const batch = workload.batch(0);
  for (let t = 0; t < 176; t++) await training.step(batch);
  tf.dispose([batch.x, batch.y]);
}

/**
 * Several trainings in turn on the same batches, forwards and backwards, so that none is always the first.
 *
 * @param turns of each training, after an uncounted one
 * @param options.between is called before a round of turns, for what is timed elsewhere
 * @returns of each training and turn, milliseconds a step
 */
export async function timeInTurn(
  workload: Workload,
  trainings: readonly Training[],
  turns: number,
  {
    steps = turn,
    between = async () => {},
  }: {
    readonly steps?: number;
    readonly between?: (counted: boolean) => Promise<void>;
  } = {},
): Promise<number[][]> {
  const times = trainings.map((): number[] => []);
  for (let round = 0; round <= turns; round++) {
    const [first, ...counted] = Array.from({ length: steps }, (_, i) =>
      workload.batch(round * steps + i),
    );
    await between(round > 0);
    const order = [...trainings.entries()];
    for (const [i, training] of round % 2 === 0 ? order : order.reverse()) {
      await training.step(first);
      let ms = 0;
      for (const batch of counted) ms += await timeStep(training, batch);
      if (round > 0) times[i].push(ms / counted.length);
    }
    const batches = [first, ...counted];
    for (const { x, y } of batches) tf.dispose([x, y]);
  }
  return times;
}

/** Tensors leaked over `steps` steps, after two in which averages and metrics are created. */
export async function tensorsLeaked(
  workload: Workload,
  training: Training,
  steps: number,
): Promise<number> {
  let before = 0;
  for (let t = 0; t < steps + 2; t++) {
    if (t === 2) before = tf.memory().numTensors;
    const batch = workload.batch(t);
    await training.step(batch);
    tf.dispose([batch.x, batch.y]);
  }
  return tf.memory().numTensors - before;
}
