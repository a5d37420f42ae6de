import { BatchSource, gatherRows } from '../../src/core/batches.js';
import type { Dataset, Split } from '../../src/core/dataset.js';
import { Random } from '../../src/core/random.js';

/** Sizes of a network without hidden layer (softmax regression) or with one ReLU layer. */
export interface PlainTraining {
  readonly hidden?: number;
  readonly epochs: number;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly seed: number;
}

/** Test accuracy of a network trained by plain mini-batch SGD in plain arrays: no tensor library. */
export function trainedAccuracy(dataset: Dataset, training: PlainTraining): number {
  const widths = [dataset.train.images.length / dataset.train.count];
  if (training.hidden) widths.push(training.hidden);
  widths.push(dataset.classes);
  const random = new Random(training.seed, 'plain-models');
  const layers = widths.slice(1).map((outputs, l) => {
    const scale = Math.sqrt(2 / widths[l]);
    return {
      weights: Float32Array.from({ length: widths[l] * outputs }, () => scale * random.normal()),
      bias: new Float32Array(outputs),
    };
  });
  const batches = new BatchSource(dataset.train, training.batchSize, training.seed);
  for (let b = 0; b < training.epochs * batches.batchesPerEpoch; b++) {
    const rows = batches.indices(b);
    const x = gatherRows(dataset.train, rows, dataset.levels);
    const step = training.learningRate / rows.length;
    for (let i = 0; i < rows.length; i++) {
      const input = x.subarray(i * widths[0], (i + 1) * widths[0]);
      update(layers, input, dataset.train.labels[rows[i]], step);
    }
  }
  return accuracy(layers, dataset.test, dataset);
}

interface Layer {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/** One example's gradient step, taken at once: SGD whose batch only sets the order and the scale. */
function update(layers: readonly Layer[], input: Float32Array, label: number, step: number): void {
  const values = forward(layers, input);
  const logits = values[layers.length];
  const top = Math.max(...logits);
  const exps = logits.map((value) => Math.exp(value - top));
  const sum = exps.reduce((a, b) => a + b, 0);
  let delta = exps.map((value, k) => value / sum - (k === label ? 1 : 0));
  for (let l = layers.length - 1; l >= 0; l--) {
    const { weights, bias } = layers[l];
    const below = values[l];
    const outputs = bias.length;
    const next = new Float32Array(l > 0 ? below.length : 0);
    for (let j = 0; j < below.length; j++) {
      if (below[j] === 0) continue;
      const row = j * outputs;
      if (l > 0) for (let k = 0; k < outputs; k++) next[j] += weights[row + k] * delta[k];
      const factor = step * below[j];
      for (let k = 0; k < outputs; k++) weights[row + k] -= factor * delta[k];
    }
    for (let k = 0; k < outputs; k++) bias[k] -= step * delta[k];
    delta = next;
  }
}

function forward(layers: readonly Layer[], input: Float32Array): Float32Array[] {
  const values = [input];
  for (const [l, { weights, bias }] of layers.entries()) {
    const output = Float32Array.from(bias);
    const below = values[l];
    for (let j = 0; j < below.length; j++) {
      if (below[j] === 0) continue;
      const row = j * output.length;
      for (let k = 0; k < output.length; k++) output[k] += below[j] * weights[row + k];
    }
    if (l + 1 < layers.length)
      for (let k = 0; k < output.length; k++) output[k] = Math.max(0, output[k]);
    values.push(output);
  }
  return values;
}

function accuracy(layers: readonly Layer[], test: Split, { levels }: Dataset): number {
  let right = 0;
  for (let i = 0; i < test.count; i++) {
    const logits = forward(layers, gatherRows(test, [i], levels))[layers.length];
    if (logits.indexOf(Math.max(...logits)) === test.labels[i]) right++;
  }
  return right / test.count;
}
