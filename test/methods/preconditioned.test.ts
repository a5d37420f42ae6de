import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { disposeCompiled } from '../../src/core/compile.js';
import { FenchelPreconditionedConfig } from '../../src/core/methods/fenchel/preconditioned/config.js';
import { fenchelPreconditioned } from '../../src/core/methods/fenchel/preconditioned/preconditioned.js';
import type { Nudge } from '../../src/core/methods/fields.js';
import type { MethodContext, TrainingData } from '../../src/core/methods/method.js';
import {
  firstLayerPreconditioner,
  initialCovariance,
  type Preconditioner,
  precondition,
  updateCovariances,
} from '../../src/core/methods/preconditioned/preconditioner.js';
import {
  type ActivationName,
  continuousNames,
  type LossName,
  lossNames,
} from '../../src/core/network/names.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { denseLayers, type LayerShape } from '../../src/core/network/shape.js';
import { splitBias, stackBias } from '../../src/core/network/stacked.js';
import { Random } from '../../src/core/random.js';
import { orthonormaliseRows } from '../../src/core/solvers/orthonormalise.js';
import { Training } from '../../src/core/training.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import {
  dot,
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
import {
  byImage,
  byPosition,
  damped,
  dense,
  meanDiagonal,
  norm,
  type ReferenceLayer,
  referenceNetworks,
  solve,
  stacked,
} from './float64.js';

type Config = FenchelPreconditionedConfig;

const rows = 20;

/** A context whose training images are the rows of x. */
function contextOf(
  layers: readonly LayerShape[],
  activation: ActivationName,
  loss: LossName,
  fields: Partial<Config>,
  x: Matrix,
): MethodContext<Config> {
  const train: TrainingData = {
    split: {
      images: new Uint8Array(x.length * x[0].length),
      labels: new Uint8Array(x.length),
      count: x.length,
    },
    rows: (indices) => matrix(Array.from(indices, (i) => x[i])),
  };
  return {
    config: FenchelPreconditionedConfig.parse({ name: 'fenchel', ...fields }),
    network: buildNetwork({ layers, activations: layers.slice(1).map(() => activation) }),
    loss,
    train,
    batchSize: rows,
    totalBatches: 10,
    random: new Random(6, 'init'),
    stream: (name) => new Random(6, name),
  };
}

const difference = async (a: tf.Tensor, b: tf.Tensor) => {
  const [relative] = await tf.div(tf.norm(tf.sub(a, b)), tf.norm(b)).data();
  return relative;
};

/** E [x, 1]^T [x, 1], times h. */
const secondMoment = (x: Matrix, h: number): Matrix =>
  map(multiply(transpose(withOnes(x)), withOnes(x)), (value) => (h * value) / x.length);

