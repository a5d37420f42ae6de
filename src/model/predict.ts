import * as tf from '@tensorflow/tfjs';
import { rowChunks } from '../core/batches.js';
import type { DatasetRequest } from '../core/dataset.js';
import { meanOutputs, mirrorImages, predictedClasses } from '../core/evaluate.js';
import { folded, hasBatchNorm } from '../core/network/at-test.js';
import {
  buildNetwork,
  disposeParameters,
  type Network,
  outputsOf,
  predict,
} from '../core/network/network.js';
import type { Parameters } from '../core/network/parameters.js';
import type { PredictionRule } from '../core/prediction.js';
import type { ReadSamplesOptions, Samples } from '../data/arrays/numeric.js';
import { parsePng } from '../data/arrays/png.js';
import { about, readWhole } from '../data/arrays/read.js';
import { NoArrays, readSamples } from '../data/arrays/samples.js';
import { DataError } from '../errors.js';
import { isFolder } from '../files/folder.js';
import { type Model, type ModelDescription, ownWeights, scalingOf } from '../runs/model-file.js';

/** The network of a model on the current backend; the caller disposes it. */
export interface LoadedNetwork {
  readonly network: Network;
  readonly parameters: Parameters;
  readonly rule: PredictionRule;
  dispose(): void;
}

/** Puts the weights of a model on the current backend, without batch norms: as they were tested in training, to the bit. */
export function loadNetwork(model: Model): LoadedNetwork {
  const { layers, activations, weights, description } = model;
  const trained = buildNetwork({ layers, activations });
  const own = trained.maps.map(({ weightShape: [patch, outputs] }, l) => ({
    weights: tf.tensor2d(ownWeights(model, l), [patch, outputs]),
    bias: tf.tensor1d(weights[l].bias),
  }));
  const { prediction } = description;
  const rule = prediction.rule === 'lifted' ? { lambda: prediction.lambda } : {};
  if (!hasBatchNorm(trained)) {
    return { network: trained, parameters: own, rule, dispose: () => disposeParameters(own) };
  }
  const statistics = weights.map(
    ({ statistics: known }) =>
      known && { mean: tf.tensor1d(known.mean), variance: tf.tensor1d(known.variance) },
  );
  const { network, parameters, dispose } = folded(trained, own, statistics);
  disposeParameters(own);
  return { network, parameters, rule, dispose };
}

/**
 * Reads inputs of the user's own: a PNG image, a folder of them, `.npy`, `.npz`, IDX or CSV.
 * @param labels file of the labels of an array file; column of the labels of a CSV file
 * @param trained the model: names of columns and arrays, and the position of the channels, are those of its training data
 * @throws DataError
 */
export function readInputs(path: string, labels?: string, trained?: ModelDescription): Samples {
  const { train, channels } = (trained?.dataset.config ?? {}) as Partial<DatasetRequest>;
  const source = (typeof train === 'object' ? train : {}) as Partial<
    Record<'npz' | 'x' | 'y' | 'label' | 'target', string>
  >;
  const options = { role: 'test', channels, labelsAreOptional: labels === undefined } as const;
  if (isFolder(path)) return readSamples(path, { ...options, labelsAreOptional: true });
  if (/\.npz$/i.test(path)) return readArchive(path, source, options);
  if (/\.csv$/i.test(path)) {
    const column = labels ?? source.label ?? source.target;
    const kind = trained?.isRegression ? 'target' : 'label';
    const named = { csv: path, ...(column !== undefined && { [kind]: column }) };
    return readSamples(named, { ...options, columns: trained?.columns });
  }
  if (!/\.png$/i.test(path)) {
    return readSamples({ x: path, ...(labels !== undefined && { y: labels }) }, options);
  }
  const { content, sha256 } = readWhole(path);
  const { pixels, height, width, channels: depth } = about(path, () => parsePng(content));
  const shape = [height, width, depth] as const;
  return { x: pixels, count: 1, shape, rowName: () => path, sha256: { [path]: sha256 } };
}

