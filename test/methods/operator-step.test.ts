import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { FoofConfig } from '../../src/core/methods/foof/config.js';
import { foof } from '../../src/core/methods/foof/foof.js';
import type { MethodContext } from '../../src/core/methods/method.js';
import {
  initialOperatorAverages,
  operatorCoefficients,
  operatorStep,
} from '../../src/core/methods/preconditioned/operator-step.js';
import { methods } from '../../src/core/methods/registry.js';
import { buildNetwork, forwardLayers, predict } from '../../src/core/network/network.js';
import { denseLayers } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { Training } from '../../src/core/training.js';
import {
  convolutional,
  defaultConfig,
  dense as digits,
  runInTwoSessions,
  runSteps,
  type Setting,
  startTraining,
  weightsOf,
} from '../../src/testing/setting.js';
import { startTestBackend } from '../backends.js';
import {
  type Matrix,
  map,
  multiply,
  sum,
  sumAll,
  svd,
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
  meanDiagonal,
  norm,
  type ReferenceLayer,
  referenceNetworks,
  solve,
  stacked,
} from './float64.js';

beforeAll(startTestBackend);

const rows = 20;
const settings = {
  stepNorm: 'operator',
  relativeChange: 0.15,
  newtonSchulzSteps: 3,
  lengthImages: 7,
  biasStep: 0.04,
  outputChange: 0.05,
  damping: 0.1,
  momentum: 0.6,
  weightDecay: 0.5,
  covarianceDecay: 0.9,
  covarianceInterval: 1,
  labelSmoothing: 0,
  schedule: 'hold-linear',
  weightAverage: 0,
  bias: 0.1,
} as const;
const total = 4;

const rms = (a: Matrix) => Math.sqrt(sumAll(map(a, (value) => value ** 2)) / a.flat().length);
const deviation = (a: Matrix) => {
  const mean = sumAll(a) / a.flat().length;
  return rms(map(a, (value) => value - mean));
};

/** Newton-Schulz on the singular values. */
function orthogonal(a: Matrix): Matrix {
  const { u, s, v } = svd(a);
  const values = s.map((value) => {
    let x = value / norm(a);
    for (let i = 0; i < 3; i++) x = 3.4445 * x - 4.775 * x ** 3 + 2.0315 * x ** 5;
    return x;
  });
  return multiply(transpose(map(u, (value, i) => value * values[i])), v);
}

interface Memory {
  m?: Matrix;
  bias?: number[];
  squares?: number[];
  covariance?: Matrix;
  change: number;
}

/** New parameters [W; b] of tanh layers after step t from 0 under the cross-entropy; `memory` is changed. */
function referenceStep(
  layers: readonly ReferenceLayer[],
  parameters: readonly Matrix[],
  memory: Memory[],
  [x, y]: readonly [Matrix, Matrix],
  t: number,
): Matrix[] {
  const rate = Math.min(1, 2 * (1 - t / total));
  const head = layers.length - 1;
  const inputs = [x];
  const u: Matrix[] = [];
  for (const [l, { positions, windows }] of layers.entries()) {
    u.push(byImage(multiply(withOnes(windows(inputs[l])), parameters[l]), positions));
    inputs.push(map(u[l], Math.tanh));
  }
  const f = settings.momentum;
  const correction = 1 - f ** (t + 1);
  const slowCorrection = 1 - 0.99 ** (t + 1);
  let g: Matrix = zip(u[head].map(softmax), y, (a, b) => a - b);
  const next: Matrix[] = [];
  for (let l = head; l >= 0; l--) {
    const { positions, windows } = layers[l];
    const old = parameters[l];
    const weights = old.slice(0, -1);
    const patches = windows(inputs[l]);
    const signal = byPosition(g, positions);
    const gradient = map(multiply(transpose(withOnes(patches)), signal), (v) => v / rows);
    const state = memory[l];
    if (l === head) {
      const now = map(multiply(transpose(withOnes(patches)), withOnes(patches)), (v) => v / rows);
      const keep = Math.min(settings.covarianceDecay, t / (t + 1));
      const c = zip(state.covariance ?? now, now, (a, b) => keep * a + (1 - keep) * b);
      const d = solve(damped(c, settings.damping * meanDiagonal(c)), gradient);
      const square = sumAll(zip(d, multiply(c, d), (a, b) => a * b)) / d[0].length;
      state.covariance = c;
      state.change = 0.99 * state.change + 0.01 * square;
      state.m = zip(state.m ?? map(d, () => 0), d, (a, b) => f * a + (1 - f) * b);
      const length = (rate * settings.outputChange) / correction;
      const scale = length / Math.sqrt(state.change / slowCorrection);
      const decay = rate * settings.outputChange * settings.weightDecay;
      next[l] = zip(old, state.m, (p, m) => p - scale * m).map((row, i) =>
        row.map((value, j) => value - (i < weights.length ? decay * old[i][j] : 0)),
      );
    } else {
      const g0 = gradient.slice(0, -1);
      const m = zip(state.m ?? map(g0, () => 0), g0, (a, b) => f * a + (1 - f) * b);
      const d = orthogonal(m);
      const change = multiply(windows(inputs[l].slice(0, settings.lengthImages)), d);
      const scale = (rate * settings.relativeChange * deviation(u[l])) / rms(change);
      const decay = rate * settings.relativeChange * settings.weightDecay;
      const b = gradient[weights.length];
      state.m = m;
      state.bias = b.map((v, j) => f * (state.bias?.[j] ?? 0) + (1 - f) * v);
      state.squares = b.map((v, j) => 0.99 * (state.squares?.[j] ?? 0) + 0.01 * v ** 2);
      const bias = state.bias.map(
        (v, j) => v / correction / Math.sqrt(state.squares![j] / slowCorrection),
      );
      next[l] = [
        ...zip(weights, d, (w, step) => w - decay * w - scale * step),
        old[weights.length].map((value, j) => value - rate * settings.biasStep * bias[j]),
      ];
    }
    if (l === 0) break;
    const back = multiply(g, transpose(weights));
    g = zip(inputs[l], back, (v, r) => (1 - v ** 2) * r);
  }
  return next;
}