describe('preconditioners', () => {
  beforeAll(startTestBackend);

  /** Rows with a few strong directions and a long weak tail, as images have. */
  const random = new Random(4, 'correlated');
  const mixing = normal(random, 40, 40).map((row, i) => row.map((value) => value / (1 + i) ** 1.5));
  const x = multiply(normal(random, 200, 40), mixing);
  const gradient = matrix(normal(new Random(1, 'gradient'), 41, 7));

  /** Of a first layer of tanh units: h = 1. */
  const first = (inputRank: number) =>
    firstLayerPreconditioner(
      contextOf(denseLayers([40, 5, 3]), 'tanh', 'mse', { damping: 0.3, inputRank }, x),
    );

  it('the low-rank one inverts the damped second moment at full rank, and nearly so below', async () => {
    const h = secondMoment(x, 1);
    const error = async (rank: number) => {
      const inverse = await first(rank);
      const [delta] = await inverse.delta.data();
      const { direction } = precondition(inverse, splitBias(gradient));
      // Up to the factor delta, which the low-rank inverse leaves in.
      const applied = tf.div(stackBias(direction), delta) as tf.Tensor2D;
      return difference(tf.matMul(matrix(damped(h, delta)), applied), gradient);
    };
    expect(await error(41)).toBeLessThan(1e-3);
    expect(await error(1000)).toBeLessThan(1e-3);
    const [rank3, rank10] = [await error(3), await error(10)];
    expect(rank10).toBeLessThan(0.3);
    expect(rank10).toBeLessThan(rank3);
  });

  it('adds to delta what the eigenvalues beyond its rank may be', async () => {
    const h = secondMoment(x, 1);
    const base = 0.3 * meanDiagonal(h);
    const beyond = async (rank: number) => (await (await first(rank)).delta.data())[0] - base;
    const [one, five, ten] = [await beyond(1), await beyond(5), await beyond(10)];
    // Courant and Fischer: the smallest of k Ritz values is at most the k-th eigenvalue, so falls with k.
    expect(one).toBeGreaterThan(five);
    expect(five).toBeGreaterThan(ten);
    expect(ten).toBeGreaterThan(0);
    expect(one).toBeLessThanOrEqual(sumAll(map(h, (value, i, j) => (i === j ? value : 0))));
  });

  it('the running one averages per batch, evenly at first, and ever less often up to its interval', async () => {
    const fields = { damping: 0.3, covarianceDecay: 0.6, covarianceInterval: 2 };
    const context = contextOf(denseLayers([6, 6, 3]), 'tanh', 'mse', fields, x);
    const batches = Array.from({ length: 30 }, (_, t) => normal(new Random(t, 'batch'), 30, 6));
    let running: Awaited<ReturnType<typeof updateCovariances>> = [
      initialCovariance(context.network.maps[1]),
    ];
    const due = [];
    for (const [t, batch] of batches.entries()) {
      const before = running;
      running = await updateCovariances(context, t, running, [matrix(batch)]);
      if (running !== before) due.push(t);
    }
    disposeCompiled(context);
    expect(due).toEqual([...Array(25).keys(), 26, 28]);
    const h = due.reduce<Matrix>(
      (average, t) => {
        const f = t < 25 ? Math.min(0.6, t / (t + 1)) : 0.36;
        return zip(average, secondMoment(batches[t], 0.5), (p, q) => f * p + (1 - f) * q);
      },
      secondMoment(batches[0], 0.5),
    );
    const right = matrix(normal(new Random(9, 'gradient'), 7, 3));
    const { direction } = precondition(running[0].inverse as Preconditioner, splitBias(right));
    const delta = 0.3 * meanDiagonal(h);
    const back = tf.matMul(matrix(damped(h, delta)), stackBias(direction));
    expect(await difference(back, right)).toBeLessThan(1e-4);
  });

  it('orthonormalise keeps the span, and drops what depends on rows before', () => {
    const [a, b] = normal(new Random(1, 'rows'), 2, 5);
    const flat = Float64Array.from([...a, ...b, ...a.map((value, k) => value + 2 * b[k])]);
    orthonormaliseRows(flat, 3, 5);
    const [p, q, zero] = [0, 5, 10].map((start) => [...flat.slice(start, start + 5)]);
    expect(dot(p, p)).toBeCloseTo(1, 12);
    expect(dot(q, q)).toBeCloseTo(1, 12);
    expect(dot(p, q)).toBeCloseTo(0, 12);
    expect(dot(p, a) ** 2).toBeCloseTo(dot(a, a), 10);
    expect(Math.max(...zero.map(Math.abs))).toBe(0);
  });
});

// Whole steps against the equations of preconditioned.ts's comment in float64.

const settings = {
  targetStep: 0.3,
  rmsChange: 0.04,
  damping: 0.1,
  momentum: 0.6,
  weightDecay: 0.5,
  covarianceDecay: 0.9,
  covarianceInterval: 1,
  covarianceImages: 7,
  inputRank: 100,
  labelSmoothing: 0.1,
  schedule: 'constant',
  weightAverage: 0,
  bias: 0.1,
} as const;

interface LayerMemory {
  covariance?: Matrix;
  change: number;
  direction?: Matrix;
}