/** The arrays that the training data named, where the archive has them; else those of the usual names. */
function readArchive(
  npz: string,
  { npz: named, x, y }: Readonly<Partial<Record<'npz' | 'x' | 'y', string>>>,
  options: ReadSamplesOptions,
): Samples {
  const given =
    named === undefined || x === undefined
      ? []
      : [
          { npz, x, y },
          { npz, x },
        ];
  for (const source of given) {
    try {
      return readSamples(source, { ...options, labelsAreOptional: true });
    } catch (error) {
      if (!(error instanceof DataError && error.cause instanceof NoArrays)) throw error;
    }
  }
  return readSamples(npz, { ...options, labelsAreOptional: true });
}

/** @throws DataError where the inputs do not have the shape that the model was trained on */
export function checkInputs(path: string, { shape }: Samples, { network }: ModelDescription): void {
  const [channels, height, width] = network.input;
  if (String(shape) === String([height, width, channels])) return;
  const size = height * width * channels;
  const isRow = shape[0] === 1 && shape[1] === 1;
  // The order of pixels in a row is known only where there is one channel.
  if (isRow && channels === 1 && shape[2] === size) return;
  const text = ([h, w, c]: readonly number[]) =>
    h === 1 && w === 1
      ? `rows of ${c} numbers`
      : `images of ${h}x${w} with ${c} channel${c === 1 ? '' : 's'}`;
  throw new DataError(
    `${path} has ${text(shape)}; the model was trained on ${text([height, width, channels])}.`,
  );
}

/** What a model makes of inputs, row by row. */
export interface Predictions {
  /** The predicted class of each row, by the model's prediction rule; of a regression all 0. */
  readonly classes: Int32Array;
  /** Outputs of the network, [rows, classes]: logits, or with loss mse the estimates; of a regression the predictions. */
  readonly outputs: Float32Array;
  /** The mean of the outputs for each image and for its mirror image; only where asked for. */
  readonly outputsFlips?: Float32Array;
}

/**
 * Predicts on the current backend, with the model's preprocessing.
 * @param samples of the shape that {@link checkInputs} accepts
 * @param flips whether `outputsFlips` is wanted too
 */
export async function predictSamples(
  model: Model,
  samples: Samples,
  flips = false,
): Promise<Predictions> {
  const { description } = model;
  const scaling = scalingOf(description);
  const k = description.classes.length;
  const features = samples.x.length / samples.count;
  const classes = new Int32Array(samples.count);
  const outputs = new Float32Array(samples.count * k);
  const outputsFlips = flips ? new Float32Array(outputs.length) : undefined;
  const [channels, height, width] = description.network.input;
  const loaded = loadNetwork(model);
  const { network, parameters, rule } = loaded;
  try {
    for (const rows of rowChunks(samples.count, outputsOf(network))) {
      const [start] = rows;
      const values = new Float32Array(rows.length * features);
      for (let i = 0; i < values.length; i++) {
        const { mean, std } = scaling[i % scaling.length];
        values[i] = (samples.x[start * features + i] - mean) / std;
      }
      const x = tf.tensor2d(values, [rows.length, features]);
      const out = predict(network, parameters, x);
      try {
        outputs.set(await out.data(), start * k);
        if (outputsFlips) {
          const mean = tf.tidy(() => {
            const mirrored = mirrorImages(x, [height, width, channels]);
            return meanOutputs(out, predict(network, parameters, mirrored));
          });
          outputsFlips.set(await mean.data(), start * k);
          mean.dispose();
        }
        if (!description.isRegression)
          classes.set(await predictedClasses(network, parameters, x, rule), start);
      } finally {
        tf.dispose([x, out]);
      }
    }
  } finally {
    loaded.dispose();
  }
  return { classes, outputs, outputsFlips };
}

/** Softmax of a row of logits, in float64. */
export function probabilities(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits);
  const top = values.reduce((a, b) => Math.max(a, b));
  const powers = values.map((u) => Math.exp(u - top));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((p) => p / sum);
}
