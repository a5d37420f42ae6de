import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { KfacConfig } from '../../src/core/methods/kfac/config.js';
import {
  applyInputs,
  fixedInputs,
  kroneckerFactors,
  sampledGradient,
} from '../../src/core/methods/kfac/factors.js';
import { kfac } from '../../src/core/methods/kfac/kfac.js';
import type { MethodContext } from '../../src/core/methods/method.js';
import { invertWith } from '../../src/core/methods/preconditioned/moments.js';
import type { LossName } from '../../src/core/network/names.js';
import { buildNetwork, forwardLayers } from '../../src/core/network/network.js';
import { denseLayers, type LayerShape } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { Training } from '../../src/core/training.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import {
  distance,
  type Matrix,
  map,
  maxAbs,
  multiply,
  sum,
  sumAll,
  transpose,
  type Vector,
  withOnes,
  zip,
} from '../reference/matrix.js';
import { softmax } from '../reference/terms.js';
import { matrix, normal, targets } from '../solvers/tensors.js';
import {
  byImage,
  byPosition,
  convolution,
  damped,
  dense,
  meanDiagonal,
  norm,
  type ReferenceLayer,
  referenceNetworks,
  solve,
  stacked,
} from './float64.js';

beforeAll(startTestBackend);

const { phi, phiPrime } = scalarActivations.tanh;
const diagonal = (values: Vector) => values.map((v, i) => values.map((_, j) => (i === j ? v : 0)));
const scaled = (a: Matrix, factor: number) => map(a, (value) => factor * value);
const outer = (x: Matrix) => multiply(transpose(x), x);

/** U_l of every layer in float64; `added` to those of layer `at`. */
function preActivations(
  layers: readonly ReferenceLayer[],
  parameters: readonly Matrix[],
  x: Matrix,
  at = -1,
  added: Matrix = [],
): Matrix[] {
  const us: Matrix[] = [];
  for (const [l, { positions, windows }] of layers.entries()) {
    const input = l === 0 ? x : map(us[l - 1], phi);
    const u = byImage(multiply(withOnes(windows(input)), parameters[l]), positions);
    us.push(l === at ? zip(u, added, (a, b) => a + b) : u);
  }
  return us;
}

/** Hessian of the loss of one row in its outputs. */
function lossHessian(loss: LossName, u: Vector): Matrix {
  if (loss === 'mse') return diagonal(u.map(() => 2));
  const p = softmax(u);
  return zip(diagonal(p), outer([p]), (a, b) => a - b);
}

/** J^T H J for the Jacobian, by central differences, of the outputs in some coordinates at 0. */
function gaussNewton(
  outputs: (coordinates: Vector) => Vector,
  size: number,
  hessian: Matrix,
): Matrix {
  const h = 1e-5;
  const columns = Array.from({ length: size }, (_, k) => {
    const unit = (step: number) => Array.from({ length: size }, (_, i) => (i === k ? step : 0));
    const [up, down] = [outputs(unit(h)), outputs(unit(-h))];
    return up.map((value, i) => (value - down[i]) / (2 * h));
  });
  return multiply(multiply(columns, hessian), transpose(columns));
}

/**
 * Output gradients, as many as outputs, whose mean outer product is what sampling has as its expectation: of every
 * label with its probability, or with unit covariance.
 */
function allSamples(loss: LossName, u: Vector): Matrix {
  const k = u.length;
  if (loss === 'mse') return diagonal(u.map(() => Math.sqrt(2 * k)));
  const p = softmax(u);
  return p.map((own, label) => p.map((q, j) => Math.sqrt(own * k) * (q - (j === label ? 1 : 0))));
}

/** A and S of every layer for one image, in expectation over the samples. */
async function expectedFactors(
  shapes: readonly LayerShape[],
  parameters: readonly Matrix[],
  x: Vector,
  loss: LossName,
  u: Vector,
) {
  const network = buildNetwork({
    layers: shapes,
    activations: shapes.slice(1).map(() => 'tanh' as const),
  });
  const samples = allSamples(loss, u);
  const layers = parameters.map((p) => ({
    weights: matrix(p.slice(0, -1)),
    bias: tf.tensor1d([...p[p.length - 1]]),
  }));
  const forward = forwardLayers(network, layers, matrix(samples.map(() => x)));
  const config = { covarianceImages: 16 } as KfacConfig;
  const { inputs, signals } = kroneckerFactors(
    { network, config },
    { ...forward, parameters: layers },
    matrix(samples),
  );
  const asArrays = (factors: tf.Tensor2D[]) => Promise.all(factors.map((f) => f.array()));
  return { inputs: await asArrays(inputs), signals: await asArrays(signals) };
}

