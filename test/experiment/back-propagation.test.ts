import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { adam } from '../../src/core/methods/adam/adam.js';
import { AdamConfig } from '../../src/core/methods/adam/config.js';
import type { Batch, MethodContext } from '../../src/core/methods/method.js';
import { SgdConfig } from '../../src/core/methods/sgd/config.js';
import { sgd } from '../../src/core/methods/sgd/sgd.js';
import { averageWeights, noAverage } from '../../src/core/methods/weight-average.js';
import { buildNetwork } from '../../src/core/network/network.js';
import type { Parameters } from '../../src/core/network/parameters.js';
import { denseLayers } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { Training } from '../../src/core/training.js';
import { startTestBackend } from '../backends.js';

beforeAll(startTestBackend);

const rows = 6;
const widths = [4, 5, 3];

function context<Config>(config: Config, totalBatches = 10): MethodContext<Config> {
  return {
    config,
    network: buildNetwork({ layers: denseLayers(widths), activations: ['tanh'] }),
    loss: 'cross-entropy',
    train: {
      split: { images: new Uint8Array(), labels: new Uint8Array(), count: 0 },
      rows: () => tf.zeros([0, 4]),
    },
    batchSize: rows,
    totalBatches,
    random: new Random(1, 'init'),
    stream: (name) => new Random(1, name),
  };
}

function batch(): Batch {
  const random = new Random(2, 'data');
  const x = Float32Array.from({ length: rows * 4 }, () => random.normal());
  const labels = Array.from({ length: rows }, () => random.integer(3));
  return {
    x: tf.tensor2d(x, [rows, 4]),
    y: tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), 3).toFloat() as tf.Tensor2D),
    indices: Uint32Array.from({ length: rows }, (_, i) => i),
  };
}

const read = async (parameters: Parameters): Promise<number[]> => {
  const tensors = parameters.flatMap(({ weights, bias }) => [weights, bias]);
  const values = await Promise.all(tensors.map((tensor) => tensor.data()));
  return values.flatMap((part) => [...part]);
};

/** Smoothed cross-entropy of the tanh network in float64, from scratch. */
function referenceLoss(p: readonly number[], x: ArrayLike<number>, y: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < rows; i++) {
    const hidden = Array.from({ length: 5 }, (_, j) => {
      let u = p[20 + j];
      for (let k = 0; k < 4; k++) u += x[i * 4 + k] * p[k * 5 + j];
      return Math.tanh(u);
    });
    const logits = Array.from({ length: 3 }, (_, c) =>
      hidden.reduce((u, h, j) => u + h * p[25 + j * 3 + c], p[40 + c]),
    );
    const logSum = Math.log(logits.reduce((sum, u) => sum + Math.exp(u), 0));
    for (let c = 0; c < 3; c++) total -= y[i * 3 + c] * (logits[c] - logSum);
  }
  return total / rows;
}

function referenceGradient(p: readonly number[], x: ArrayLike<number>, y: ArrayLike<number>) {
  const h = 1e-5;
  return p.map((value, i) => {
    const at = (shifted: number) => referenceLoss(p.with(i, shifted), x, y);
    return (at(value + h) - at(value - h)) / (2 * h);
  });
}

type Update = (gradient: readonly number[], t: number, p: readonly number[]) => readonly number[];

/** Of the 4-5-3 network's parameters, in layer order. */
const isWeight = (i: number) => i < 20 || (i >= 25 && i < 40);

/** Steps training and reference side by side, and compares parameters after each step. */
async function compare(training: Training, update: Update, smoothing: number): Promise<void> {
  const data = batch();
  const x = await data.x.data();
  const y = await data.y.data();
  const targets = y.map((value) => value * (1 - smoothing) + smoothing / 3);
  let expected = await read(training.parameters());
  for (let t = 0; t < 4; t++) {
    const { loss } = await training.step(data);
    expect(loss).toBeCloseTo(referenceLoss(expected, x, y), 5);
    const direction = update(referenceGradient(expected, x, targets), t, expected);
    expected = expected.map((value, i) => value - direction[i]);
    const actual = await read(training.parameters());
    for (const [i, value] of actual.entries()) expect(value).toBeCloseTo(expected[i], 4);
  }
  tf.dispose([data.x, data.y]);
}

describe('sgd', () => {
  it('is heavy-ball descent on the smoothed loss under the schedule, and reports the true loss', async () => {
    const config = SgdConfig.parse({
      name: 'sgd',
      learningRate: 0.3,
      momentum: 0.8,
      schedule: 'linear',
      labelSmoothing: 0.2,
      bias: 0.1,
    });
    const before = tf.memory().numTensors;
    const training = await Training.start(sgd, context(config));
    let velocity: readonly number[] = [];
    await compare(
      training,
      (gradient, t) => {
        velocity = gradient.map((g, i) => 0.8 * (velocity[i] ?? 0) + g);
        return velocity.map((v) => 0.3 * (1 - t / 10) * v);
      },
      0.2,
    );
    training.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('adam', () => {
  it('follows Algorithm 1 of its paper under warm-up, with a decay of the weights alone', async () => {
    const config = AdamConfig.parse({
      name: 'adam',
      learningRate: 0.02,
      warmup: 3,
      beta1: 0.8,
      beta2: 0.95,
      weightDecay: 0.7,
    });
    const before = tf.memory().numTensors;
    const training = await Training.start(adam, context(config));
    let m: readonly number[] = [];
    let v: readonly number[] = [];
    await compare(
      training,
      (gradient, t, p) => {
        m = gradient.map((g, i) => 0.8 * (m[i] ?? 0) + 0.2 * g);
        v = gradient.map((g, i) => 0.95 * (v[i] ?? 0) + 0.05 * g * g);
        const rate = 0.02 * Math.min(1, (t + 1) / 3);
        return m.map((value, i) => {
          const root = Math.sqrt(v[i] / (1 - 0.95 ** (t + 1)));
          const step = value / (1 - 0.8 ** (t + 1)) / (root + 1e-7);
          return rate * (step + (isWeight(i) ? 0.7 * p[i] : 0));
        });
      },
      0,
    );
    training.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('keeps no tensor from step to step, with smoothing and an average', async () => {
    const config = AdamConfig.parse({ name: 'adam', labelSmoothing: 0.1, weightAverage: 0.98 });
    const training = await Training.start(adam, context(config));
    const data = batch();
    await training.step(data);
    const before = tf.memory().numTensors;
    for (let t = 0; t < 20; t++) await training.step(data);
    expect(tf.memory().numTensors).toBe(before);
    training.dispose();
    tf.dispose([data.x, data.y]);
  });
});

describe('the average of the weights', () => {
  const scalarLayer = (value: number): Parameters => [
    { weights: tf.tensor2d([[value]]), bias: tf.tensor1d([-value]) },
  ];

  it('follows its formula from the first weights on', async () => {
    const context = { config: { weightAverage: 0.3 } };
    let state = noAverage;
    let expected = 1;
    for (let t = 1; t <= 8; t++) {
      const value = t * t;
      const factor = Math.min(0.3, t / (t + 10));
      expected = t === 1 ? 1 : factor * expected + (1 - factor) * value;
      state = averageWeights(context, state, scalarLayer(value));
      const [weight, bias] = await read(state.average!);
      expect(weight).toBeCloseTo(expected, 4);
      expect(bias).toBeCloseTo(-expected, 4);
    }
  });

  it('is absent when it is off', () => {
    const context = { config: { weightAverage: 0 } };
    expect(averageWeights(context, noAverage, scalarLayer(1))).toEqual({
      t: 0,
      average: undefined,
    });
  });
});
