import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { readLayers } from '../../src/config/layer-shapes.js';
import type { LayerInput } from '../../src/config/layers.js';
import { builtIn } from '../../src/config/plugins/registry.js';
import { gradientOf, learningSignals, type SignalRule } from '../../src/core/methods/signals.js';
import { atTest, estimateStatistics } from '../../src/core/network/at-test.js';
import { lossValue } from '../../src/core/network/loss.js';
import { maxPool } from '../../src/core/network/maps/max-pool.js';
import { normEpsilon, normNames } from '../../src/core/network/names.js';
import { buildNetwork, forwardLayers, predict } from '../../src/core/network/network.js';
import { normOf } from '../../src/core/network/norm.js';
import type { Parameters } from '../../src/core/network/parameters.js';
import { describeLayers } from '../../src/core/network/shape.js';
import { whiteningWeights } from '../../src/core/network/whiten.js';
import { Random } from '../../src/core/random.js';
import { startTestBackend } from '../backends.js';
import { matrix, normal } from '../solvers/tensors.js';

beforeAll(startTestBackend);

const random = new Random(3, 'stages');
const draw = (m: number, n: number, scale = 1) => matrix(normal(random, m, n, scale));
const relative = async (a: tf.Tensor, b: tf.Tensor) =>
  (await tf.div(tf.norm(tf.sub(a, b)), tf.add(tf.norm(b), 1e-20)).data())[0];

/** Every stage that a layer can have. */
const deep: LayerInput[] = [
  { whiten: 2, activation: 'tanh' },
  { conv: 5, kernel: 3, padding: 'same', maxPool: 2, norm: 'batch', activation: 'tanh' },
  {
    residual: [
      { conv: 4, kernel: 3, padding: 'same', norm: 'rms', activation: 'sigmoid' },
      { conv: 7, kernel: 3, stride: 2, padding: 'same', norm: 'batch' },
    ],
    activation: 'tanh',
  },
  { repeat: 2, layers: [{ residual: [{ conv: 7, kernel: 1 }], activation: 'tanh' }] },
  { globalPool: 'max' },
  { dense: 6, norm: 'batch', activation: 'tanh' },
  { dense: 3 },
];

const data = { name: 'test', shape: [9, 9, 2], classes: 3 } as const;

function networkOf(layers: readonly LayerInput[], shape: readonly [number, number, number]) {
  const read = readLayers(layers, { ...data, shape }, builtIn);
  expect(read.findings).toEqual([]);
  const network = buildNetwork(read);
  const parameters: Parameters = network.maps.map(({ weightShape: [p, q] }) => ({
    weights: draw(p, q, 1 / Math.sqrt(p)),
    bias: tf.tensor1d(normal(random, 1, q, 0.3)[0]),
  }));
  return { ...read, network, parameters };
}

describe('a norm', () => {
  for (const name of normNames) {
    const channels = 3;
    const norm = normOf(name, channels);
    const u = () => draw(4, 2 * channels, 2);

    it(`${name}: has mean squares of 1 in each group`, async () => {
      const value: tf.Tensor2D = tf.reshape(norm.phi(u()), [-1, channels]);
      const squares = await tf.mean(tf.square(value), name === 'batch' ? 0 : 1).data();
      for (const square of squares) expect(square).toBeCloseTo(1, 3);
      if (name !== 'batch') return;
      for (const mean of await tf.mean(value, 0).data()) expect(mean).toBeCloseTo(0, 6);
    });

    it(`${name}: slopeTimes is the tensor library's gradient`, async () => {
      const [at, r] = [u(), u()];
      const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(norm.phi(x as tf.Tensor2D), r)))(at);
      expect(await relative(norm.slopeTimes(at, r), gradient)).toBeLessThan(1e-5);
    });

    it(`${name}: differences are those of phi, and of small steps the derivative, without a mean`, async () => {
      const at = tf.add(draw(400, 20 * channels), 0.5) as tf.Tensor2D;
      const r = draw(400, 20 * channels);
      const two = (value: tf.Tensor2D) => norm.phi(tf.add(at, value));
      const large = tf.sub(two(r), two(tf.neg(r)));
      expect(await relative(norm.difference(at, r, true), tf.div(large, 2))).toBeLessThan(1e-4);
      const one = tf.sub(norm.phi(at), two(tf.neg(r)));
      expect(await relative(norm.difference(at, r, false), one)).toBeLessThan(1e-4);
      const small: tf.Tensor2D = tf.mul(r, 1e-4);
      const slope = norm.slopeTimes(at, small);
      const centred = norm.difference(at, small, true);
      expect(await relative(centred, slope)).toBeLessThan(1e-5);
      expect(await relative(norm.difference(at, small, false), slope)).toBeLessThan(1e-3);
      if (name !== 'batch') return;
      const means = tf.mean(tf.reshape(centred, [-1, channels]), 0);
      for (const mean of await means.data()) expect(Math.abs(mean)).toBeLessThan(1e-8);
    });

    it(`${name}: B is 0 at phi(u), positive elsewhere, and dB/du = phi(u) - v`, async () => {
      for (let trial = 0; trial < 20; trial++) {
        const [at, other] = [u(), u()];
        const v = norm.phi(other);
        const [zero] = await norm.divergence(norm.phi(at), at).data();
        const [b] = await norm.divergence(v, at).data();
        // In units of n s: single precision.
        expect(Math.abs(zero)).toBeLessThan(2e-4);
        expect(b).toBeGreaterThan(0.01);
        const gradient = tf.grad((x: tf.Tensor) => norm.divergence(v, x as tf.Tensor2D))(at);
        expect(await relative(gradient, tf.sub(norm.phi(at), v))).toBeLessThan(1e-3);
      }
    });
  }
});