/** The step of the first of two dense layers on inputs F and signals g of its weights and its bias. */
function stepOf(f: Matrix, g: Matrix, weights: Matrix, fields: Partial<FoofConfig> = {}) {
  const config = FoofConfig.parse({ name: 'foof', ...settings, weightDecay: 0, ...fields });
  const network = buildNetwork({
    layers: denseLayers([weights.length, weights[0].length, 2]),
    activations: ['tanh'],
  });
  const bias = tf.zeros<tf.Rank.R1>([weights[0].length]);
  return operatorStep(config, network, 0, {
    parameters: { weights: matrix(weights), bias },
    layers: {
      inputs: [matrix(f)],
      preActivations: [matrix(multiply(f, weights))],
      between: [{}],
    },
    gradient: {
      weights: matrix(multiply(transpose(f), g)),
      bias: tf.tensor1d(transpose(g).map(sum)),
    },
    averages: initialOperatorAverages(network.maps[0]),
    coefficients: operatorCoefficients({ config, totalBatches: total }, 0),
  }).parameters;
}

describe('steps in the operator norm', () => {
  it.each(Object.entries(referenceNetworks))(
    'do what their equations say: %s',
    async (_, { shapes, layers }) => {
      const random = new Random(6, 'operator');
      const context: MethodContext<FoofConfig> = {
        config: FoofConfig.parse({ name: 'foof', ...settings }),
        network: buildNetwork({ layers: shapes, activations: shapes.slice(1).map(() => 'tanh') }),
        loss: 'cross-entropy',
        train: {
          split: { images: new Uint8Array(), labels: new Uint8Array(), count: 0 },
          rows: () => tf.zeros([0, 32]),
        },
        batchSize: rows,
        totalBatches: total,
        random: new Random(6, 'init'),
        stream: (name) => new Random(6, name),
      };
      const training = await Training.start(foof, context);
      let expected: Matrix[] = await stacked(training);
      const memory = layers.map((): Memory => ({ change: 0 }));
      for (let t = 0; t < total; t++) {
        const [x, y] = [normal(random, rows, 32), targets(random, rows, 4)];
        const before = expected;
        expected = referenceStep(layers, before, memory, [x, y], t);
        await training.step({ x: matrix(x), y: matrix(y), indices: new Uint32Array(rows) });
        for (const [l, layer] of (await stacked(training)).entries()) {
          const error = norm(zip(layer, expected[l], (a, b) => a - b));
          const change = norm(zip(expected[l], before[l], (a, b) => a - b));
          expect(error / change, `step ${t}, layer ${l}`).toBeLessThan(2e-3);
        }
      }
      training.dispose();
    },
  );

  const random = new Random(2, 'layer');
  const [f, w] = [normal(random, rows, 12), normal(random, 12, 5)];
  const g = normal(random, rows, 5, 0.1);
  const moved = async (signal: Matrix, fields?: Partial<FoofConfig>) => {
    const { weights, bias } = stepOf(f, signal, w, fields);
    return {
      change: zip((await weights.array()) as Matrix, w, (a, b) => a - b),
      bias: [...(await bias.data())],
    };
  };

  it('change the pre-activations of the first images by exactly the given share', async () => {
    for (const lengthImages of [7, 100]) {
      const { change } = await moved(g, { lengthImages });
      const images = f.slice(0, lengthImages);
      const share = rms(multiply(images, change)) / deviation(multiply(f, w));
      expect(share / settings.relativeChange).toBeCloseTo(1, 4);
    }
  });

  it('are nearly orthogonal, downhill, and do not depend on the scale of the gradient', async () => {
    const { change, bias } = await moved(g, { newtonSchulzSteps: 5 });
    const { s } = svd(change);
    // The band of 5 Newton-Schulz iterations is 0.68 to 1.21.
    expect(Math.max(...s) / Math.min(...s)).toBeLessThan(1.8);
    expect(sumAll(zip(change, multiply(transpose(f), g), (a, b) => a * b))).toBeLessThan(0);
    for (const scale of [1e-3, 1e4]) {
      const other = await moved(
        map(g, (value) => scale * value),
        { newtonSchulzSteps: 5 },
      );
      const error = norm(zip(other.change, change, (a, b) => a - b));
      expect(error / norm(change)).toBeLessThan(1e-3);
      for (const [j, value] of other.bias.entries()) expect(value).toBeCloseTo(bias[j], 4);
    }
  });

  it('are 0 where there is no gradient, and where no first image is changed', async () => {
    const still = await moved(map(g, () => 0));
    expect(norm(still.change) + norm([still.bias])).toBeLessThan(1e-6);
    const dark = f.map((row, i) => row.map((value) => (i < settings.lengthImages ? 0 : value)));
    const { weights } = stepOf(dark, g, w);
    const step = zip((await weights.array()) as Matrix, w, (a, b) => a - b);
    expect(norm(step)).toBeLessThan(1e-6);
  });

  it.each(['batch', 'rms'] as const)(
    'keep the pre-activations before a %s norm at unit scale, and the function what it is',
    async (norm) => {
      const [first, last] = referenceNetworks['a convolution and a dense layer'].shapes;
      const network = buildNetwork({ layers: [{ ...first, norm }, last], activations: ['tanh'] });
      const config = FoofConfig.parse({ name: 'foof', ...settings });
      const [weights, top] = [normal(random, 18, 3, 7), normal(random, 12, 4)].map(matrix);
      const rest = { weights: top, bias: tf.zeros<tf.Rank.R1>([4]) };
      const old = { weights, bias: tf.tensor1d([0.2, 0, -0.1]) };
      const x = matrix(normal(random, rows, 32));
      const layers = forwardLayers(network, [old, rest], x);
      const layer = {
        parameters: old,
        layers,
        gradient: { weights: matrix(normal(random, 18, 3)), bias: tf.tensor1d([1, -1, 1]) },
        averages: initialOperatorAverages(network.maps[0]),
        coefficients: operatorCoefficients({ config, totalBatches: total }, 0),
      };
      const own = operatorStep(config, network, 0, layer).parameters;
      const plain = { ...network, stages: [{}, {}] };
      const unscaled = operatorStep(config, plain, 0, layer).parameters;
      const scaleOf = async (parameters: typeof old) => {
        const { pooled } = forwardLayers(network, [parameters, rest], x).between[0];
        return deviation((await pooled!.array()) as Matrix);
      };
      const before = await scaleOf(old);
      expect(before).toBeGreaterThan(10);
      expect((await scaleOf(unscaled)) / (await scaleOf(own)) / before).toBeCloseTo(1, 4);
      expect(Math.abs((await scaleOf(own)) - 1)).toBeLessThan(settings.relativeChange);
      const [now, wanted] = [own, unscaled].map((each) => predict(network, [each, rest], x));
      const gap = await tf.max(tf.abs(tf.sub(now, wanted))).data();
      // But for what the norm adds to the variance.
      expect(gap[0]).toBeLessThan(5e-4);
    },
  );

  const normalised = convolutional.map((layer, l) =>
    l < 2 ? ({ ...layer, norm: 'batch' } as const) : layer,
  );
  const named = (name: string) =>
    methods.find((one) => one.name === name && one.solver !== 'exact')!;
  it.each([
    ['foof', 'two hidden layers', digits(24, 16)],
    ['fenchel', 'convolutions with norms', normalised],
  ] as const)('train %s, %s; leak nothing; resume bit for bit', async (name, _, layers) => {
    const setting: Setting = {
      layers,
      activation: 'relu',
      loss: 'cross-entropy',
      batchSize: 60,
      steps: 12,
    };
    const definition = named(name);
    const config = defaultConfig(definition, setting, { stepNorm: 'operator', weightAverage: 0.9 });
    expect(config).toMatchObject({ momentum: 0.6, weightDecay: 0 });
    const method = await definition.load();
    const start = () => startTraining(method, config, setting);
    const training = await start();
    const { metrics, tensors } = await runSteps(training, setting);
    expect(metrics.at(-1)!.loss).toBeLessThan(0.8 * metrics[0].loss);
    expect(tensors.at(-1)).toBe(tensors[1]);
    const weights = await weightsOf(training);
    training.dispose();
    const resumed = await runInTwoSessions(start, setting);
    expect(resumed.weights).toEqual(weights);
  });
});