/** A (x) S, in the order of the entries of [W; b], row-major. */
const kronecker = (a: Matrix, s: Matrix): Matrix =>
  a.flatMap((row) => s.map((own) => row.flatMap((value) => own.map((other) => value * other))));

const oneConvolution: LayerShape[] = [
  referenceNetworks['a convolution and a dense layer'].shapes[0],
];
const initial = (shapes: readonly LayerShape[], random: Random) =>
  buildNetwork({
    layers: shapes,
    activations: shapes.slice(1).map(() => 'tanh' as const),
  }).maps.map(({ weightShape: [p, q] }) => normal(random, p + 1, q, 1 / Math.sqrt(p)));

describe('Kronecker factors', () => {
  const exact = [
    { name: 'dense layers', shapes: denseLayers([5, 4, 3]), layers: [dense, dense] },
    // Signals of a last layer under the squared error are uncorrelated between positions, and alike at each.
    { name: 'a convolution at the output', shapes: oneConvolution, layers: [convolution] },
  ];
  const cases = exact.flatMap((entry) =>
    (['cross-entropy', 'mse'] as const)
      .filter((loss) => loss === 'mse' || entry.layers.length > 1)
      .map((loss) => ({ ...entry, loss })),
  );
  it.each(cases)('are the Gauss-Newton matrix of $name, one image, $loss', async (entry) => {
    const { shapes, layers, loss } = entry;
    const random = new Random(5, entry.name);
    const parameters = initial(shapes, random);
    const [x] = normal(
      random,
      1,
      shapes[0].input.reduce((a, b) => a * b),
    );
    const last = layers.length - 1;
    const [u] = preActivations(layers, parameters, [x])[last];
    const { inputs, signals } = await expectedFactors(shapes, parameters, x, loss, u);
    for (const [l, p] of parameters.entries()) {
      const columns = p[0].length;
      const outputs = (step: Vector) => {
        const moved = map(p, (value, i, j) => value + step[i * columns + j]);
        return preActivations(layers, parameters.with(l, moved), [x])[last][0];
      };
      const expected = gaussNewton(outputs, p.length * columns, lossHessian(loss, u));
      const product = kronecker(inputs[l], signals[l]);
      expect(distance(product, expected) / maxAbs(expected), `layer ${l + 1}`).toBeLessThan(1e-5);
    }
  });

  it.each(['cross-entropy', 'mse'] as const)(
    'of a hidden convolution: sum of patches, mean of Gauss-Newton blocks over positions, %s',
    async (loss) => {
      const { shapes, layers } = referenceNetworks['a convolution and a dense layer'];
      const random = new Random(8, 'convolution');
      const parameters = initial(shapes, random);
      const [x] = normal(random, 1, 32);
      const [hidden, [u]] = preActivations(layers, parameters, [x]);
      const factors = await expectedFactors(shapes, parameters, x, loss, u);
      const channels = 3;
      const positions = hidden[0].length / channels;
      const outputs = (step: Vector) => preActivations(layers, parameters, [x], 0, [step])[1][0];
      const all = gaussNewton(outputs, hidden[0].length, lossHessian(loss, u));
      const mean = map(
        new Array(channels).fill(new Array(channels).fill(0)),
        (_, i, j) =>
          sum(
            Array.from({ length: positions }, (_, t) => all[t * channels + i][t * channels + j]),
          ) / positions,
      );
      const [s] = factors.signals;
      expect(distance(s, mean) / maxAbs(mean)).toBeLessThan(1e-5);
      const a = outer(withOnes(convolution.windows([x])));
      expect(distance(factors.inputs[0], a) / maxAbs(a)).toBeLessThan(1e-5);
    },
  );
});