describe('max-pooling after a ReLU', () => {
  it('is the sum over windows of the gradient of max(0, max u)^2/2, whose B is not negative', async () => {
    const pool = maxPool([5, 4, 2], 2);
    const potential = (u: tf.Tensor) =>
      tf.mul(tf.sum(tf.square(tf.relu(pool.apply(u as tf.Tensor2D)))), 0.5);
    for (let trial = 0; trial < 10; trial++) {
      const u = draw(3, 40);
      const largest = tf.relu(pool.apply(u));
      const phi = tf.grad(potential)(u);
      expect(await relative(pool.route(u, pool.apply(u), largest), phi)).toBeLessThan(1e-6);
      // F(v) = (sum v)^2/2 of a window with v >= 0.
      const other = draw(3, 40);
      const v = pool.route(other, pool.apply(other), tf.relu(pool.apply(other)));
      const sum = tf.relu(pool.apply(other));
      const f = tf.mul(tf.sum(tf.square(sum)), 0.5);
      const b = tf.sub(tf.add(f, potential(u)), tf.sum(tf.mul(u, v)));
      expect((await b.data())[0]).toBeGreaterThan(0);
    }
  });
});

describe('a network with every stage', () => {
  it('has the shapes that its config says', () => {
    const { layers } = networkOf(deep, [9, 9, 2]);
    expect(describeLayers(layers)).toBe(
      '9x9x2-whiten16@8x8-5@8x8-max2-batch-4@4x4-rms-7@2x2-batch-skip-7@2x2-skip-7@2x2-skip-max2-6-batch-3',
    );
    expect(layers.map(({ skipFrom }) => skipFrom)).toEqual([
      undefined,
      undefined,
      undefined,
      2,
      4,
      5,
      undefined,
      undefined,
    ]);
  });

  it('back-propagates the tensor library gradient, with dropout too', async () => {
    const { network: built, parameters } = networkOf(deep, [9, 9, 2]);
    const stages = built.stages.map((stage, l) => (l === 1 ? { ...stage, dropout: 0.5 } : stage));
    const network = { ...built, stages };
    const x = draw(6, 162);
    const y = draw(6, 3);
    const mask = tf.mul(tf.cast(tf.greater(draw(6, 80), 0), 'float32'), 2) as tf.Tensor2D;
    const transmission = { activation: (v: tf.Tensor2D) => v, dropout: () => mask };
    const forward = forwardLayers(network, parameters, x, transmission);
    const outputs = forward.preActivations[parameters.length - 1];
    const g = tf.mul(2 / 6, tf.sub(outputs, y)) as tf.Tensor2D;
    const signals = learningSignals(network, parameters, forward, g, { rule: 'back-propagation' });
    const tensors = parameters.flatMap(({ weights, bias }) => [weights, bias]);
    const { grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
      const layers = parameters.map((_, l) => ({
        weights: values[2 * l] as tf.Tensor2D,
        bias: values[2 * l + 1] as tf.Tensor1D,
      }));
      const { preActivations } = forwardLayers(network, layers, x, transmission);
      return lossValue('mse', y, preActivations[layers.length - 1]);
    })(tensors);
    for (const l of parameters.keys()) {
      const own = gradientOf(network, signals, forward.inputs, l);
      if (l > 0) expect(await relative(own.weights, grads[2 * l]), `W ${l}`).toBeLessThan(2e-5);
      else expect((await tf.max(tf.abs(own.weights)).data())[0]).toBe(0);
      expect(await relative(own.bias, grads[2 * l + 1]), `b ${l}`).toBeLessThan(2e-5);
    }
  });

  it('has lifted signals that tend to back-propagation, the two-sided ones faster', async () => {
    const { network, parameters } = networkOf(deep, [9, 9, 2]);
    const x = draw(30, 162);
    const forward = forwardLayers(network, parameters, x);
    const g = draw(30, 3, 0.1);
    const signalsOf = (rule: SignalRule) => learningSignals(network, parameters, forward, g, rule);
    const exact = signalsOf({ rule: 'back-propagation' }).mapGradients;
    const error = async (rule: 'one-sided' | 'two-sided', targetStep: number) => {
      const { mapGradients } = signalsOf({ rule, targetStep });
      return relative(tf.div(mapGradients[1], targetStep), exact[1]);
    };
    const [small, large] = [await error('one-sided', 0.03), await error('one-sided', 0.3)];
    expect(large / small).toBeGreaterThan(4);
    expect(await error('two-sided', 0.3)).toBeLessThan(large / 4);
  });

  it('computes at test time with the statistics of training batches, folded into the weights', async () => {
    const { network, parameters } = networkOf(deep, [9, 9, 2]);
    const images = draw(24, 162);
    const rows = (indices: ArrayLike<number>) =>
      tf.gather(images, tf.tensor1d(Array.from(indices), 'int32')) as tf.Tensor2D;
    const before = tf.memory().numTensors;
    const tested = atTest(network, parameters, { count: 24, rows }, 8);
    // One batch norm by hand: layer 1 on three batches of 8.
    const { mean, variance } = tested.statistics![1]!;
    const pooled = [0, 1, 2].map((b) =>
      tf.reshape(
        forwardLayers(network, parameters, rows(Array.from({ length: 8 }, (_, i) => 3 * i + b)))
          .between[1].pooled!,
        [-1, 5],
      ),
    );
    const means = tf.mean(tf.stack(pooled.map((p) => tf.mean(p, 0))), 0);
    expect(await relative(mean, means)).toBeLessThan(1e-5);
    const n = pooled[0].shape[0];
    const variances = pooled.map((p) => tf.mul(tf.moments(p, 0).variance, n / (n - 1)));
    expect(await relative(variance, tf.mean(tf.stack(variances), 0))).toBeLessThan(1e-5);

    // The folded network is the one with constants in place of the batch's statistics.
    const constant = {
      ...network,
      stages: network.stages.map((stage, l) => {
        const known = tested.statistics![l];
        if (!known || !stage.norm) return stage;
        const channels = known.mean.shape[0];
        const phi = (u: tf.Tensor2D): tf.Tensor2D => {
          const t = tf.sub(tf.reshape(u, [-1, channels]), known.mean);
          return tf.reshape(tf.div(t, tf.sqrt(tf.add(known.variance, normEpsilon))), u.shape);
        };
        return { ...stage, norm: { ...stage.norm, phi } };
      }),
    };
    const x = draw(5, 162);
    const expected = predict(constant, parameters, x);
    expect(await relative(predict(tested.network, tested.parameters, x), expected)).toBeLessThan(
      1e-5,
    );
    // Row by row: nothing is left of the batch.
    const alone = predict(
      tested.network,
      tested.parameters,
      tf.slice(x, [2, 0], [1, 162]) as tf.Tensor2D,
    );
    expect(await relative(alone, tf.slice(expected, [2, 0], [1, 3]))).toBeLessThan(1e-5);
    expect(before).toBeGreaterThan(0);
  });

  it('frees what it estimated', () => {
    const { network, parameters } = networkOf(deep, [9, 9, 2]);
    const images = draw(24, 162);
    const rows = () => images.clone();
    const before = tf.memory().numTensors;
    estimateStatistics(network, parameters, { count: 24, rows }, 24);
    atTest(network, parameters, { count: 24, rows }, 24).dispose();
    const kept = network.stages.filter(({ norm }) => norm?.name === 'batch').length;
    expect(tf.memory().numTensors).toBe(before + 2 * kept);
  });
});

describe('a whitening layer', () => {
  it('has uncorrelated outputs of unit mean squares on the training images', async () => {
    const { network } = networkOf(deep, [9, 9, 2]);
    const base = draw(40, 162);
    const mixed = tf.matMul(base, draw(162, 162, 0.08)) as tf.Tensor2D;
    const rows = (indices: ArrayLike<number>) =>
      tf.gather(mixed, tf.tensor1d(Array.from(indices), 'int32')) as tf.Tensor2D;
    const [map] = network.maps;
    const weights = tf.tensor2d(await whiteningWeights(map, 40, rows), [8, 16]);
    const outputs = tf.matMul(map.patches(mixed), tf.slice(weights, [0, 0], [8, 8]));
    const moment = tf.div(tf.matMul(outputs, outputs, true, false), outputs.shape[0]);
    expect(await relative(moment, tf.eye(8))).toBeLessThan(0.02);
    const negative = tf.neg(tf.slice(weights, [0, 8], [8, 8]));
    expect(await relative(negative, tf.slice(weights, [0, 0], [8, 8]))).toBe(0);
  });
});