/** New parameters after step t from 0; `memory` is changed. */
function referenceStep(
  layers: readonly ReferenceLayer[],
  parameters: Matrix[],
  memory: LayerMemory[],
  [x, y]: readonly [Matrix, Matrix],
  t: number,
  activation: ActivationName,
  loss: LossName,
  nudge: Nudge,
  fixed: { readonly covariance: Matrix; readonly delta: number } | undefined,
  { inputCovariance = 'average', maxChange = Number.POSITIVE_INFINITY }: Partial<Config> = {},
): Matrix[] {
  const { phi, maxSlope } = scalarActivations[activation];
  const head = layers.length - 1;
  const inputs = [x];
  const u: Matrix[] = [];
  for (const [l, { positions, windows }] of layers.entries()) {
    u.push(byImage(multiply(withOnes(windows(inputs[l])), parameters[l]), positions));
    inputs.push(map(u[l], phi));
  }
  const smooth = map(y, (value) => 0.9 * value + 0.1 / y[0].length);
  let g: Matrix =
    loss === 'mse'
      ? zip(u[head], smooth, (a, b) => (a - b) / 2)
      : zip(u[head].map(softmax), smooth, (a, b) => a - b);
  const next: Matrix[] = [];
  for (let l = head; l >= 0; l--) {
    const { positions, windows } = layers[l];
    const h = l === head ? 0.5 : maxSlope;
    const seen = windows(positions > 1 ? inputs[l].slice(0, settings.covarianceImages) : inputs[l]);
    const current = map(secondMoment(seen, h), (value) => value * positions);
    const keep = Math.min(settings.covarianceDecay, t / (t + 1));
    const state = memory[l];
    state.covariance =
      state.covariance && inputCovariance === 'average'
        ? zip(state.covariance, current, (a, b) => keep * a + (1 - keep) * b)
        : current;
    const isFixed = l === 0 && fixed !== undefined;
    const covariance = isFixed ? fixed.covariance : state.covariance;
    const delta = isFixed ? fixed.delta : settings.damping * meanDiagonal(covariance);
    const perPosition = byPosition(g, positions);
    const gradient = map(
      multiply(transpose(withOnes(windows(inputs[l]))), perPosition),
      (value) => value / x.length,
    );
    const d = solve(damped(covariance, delta), gradient);
    const units = positions * perPosition[0].length;
    const square = sumAll(zip(d, multiply(covariance, d), (a, b) => a * b)) / (h * units);
    state.change = 0.99 * state.change + 0.01 * square;
    state.direction = map(
      d,
      (value, i, j) =>
        settings.momentum * (state.direction?.[i][j] ?? 0) + (1 - settings.momentum) * value,
    );
    const size = Math.sqrt(state.change / (1 - 0.99 ** (t + 1)));
    const full = settings.rmsChange / size / (1 - settings.momentum ** (t + 1));
    const moved = multiply(withOnes(windows(inputs[l])), state.direction);
    const scale = Math.min(full, (maxChange * norm(u[l])) / norm(moved));
    const last = parameters[l].length - 1;
    next[l] = map(parameters[l], (p, i, j) => {
      const decay = i < last ? settings.rmsChange * settings.weightDecay * p : 0;
      return p - decay - scale * state.direction![i][j];
    });
    if (l === 0) break;
    const back = multiply(g, transpose(parameters[l].slice(0, -1)));
    const c = l === head ? settings.targetStep : 1;
    const r = map(back, (value) => c * value);
    g = zip(u[l - 1], r, (a, b) =>
      nudge === 'two-sided' ? (phi(a + b) - phi(a - b)) / 2 : phi(a) - phi(a - b),
    );
  }
  return next;
}

/** Of each layer, the error relative to the step. */
async function expectParameters(
  training: Training<Config>,
  expected: readonly Matrix[],
  before: readonly Matrix[],
  where: string,
): Promise<void> {
  for (const [l, layer] of (await stacked(training as Training)).entries()) {
    const error = norm(zip(layer, expected[l], (a, b) => a - b));
    const change = norm(zip(expected[l], before[l], (a, b) => a - b));
    expect(error / change, `${where}, layer ${l}`).toBeLessThan(2e-3);
  }
}

