import * as tf from '@tensorflow/tfjs';
import { gatherAugmented } from './augment.js';
import { BatchSource, epochRows, gatherRows, targetRows } from './batches.js';
import type { ConvolutionPrecision } from './compile.js';
import type { Dataset } from './dataset.js';
import type {
  MethodContext,
  MethodDefinition,
  StepMeasurements,
  StepMetrics,
  TrainingData,
} from './methods/method.js';
import { atTest, type TestNetwork } from './network/at-test.js';
import type { LossName } from './network/names.js';
import type { Network } from './network/network.js';
import type { Parameters } from './network/parameters.js';
import { whiteningWeights } from './network/whiten.js';
import { Random } from './random.js';
import { permuteFeatures, pixelOrder } from './stream.js';
import { scoped, Training } from './training.js';

/** All that the numbers of one run depend on. */
export interface RunSetup {
  readonly method: {
    readonly definition: Pick<MethodDefinition, 'load' | 'fullBatch'>;
    /** Output of the definition's schema. */
    readonly config: Readonly<Record<string, unknown>>;
    readonly epochs: number;
    readonly batchSize: number | 'full';
  };
  readonly network: Network;
  readonly loss: LossName;
  readonly dataset: Pick<Dataset, 'train' | 'levels' | 'shape' | 'classes' | 'augment' | 'stream'>;
  readonly seed: number;
  /** Of training steps; evaluations have float32. */
  readonly convolutionPrecision?: ConvolutionPrecision | undefined;
  /** As of {@link MethodContext}. */
  readonly watch?: MethodContext<unknown>['watch'];
}

/**
 * Training of one (method, seed): gathers the rows of a batch and runs the method's step on them. The
 * caller asks for each batch, so that it can measure time, evaluate and stop in between.
 */
export class TrainingRun {
  readonly batchesPerEpoch: number;
  readonly totalBatches: number;
  /** Training images on the host, without augmentation and as they are before a stream changes them. */
  readonly data: TrainingData;
  readonly #source: BatchSource;
  #training: Training | undefined;
  #whitening: Float32Array | undefined;
  #task: { readonly epoch: number; readonly order: Uint32Array } | undefined;

  constructor(readonly setup: RunSetup) {
    const { method, dataset, seed } = setup;
    const { train, levels, shape } = dataset;
    this.#source = new BatchSource(train, method.batchSize, seed, epochRows(dataset, train.count));
    this.batchesPerEpoch = this.#source.batchesPerEpoch;
    this.totalBatches = method.epochs * this.batchesPerEpoch;
    const features = shape[0] * shape[1] * shape[2];
    this.data = {
      split: train,
      ...(dataset.stream && { isStream: true }),
      rows: (indices) =>
        tf.tensor2d(gatherRows(train, indices, levels), [indices.length, features]),
    };
  }

  /**
   * Computes the method's constants and its initial state.
   * @param stream of random numbers: `init` except in a warm-up
   * @throws what the method throws
   */
  async start(stream = 'init'): Promise<Training> {
    const { method, loss, seed, convolutionPrecision, watch } = this.setup;
    const network = await this.#network();
    this.#training = await Training.start(await method.definition.load(), {
      config: method.config as unknown,
      network,
      loss,
      train: this.data,
      batchSize: this.#source.indices(0).length,
      convolutionPrecision,
      totalBatches: this.totalBatches,
      random: new Random(seed, stream),
      stream: (name) => new Random(seed, name),
      watch,
    });
    return this.#training;
  }

  /** Images of a batch, augmented as the data set says: [n, features]. @param epoch from 0 */
  #images(indices: Uint32Array, epoch: number): tf.Tensor2D {
    const { train, levels, shape, augment } = this.setup.dataset;
    if (augment === undefined) return this.imagesIn(epoch, indices);
    const { seed } = this.setup;
    const values = gatherAugmented(train, indices, levels, augment, { shape, seed, epoch });
    const order = this.pixelOrderOf(epoch);
    const shown = order ? permuteFeatures(values, order) : values;
    return tf.tensor2d(shown, [indices.length, shown.length / indices.length]);
  }

  /** The order of the features of an image in an epoch, from 0; undefined where it is the original one. */
  pixelOrderOf(epoch: number): Uint32Array | undefined {
    const { dataset, seed } = this.setup;
    if (!dataset.stream) return undefined;
    if (this.#task?.epoch !== epoch) {
      this.#task = { epoch, order: pixelOrder(dataset.shape, seed, epoch) };
    }
    return this.#task.order;
  }

  /** Training images as an epoch, from 0, shows them, without augmentation: [n, features]. */
  imagesIn(epoch: number, indices: ArrayLike<number>): tf.Tensor2D {
    const order = this.pixelOrderOf(epoch);
    if (!order) return this.data.rows(indices);
    const { train, levels } = this.setup.dataset;
    const values = permuteFeatures(gatherRows(train, indices, levels), order);
    return tf.tensor2d(values, [indices.length, order.length]);
  }

  /** The network, with the weights of a whitening first layer. */
  async #network(): Promise<Network> {
    const { network, dataset } = this.setup;
    const { initial, stages, maps } = network;
    if (initial || !stages[0].isFrozen) return network;
    const { rows } = this.data;
    this.#whitening ??= await scoped(() => whiteningWeights(maps[0], dataset.train.count, rows));
    return { ...network, whitening: this.#whitening };
  }

  /** What tests these parameters after a batch, from 1, on any rows: the caller disposes it. */
  tested(parameters: Parameters, batch: number): TestNetwork {
    const { network, dataset } = this.setup;
    const epoch = this.epochOf(batch) - 1;
    const rows = (indices: ArrayLike<number>) => this.imagesIn(epoch, indices);
    const data = { count: dataset.train.count, rows };
    return atTest(network, parameters, data, this.#source.indices(0).length);
  }

  /** The epoch, from 1, of a batch. */
  epochOf(batch: number): number {
    return Math.ceil(batch / this.batchesPerEpoch);
  }

  /**
   * Trains on batch `batch`, from 1. To resume after batch k, restore the state and continue with k + 1. A full-batch
   * method has its own copy of the training images, and gets no batch.
   * @param stepped as of {@link Training.step}: the layers are measured too
   * @throws what the method throws
   */
  async step(batch: number, stepped?: () => void): Promise<ScoredStep> {
    const training = this.#training;
    if (!training) throw new Error('step before start');
    const { method, dataset } = this.setup;
    const { train, classes } = dataset;
    if (method.definition.fullBatch) return scored(train, await training.step(undefined, stepped));
    const indices = this.#source.indices(batch - 1);
    const x = this.#images(indices, this.epochOf(batch) - 1);
    const y = tf.tensor2d(targetRows(train, indices, classes), [indices.length, classes]);
    try {
      return scored(train, await training.step({ x, y, indices }, stepped));
    } finally {
      tf.dispose([x, y]);
    }
  }
}

/** Metrics of a step; a regression has no accuracy. */
export type ScoredStep = Omit<StepMetrics, 'accuracy'> &
  Partial<Pick<StepMetrics, 'accuracy'> & StepMeasurements>;

const scored = (
  { targets }: Dataset['train'],
  metrics: StepMetrics & Partial<StepMeasurements>,
): ScoredStep => (targets ? { ...metrics, accuracy: undefined } : metrics);