describe('sampled labels', () => {
  it('occur as often as the softmax says, and never where it is 0', async () => {
    const n = 1000;
    const logits = [1, -Infinity, 0, 2, -1, -Infinity];
    const p = softmax(logits);
    const noise = matrix(Array.from({ length: n }, (_, i) => [i / (n - 1)]));
    const u = matrix(new Array(n).fill(logits.map((v) => Math.max(v, -200))));
    const g = await sampledGradient('cross-entropy', u, noise).array();
    const drawn = g.map((row) => row.map((value, k) => p[k] - value));
    for (const row of drawn) {
      expect(row.filter((value) => Math.abs(value - 1) < 1e-5)).toHaveLength(1);
      expect(row.filter((value) => Math.abs(value) < 1e-5)).toHaveLength(p.length - 1);
    }
    const shares = transpose(drawn).map((column) => sum(column) / n);
    for (const [k, share] of shares.entries()) expect(Math.abs(share - p[k])).toBeLessThan(2 / n);
  });

  it('have the Hessian of the squared error as covariance', async () => {
    const noise = matrix(normal(new Random(2, 'noise'), 3, 4));
    const g = sampledGradient('mse', tf.zeros([3, 4]), noise);
    const gap = await tf.max(tf.abs(tf.sub(g, tf.mul(noise, Math.SQRT2)))).data();
    expect(gap[0]).toBeLessThan(1e-6);
  });
});

it('the input factor of the first layer is exact where the eigenvalues beyond its rank are equal', async () => {
  // Mean 0 and eigenvalues 4, 3, 2, 1 (of the ones), 0.001, 0.001, ...: wide apart, for two passes of iteration.
  const variances = [0.001, 4, 0.001, 2, 0.001, 3, 0.001, 0.001];
  const ridge = 0.002;
  const n = variances.length;
  const x = diagonal(variances.map((v) => Math.sqrt(v * n))).flatMap((row) => [
    row,
    row.map((v) => -v),
  ]);
  const split = { images: new Uint8Array(), labels: new Uint8Array(), count: x.length };
  const train = { split, rows: (at: ArrayLike<number>) => matrix(Array.from(at, (i) => x[i])) };
  const network = buildNetwork({ layers: denseLayers([n, 2]), activations: [] });
  const g = normal(new Random(1, 'gradient'), n + 1, 3);
  for (const inputRank of [4, n + 1]) {
    const first = await fixedInputs({ network, train, config: { inputRank } });
    const [inverse] = await invertWith({}, [first.moment], [tf.scalar(ridge)]);
    const solution = await applyInputs(inverse, matrix(g), first.subspace).array();
    const expected = map(g, (value, i) => value / ((variances[i] ?? 1) + ridge));
    expect(distance(solution, expected) / maxAbs(expected)).toBeLessThan(1e-3);
    const mean = (sum(variances) + 1) / (n + 1);
    expect((await first.meanDiagonal.data())[0]).toBeCloseTo(mean, 4);
  }
});

// Whole steps against the equations of kfac.ts's comment in float64.

const rows = 20;
const settings = {
  learningRate: 0.3,
  klClip: 0.02,
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
} as const;

interface Memory {
  a?: Matrix;
  s?: Matrix;
  m: Matrix;
  change: number;
}

const blended = (old: Matrix | undefined, now: Matrix, f: number) =>
  old ? zip(old, now, (p, q) => f * p + (1 - f) * q) : now;

