import * as tf from '@tensorflow/tfjs';
import { gatherRows, rowChunks, targetRows } from './batches.js';
import type { Dataset, Split } from './dataset.js';
import { accuracyValue, lossValue } from './network/loss.js';
import type { LossName } from './network/names.js';
import { forwardLayers, type Network, outputsOf, predict } from './network/network.js';
import type { Parameters } from './network/parameters.js';
import type { LayerShape } from './network/shape.js';
import { liftedClasses, type PredictionRule } from './prediction.js';

/**
 * Mean loss of the feed-forward network over the rows of a split, and the share of them classified
 * correctly by the prediction rule; a regression has no accuracy.
 */
export interface Evaluation {
  readonly loss: number;
  readonly accuracy?: number;
  /** As `accuracy`, by the mean of the outputs for an image and for its mirror image; only where asked for. */
  readonly accuracyFlips?: number;
}

/** A split on the device, on which parameters are evaluated repeatedly. */
export class Evaluator {
  readonly #chunks: readonly { readonly x: tf.Tensor2D; readonly y: tf.Tensor2D }[];
  readonly #count: number;
  readonly #labels: Split['labels'];
  readonly #isRegression: boolean;

  /** @param flips shape of the images, to measure `accuracyFlips` too; with feed-forward prediction alone */
  constructor(
    split: Split,
    dataset: Pick<Dataset, 'levels' | 'classes'>,
    readonly network: Network,
    readonly loss: LossName,
    readonly rule: PredictionRule = {},
    readonly flips?: Dataset['shape'],
  ) {
    this.#count = split.count;
    this.#labels = split.labels;
    this.#isRegression = split.targets !== undefined;
    this.#chunks = rowChunks(split.count, outputsOf(network)).map((rows) => {
      const x = gatherRows(split, rows, dataset.levels);
      const y = targetRows(split, rows, dataset.classes);
      return {
        x: tf.tensor2d(x, [rows.length, x.length / rows.length]),
        y: tf.tensor2d(y, [rows.length, dataset.classes]),
      };
    });
  }

  /**
   * @param network that the parameters are of, where it is not the one of the constructor: without batch norms
   * @param order of the features of the images, where it is not their own
   */
  async evaluate(
    parameters: Parameters,
    network = this.network,
    order?: Uint32Array,
  ): Promise<Evaluation> {
    const { lambda } = this.rule;
    if (lambda === undefined) return this.#feedForward(parameters, network, order);
    if (order) throw new RangeError('lifted prediction takes images as they are');
    return this.#lifted(parameters, lambda);
  }

  async #feedForward(
    parameters: Parameters,
    network: Network,
    order: Uint32Array | undefined,
  ): Promise<Evaluation> {
    const sums = tf.tidy(() =>
      tf.stack(
        this.#chunks.map(({ x: original, y }) => {
          const x = order
            ? tf.gather(original, tf.tensor1d(Int32Array.from(order), 'int32'), 1)
            : original;
          const outputs = predict(network, parameters, x);
          const means = [lossValue(this.loss, y, outputs), accuracyValue(y, outputs)];
          if (this.flips) {
            const mirrored = predict(network, parameters, mirrorImages(x, this.flips));
            means.push(accuracyValue(y, meanOutputs(outputs, mirrored)));
          }
          return tf.mul(tf.stack(means), x.shape[0]);
        }),
      ),
    );
    const values = await sums.data();
    sums.dispose();
    let loss = 0;
    let correct = 0;
    let correctFlips = 0;
    const perChunk = values.length / this.#chunks.length;
    for (let i = 0; i < values.length; i += perChunk) {
      loss += values[i];
      correct += Math.round(values[i + 1]);
      if (this.flips) correctFlips += Math.round(values[i + 2]);
    }
    const mean = { loss: loss / this.#count };
    if (this.#isRegression) return mean;
    const plain = { ...mean, accuracy: correct / this.#count };
    return this.flips ? { ...plain, accuracyFlips: correctFlips / this.#count } : plain;
  }

  async #lifted(parameters: Parameters, lambda: number): Promise<Evaluation> {
    let loss = 0;
    let correct = 0;
    let start = 0;
    for (const { x, y } of this.#chunks) {
      const { predicted, mean } = tf.tidy(() => {
        const { preActivations } = forwardLayers(this.network, parameters, x);
        const outputs = preActivations[preActivations.length - 1];
        return {
          predicted: preActivations[preActivations.length - 2],
          mean: lossValue(this.loss, y, outputs),
        };
      });
      try {
        loss += (await mean.data())[0] * x.shape[0];
        // There is no lifted prediction with weights that are not finite; the loss shows it.
        if (!Number.isFinite(loss)) return { loss, accuracy: Number.NaN };
        const classes = await liftedClasses(this.network, parameters, predicted, lambda);
        correct += classes.filter((k, i) => k === this.#labels[start + i]).length;
        start += classes.length;
      } finally {
        tf.dispose([predicted, mean]);
      }
    }
    return { loss: loss / this.#count, accuracy: correct / this.#count };
  }

  /** The predicted class of each row, by the prediction rule. */
  async classes(parameters: Parameters): Promise<Int32Array> {
    const classes = new Int32Array(this.#count);
    let start = 0;
    for (const { x } of this.#chunks) {
      classes.set(await predictedClasses(this.network, parameters, x, this.rule), start);
      start += x.shape[0];
    }
    return classes;
  }

  dispose(): void {
    for (const { x, y } of this.#chunks) tf.dispose([x, y]);
  }
}

/** Images [m, height * width * channels], channels last, mirrored left and right. */
export const mirrorImages = (x: tf.Tensor2D, shape: Dataset['shape']): tf.Tensor2D =>
  tf.tidy(() => tf.reshape(tf.reverse(tf.reshape(x, [x.shape[0], ...shape]), 2), x.shape));

/** The mean of the outputs for images and for their mirror images. */
export const meanOutputs = (outputs: tf.Tensor2D, mirrored: tf.Tensor2D): tf.Tensor2D =>
  tf.tidy(() => tf.mul(tf.add(outputs, mirrored), 0.5));

/** The predicted class of each row of x [m, features], by the prediction rule. */
export async function predictedClasses(
  network: Network,
  parameters: Parameters,
  x: tf.Tensor2D,
  { lambda }: PredictionRule,
): Promise<ArrayLike<number>> {
  const result = tf.tidy(() => {
    if (lambda === undefined) return tf.argMax(predict(network, parameters, x), 1) as tf.Tensor1D;
    const { preActivations } = forwardLayers(network, parameters, x);
    return preActivations[preActivations.length - 2];
  });
  try {
    if (lambda === undefined) return await result.data();
    return await liftedClasses(network, parameters, result as tf.Tensor2D, lambda);
  } finally {
    result.dispose();
  }
}

/**
 * Sum of all weights and biases: finite only when each is. Kernels may turn NaN into 0 (a ReLU may), so
 * that a network with NaN weights can have a finite loss.
 */
export async function sumOf(parameters: Parameters): Promise<number> {
  const sum = tf.tidy(() =>
    tf.addN([
      tf.scalar(0),
      ...parameters.flatMap(({ weights, bias }) => [tf.sum(weights), tf.sum(bias)]),
    ]),
  );
  const [value] = await sum.data();
  sum.dispose();
  return value;
}

/** Outputs of a layer for a few images, on the host. */
export interface LayerOutputs {
  /** [height, width, channels] */
  readonly shape: readonly [number, number, number];
  /** [count, height, width, channels], row-major */
  readonly values: Float32Array;
}

/** Images that {@link hiddenActivations} takes, and numbers that it returns, at most. */
const mostImages = 8;
const mostNumbers = 1 << 18;

/**
 * The inputs, after preprocessing, and the outputs of each hidden layer for the first images of a split: for
 * pictures. None where one image has too many.
 */
export async function hiddenActivations(
  network: Network,
  parameters: Parameters,
  layers: readonly LayerShape[],
  split: Split,
  levels: Dataset['levels'],
): Promise<{ count: number; layers: LayerOutputs[] }> {
  const sizes = layers.map(({ input: [height, width, channels] }) => height * width * channels);
  const perImage = sizes.reduce((sum, size) => sum + size, 0);
  const count = Math.min(mostImages, split.count, Math.floor(mostNumbers / perImage));
  if (count === 0) return { count, layers: [] };
  const rows = gatherRows(
    split,
    Uint32Array.from({ length: count }, (_, i) => i),
    levels,
  );
  const inputs = tf.tidy(() => {
    const x = tf.tensor2d(rows, [count, sizes[0]]);
    return forwardLayers(network, parameters, x).inputs;
  });
  try {
    const outputs = inputs.map(async (input, l) => {
      return { shape: layers[l].input, values: (await input.data()) as Float32Array };
    });
    return { count, layers: await Promise.all(outputs) };
  } finally {
    tf.dispose(inputs);
  }
}