describe('steps of the preconditioned solver', () => {
  beforeAll(startTestBackend);

  const cases = Object.entries(referenceNetworks).flatMap(([name, network]) =>
    continuousNames.map((activation, i) => {
      const loss = lossNames[(i + Number(name === 'three dense layers')) % lossNames.length];
      const nudge: Nudge = i % 3 === 0 ? 'one-sided' : 'two-sided';
      return { name, activation, loss, nudge, ...network };
    }),
  );

  it.each(cases)(
    'do what their equations say: $name, $activation, $loss, $nudge',
    async ({ shapes, layers, activation, loss, nudge }) => {
      const random = new Random(6, `${activation}/${loss}`);
      const images = normal(random, rows, 32);
      const context = contextOf(shapes, activation, loss, { ...settings, nudge }, images);
      const training = await Training.start(fenchelPreconditioned, context);
      const h = scalarActivations[activation].maxSlope;
      const isDense = layers[0] === dense;
      const fixed = isDense
        ? {
            covariance: secondMoment(images, h),
            delta: (await (await firstLayerPreconditioner(context)).delta.data())[0],
          }
        : undefined;
      let expected: Matrix[] = await stacked(training);
      const memory = layers.map((): LayerMemory => ({ change: 0 }));
      for (let t = 0; t < 3; t++) {
        const [x, y] = [normal(random, rows, 32), targets(random, rows, 4)];
        const before = expected;
        expected = referenceStep(layers, before, memory, [x, y], t, activation, loss, nudge, fixed);
        await training.step({ x: matrix(x), y: matrix(y), indices: new Uint32Array(rows) });
        await expectParameters(training, expected, before, `step ${t}`);
      }
      training.dispose();
    },
  );

  // Twenty rows: the first layer has more inputs, the others fewer; so K and H are both solved.
  it.each(Object.entries(referenceNetworks))(
    'do so with the covariance of the batch, and where the change of the batch is limited: %s',
    async (_, { shapes, layers }) => {
      const random = new Random(7, 'batch');
      const own = { inputCovariance: 'batch', maxChange: 0.03 } as const;
      const images = normal(random, rows, 32);
      const context = contextOf(shapes, 'tanh', 'cross-entropy', { ...settings, ...own }, images);
      const training = await Training.start(fenchelPreconditioned, context);
      let expected: Matrix[] = await stacked(training);
      const memory = layers.map((): LayerMemory => ({ change: 0 }));
      for (let t = 0; t < 3; t++) {
        // The last one is short, as at the end of an epoch.
        const m = t === 2 ? 12 : rows;
        const batch = [normal(random, m, 32), targets(random, m, 4)] as const;
        const before = expected;
        const as = ['tanh', 'cross-entropy', 'two-sided', undefined, own] as const;
        expected = referenceStep(layers, before, memory, batch, t, ...as);
        const [x, y] = batch.map(matrix);
        await training.step({ x, y, indices: new Uint32Array(m) });
        await expectParameters(training, expected, before, `step ${t}`);
      }
      training.dispose();
    },
  );

  it('averages the covariance of the first layer too where the inputs are a stream', async () => {
    const { shapes, layers } = referenceNetworks['three dense layers'];
    const random = new Random(8, 'stream');
    const images = normal(random, rows, 32);
    const plain = contextOf(shapes, 'relu', 'mse', settings, images);
    const context = { ...plain, train: { ...plain.train, isStream: true } };
    const training = await Training.start(fenchelPreconditioned, context);
    let expected: Matrix[] = await stacked(training);
    const memory = layers.map((): LayerMemory => ({ change: 0 }));
    for (let t = 0; t < 3; t++) {
      const batch = [normal(random, rows, 32), targets(random, rows, 4)] as const;
      const before = expected;
      const as = ['relu', 'mse', 'two-sided', undefined] as const;
      expected = referenceStep(layers, before, memory, batch, t, ...as);
      const [x, y] = batch.map(matrix);
      await training.step({ x, y, indices: new Uint32Array(rows) });
      await expectParameters(training, expected, before, `step ${t}`);
    }
    training.dispose();
  });
});