/** New parameters after step t from 0, and nu; `memory` is changed. */
function referenceStep(
  layers: readonly ReferenceLayer[],
  parameters: readonly Matrix[],
  memory: Memory[],
  { x, y, images, t }: { x: Matrix; y: Matrix; images: Matrix; t: number },
  loss: LossName,
  stepRule: KfacConfig['stepRule'],
) {
  const us = preActivations(layers, parameters, x);
  const head = layers.length - 1;
  const signalsOf = (g: Matrix): Matrix[] => {
    const signals = [g];
    for (let l = head; l > 0; l--) {
      const back = multiply(signals[0], transpose(parameters[l].slice(0, -1)));
      signals.unshift(zip(back, us[l - 1], (r, u) => r * phiPrime(u)));
    }
    return signals;
  };
  const smooth = map(y, (value) => 0.9 * value + 0.1 / y[0].length);
  const isLabels = loss === 'cross-entropy';
  const p = us[head].map(softmax);
  const gradients = signalsOf(
    isLabels ? zip(p, smooth, (a, b) => a - b) : zip(us[head], smooth, (a, b) => 2 * (a - b)),
  );
  const random = new Random(3, `kfac/${t}`);
  const sampled = signalsOf(
    p.map((row) => {
      if (!isLabels) return row.map(() => Math.SQRT2 * random.normal());
      let left = random.uniform();
      const label = row.findIndex((own) => {
        left -= own;
        return left < 0;
      });
      return row.map((own, k) => own - (k === label ? 1 : 0));
    }),
  );
  const f = Math.min(0.9, t / (t + 1));
  const directions = layers.map(({ positions, windows }, l) => {
    const input = l === 0 ? x : map(us[l - 1], phi);
    const seen = withOnes(windows(positions > 1 ? input.slice(0, 7) : input));
    const now = scaled(outer(seen), positions / seen.length);
    const state = memory[l];
    const isFixed = l === 0 && positions === 1;
    state.a = isFixed ? scaled(outer(withOnes(images)), 1 / rows) : blended(state.a, now, f);
    const g = byPosition(sampled[l], positions);
    state.s = blended(state.s, scaled(outer(g), 1 / g.length), f);
    const pi = Math.sqrt(meanDiagonal(state.a) / meanDiagonal(state.s));
    const root = Math.sqrt(settings.damping);
    const patches = withOnes(windows(input));
    const gradient = scaled(
      multiply(transpose(patches), byPosition(gradients[l], positions)),
      1 / rows,
    );
    const half = transpose(solve(damped(state.s, root / pi), transpose(gradient)));
    const d = solve(damped(state.a, root * pi), half);
    return { gradient, d, a: state.a, outputs: us[l][0].length };
  });
  const energy = sum(
    directions.map(({ d, gradient }) => sumAll(zip(d, gradient, (a, b) => a * b))),
  );
  const { learningRate, klClip, momentum, rmsChange, weightDecay } = settings;
  const nu = Math.min(1, Math.sqrt(klClip / (learningRate ** 2 * energy)));
  const next = directions.map(({ d, a, outputs }, l) => {
    const state = memory[l];
    const last = parameters[l].length - 1;
    const isNormalised = stepRule === 'normalised';
    const share = isNormalised ? 1 - momentum : nu;
    state.m = zip(state.m, d, (m, own) => momentum * m + share * own);
    const square = sumAll(zip(d, multiply(a, d), (p, q) => p * q)) / outputs;
    state.change = 0.99 * state.change + 0.01 * square;
    const size = Math.sqrt(state.change / (1 - 0.99 ** (t + 1)));
    const step = isNormalised ? rmsChange / size / (1 - momentum ** (t + 1)) : learningRate;
    const decay = weightDecay * (isNormalised ? rmsChange : learningRate);
    return zip(parameters[l], state.m, (w, m) => w - step * m).map((row, i) =>
      row.map((value, j) => value - (i < last ? decay * parameters[l][i][j] : 0)),
    );
  });
  return { next, nu };
}

describe('steps of kfac', () => {
  const cases = Object.entries(referenceNetworks).flatMap(([name, network], i) =>
    (['kl-clip', 'normalised'] as const).map((stepRule, j) => {
      const loss: LossName = (i + j) % 2 === 0 ? 'cross-entropy' : 'mse';
      return { name, stepRule, loss, ...network };
    }),
  );

  it.each(cases)('do what their equations say: $name, $stepRule, $loss', async (entry) => {
    const { shapes, layers, stepRule, loss } = entry;
    const random = new Random(6, loss);
    const images = normal(random, rows, 32);
    const context: MethodContext<KfacConfig> = {
      config: KfacConfig.parse({ name: 'kfac', stepRule, ...settings }),
      network: buildNetwork({
        layers: shapes,
        activations: shapes.slice(1).map(() => 'tanh' as const),
      }),
      loss,
      train: {
        split: { images: new Uint8Array(rows * 32), labels: new Uint8Array(rows), count: rows },
        rows: (indices) => matrix(Array.from(indices, (i) => images[i])),
      },
      batchSize: rows,
      totalBatches: 10,
      random: new Random(3, 'init'),
      stream: (name) => new Random(3, name),
    };
    const training = await Training.start(kfac, context);
    let expected: Matrix[] = await stacked(training);
    const memory = expected.map((p): Memory => ({ m: scaled(p, 0), change: 0 }));
    const clips: number[] = [];
    for (let t = 0; t < 3; t++) {
      const [x, y] = [normal(random, rows, 32), targets(random, rows, 4)];
      const before = expected;
      const step = referenceStep(layers, before, memory, { x, y, images, t }, loss, stepRule);
      expected = step.next;
      clips.push(step.nu);
      await training.step({ x: matrix(x), y: matrix(y), indices: new Uint32Array(rows) });
      for (const [l, layer] of (await stacked(training)).entries()) {
        const error = norm(zip(layer, expected[l], (a, b) => a - b));
        const change = norm(zip(expected[l], before[l], (a, b) => a - b));
        expect(error / change, `step ${t}, layer ${l}`).toBeLessThan(2e-3);
      }
    }
    training.dispose();
    if (stepRule === 'kl-clip') expect(Math.min(...clips)).toBeLessThan(0.9);
  });
});
