import { beforeAll, describe, expect, it } from 'vitest';
import { FenchelConvolutionConfig } from '../../src/core/methods/fenchel/gram/config.js';
import { fenchelConvolution } from '../../src/core/methods/fenchel/gram/gram.js';
import { activationNames } from '../../src/core/network/names.js';
import { buildNetwork } from '../../src/core/network/network.js';
import type { LayerShape } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { Training } from '../../src/core/training.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import {
  type Matrix,
  map,
  multiply,
  sumAll,
  transpose,
  withOnes,
  zip,
} from '../reference/matrix.js';
import { softmax } from '../reference/terms.js';
import { matrix, normal, targets } from '../solvers/tensors.js';
import { norm, solve, stacked } from './float64.js';

/** Images of 4 x 4 pixels and 2 channels, a 3 x 3 convolution to 2 x 2 x 3, four classes. */
const layers: LayerShape[] = [
  { input: [4, 4, 2], output: [2, 2, 3], pool: 1, window: { kernel: 3, stride: 1, padding: 0 } },
  { input: [2, 2, 3], output: [1, 1, 4], pool: 1 },
];
const rows = 20;
const settings = {
  activationStep: 0.3,
  change: 0.04,
  damping: 0.1,
  momentum: 0.6,
  weightDecay: 0.5,
  gramAverage: 0.9,
  gramImages: 7,
};

/** The windows of the images in `x`, [rows * 4, 18]. */
function patches(x: Matrix): number[][] {
  const offsets = [0, 1].flatMap((i) => [0, 1].map((j) => [i, j]));
  return x.flatMap((image) =>
    offsets.map(([i, j]) =>
      [0, 1, 2].flatMap((p) =>
        [0, 1, 2].flatMap((q) => [0, 1].map((c) => image[((i + p) * 4 + (j + q)) * 2 + c])),
      ),
    ),
  );
}

/** [n * positions, channels] as [n, positions * channels]. */
const byImage = (u: Matrix, positions: number): number[][] =>
  Array.from({ length: u.length / positions }, (_, i) =>
    u.slice(i * positions, (i + 1) * positions).flat(),
  );

interface LayerMemory {
  gram?: Matrix;
  updates: number;
  change: number;
  direction?: Matrix;
}

/** One step of the comment of fenchelConvolution in float64; `memory` is changed. */
function referenceStep(
  parameters: Matrix[],
  memory: LayerMemory[],
  x: Matrix,
  y: Matrix,
  name: (typeof activationNames)[number],
): Matrix[] {
  const { phi, maxSlope } = scalarActivations[name];
  const windows = patches(x);
  const u0 = multiply(withOnes(windows), parameters[0]);
  const hidden = byImage(map(u0, phi), 4);
  const u1 = multiply(withOnes(hidden), parameters[1]);
  const head = zip(u1.map(softmax), y, (a, b) => a - b);
  const upper = multiply(head, transpose(parameters[1].slice(0, -1)));
  const pulled = zip(byImage(u0, 4), upper, (a, b) => phi(a - settings.activationStep * b));
  const below = zip(hidden, pulled, (f, v) => f - v);
  const perPosition = below.flatMap((row) => [0, 1, 2, 3].map((p) => row.slice(3 * p, 3 * p + 3)));
  const seen = patches(x.slice(0, settings.gramImages));
  const states = [
    { inputs: windows, gramRows: seen, images: 7, residual: perPosition, units: 12, h: maxSlope },
    { inputs: hidden, gramRows: hidden, images: rows, residual: head, units: 4, h: 0.5 },
  ];
  return states.map(({ inputs, gramRows, images, residual, units, h }, l) => {
    const state = memory[l];
    const current = map(
      multiply(transpose(withOnes(gramRows)), withOnes(gramRows)),
      (value) => (h * value) / images,
    );
    const keep = Math.min(settings.gramAverage, state.updates / (state.updates + 1));
    state.updates++;
    state.gram = state.gram
      ? zip(state.gram, current, (a, b) => keep * a + (1 - keep) * b)
      : current;
    const { gram } = state;
    const delta = (settings.damping * gram.reduce((sum, row, i) => sum + row[i], 0)) / gram.length;
    const gradient = map(multiply(transpose(withOnes(inputs)), residual), (value) => value / rows);
    const metric = map(gram, (value, i, j) => value + (i === j ? delta : 0));
    const d = solve(metric, gradient);
    const square = sumAll(zip(d, multiply(gram, d), (a, b) => a * b)) / (h * units);
    const t = state.updates;
    state.change = 0.99 * state.change + 0.01 * square;
    state.direction = map(
      d,
      (value, i, j) =>
        settings.momentum * (state.direction?.[i][j] ?? 0) + (1 - settings.momentum) * value,
    );
    const size = Math.sqrt(state.change / (1 - 0.99 ** t));
    const scale = settings.change / size / (1 - settings.momentum ** t);
    const last = parameters[l].length - 1;
    return map(parameters[l], (p, i, j) => {
      const decay = i < last ? settings.change * settings.weightDecay * p : 0;
      return p - decay - scale * state.direction![i][j];
    });
  });
}

describe('normalised gram steps', () => {
  beforeAll(startTestBackend);

  it.each(activationNames)('do what their equations say, batch after batch: %s', async (name) => {
    const random = new Random(6, `normalised/${name}`);
    const config = FenchelConvolutionConfig.parse({
      name: 'fenchel',
      ...settings,
      labelSmoothing: 0,
      schedule: 'constant',
      weightAverage: 0,
      bias: 0.1,
    });
    const trainer = await Training.start(fenchelConvolution, {
      config,
      network: buildNetwork({ layers, activations: [name] }),
      loss: 'cross-entropy',
      train: {
        split: { images: new Uint8Array(), labels: new Uint8Array(), count: 0 },
        rows: () => matrix([[0]]),
      },
      batchSize: rows,
      totalBatches: 10,
      random,
    });
    let expected: Matrix[] = await stacked(trainer);
    const memory = layers.map((): LayerMemory => ({ updates: 0, change: 0 }));
    for (let step = 0; step < 3; step++) {
      const [x, y] = [normal(random, rows, 32), targets(random, rows, 4)];
      const before = expected;
      expected = referenceStep(before, memory, x, y, name);
      await trainer.step({ x: matrix(x), y: matrix(y), indices: new Uint32Array(rows) });
      for (const [l, layer] of (await stacked(trainer)).entries()) {
        const error = norm(zip(layer, expected[l], (a, b) => a - b));
        const change = norm(zip(expected[l], before[l], (a, b) => a - b));
        expect(error / change, `step ${step}, layer ${l}`).toBeLessThan(1e-3);
      }
    }
    trainer.dispose();
  });
});
