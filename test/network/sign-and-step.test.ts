import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { methods } from '../../src/core/methods/registry.js';
import { smoothingAt } from '../../src/core/methods/schedule.js';
import { learningSignals, type SignalRule } from '../../src/core/methods/signals.js';
import { activations } from '../../src/core/network/activations/registry.js';
import { lossValue } from '../../src/core/network/loss.js';
import {
  buildNetwork,
  forwardLayers,
  predict,
  smoothedNetwork,
} from '../../src/core/network/network.js';
import { denseLayers } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import {
  batchAt,
  defaultConfig,
  dense,
  runSteps,
  type Setting,
  shapeOf,
  startTraining,
  wholeSplit,
} from '../../src/testing/setting.js';
import { startTestBackend } from '../backends.js';
import { matrix, normal } from '../solvers/tensors.js';

beforeAll(startTestBackend);

/** The interval of v, and the middle and half the width of it. */
const domains = {
  sign: { low: -1, m: 0, h: 1 },
  step: { low: 0, m: 0.5, h: 0.5 },
} as const;
type Name = keyof typeof domains;
const names = Object.keys(domains) as Name[];

const at = [-3, -1, -0.4, -0.05, -1e-3, 0, 1e-3, 0.05, 0.3, 0.5, 1, 2.5];
const row = (values: readonly number[]) => matrix([values]);

/** argmax over v in [low, 1] of u v - epsilon (v - m)^2/(2 h), and the maximum, by golden-section search in float64. */
function conjugate(name: Name, u: number, epsilon: number): { v: number; value: number } {
  const { low, m, h } = domains[name];
  const value = (v: number) => u * v - (epsilon * (v - m) ** 2) / (2 * h);
  let [a, b] = [low as number, 1];
  const golden = (Math.sqrt(5) - 1) / 2;
  for (let i = 0; i < 120; i++) {
    const [p, q] = [b - golden * (b - a), a + golden * (b - a)];
    if (value(p) < value(q)) a = p;
    else b = q;
  }
  const v = [a, b, low, 1].reduce((best, other) => (value(other) > value(best) ? other : best));
  return { v, value: value(v) };
}

describe.each(names)('%s', (name) => {
  const { low, m, h } = domains[name];
  const activation = () => activations[name];

  it('has two values, and its middle or its lower one at 0; NaN stays NaN', async () => {
    const values = await activation()
      .phi(row([...at, Number.NaN]))
      .data();
    const zero = name === 'sign' ? 0 : low;
    expect([...values]).toEqual([...at.map((u) => (u > 0 ? 1 : u < 0 ? low : zero)), Number.NaN]);
  });

  it.each([1, 0.3, 0.05])(
    'smoothed by %d is the maximiser in the conjugate of F',
    async (epsilon) => {
      const smoothed = activation().smoothed!(tf.scalar(epsilon));
      const values = await smoothed.phi(row(at)).data();
      const slopes = await smoothed.slope(row(at), row(at)).data();
      for (const [i, u] of at.entries()) {
        expect(values[i]).toBeCloseTo(conjugate(name, u, epsilon).v, 5);
        if (Math.abs(Math.abs(u) - epsilon) < 1e-3) continue;
        expect(slopes[i]).toBeCloseTo(Math.abs(u) < epsilon ? h / epsilon : 0, 4);
      }
      expect((await smoothed.maxSlope.data())[0]).toBeCloseTo(h / epsilon, 4);
    },
  );

  it.each([0, 1, 0.1])(
    'has B(v, u) = F(v) + F*(u) - u v >= 0, 0 at phi(u); smoothed by %d',
    async (epsilon) => {
      const { phi, divergence } =
        epsilon > 0 ? activation().smoothed!(tf.scalar(epsilon)) : activation();
      const vs = Array.from({ length: 9 }, (_, i) => low + ((1 - low) * i) / 8);
      const pairs = at.flatMap((u) => vs.map((v) => ({ u, v })));
      const u = row(pairs.map((pair) => pair.u));
      const values = await divergence!(row(pairs.map((pair) => pair.v)), u).data();
      for (const [i, pair] of pairs.entries()) {
        const F = (epsilon * (pair.v - m) ** 2) / (2 * h);
        const expected = F + conjugate(name, pair.u, epsilon).value - pair.u * pair.v;
        expect(values[i]).toBeGreaterThanOrEqual(0);
        expect(values[i]).toBeCloseTo(expected, 5);
      }
      expect(Math.max(...(await divergence!(phi(u), u).data()))).toBeLessThan(1e-7);
      if (epsilon > 0) return;
      const { float64, conjugate: tensor } = activation();
      const stars = await tensor(row(at)).data();
      for (const [i, value] of at.entries()) {
        expect(stars[i]).toBeCloseTo(conjugate(name, value, 0).value, 6);
        expect(float64.conjugate(value)).toBeCloseTo(conjugate(name, value, 0).value, 12);
      }
    },
  );

  it('has signals in closed form, which need no slope, and a straight-through estimator', async () => {
    const random = new Random(3, name);
    const layers = denseLayers([5, 40, 3]);
    const network = buildNetwork({ layers, activations: [name] });
    const parameters = network.maps.map(({ weightShape: [p, q] }) => ({
      weights: matrix(normal(random, p, q)),
      bias: tf.tensor1d(normal(random, 1, q)[0]),
    }));
    const forward = forwardLayers(network, parameters, matrix(normal(random, 9, 5)));
    const g = matrix(normal(random, 9, 3));
    const c = 0.7;
    const u = await forward.preActivations[0].data();
    const back = await tf.matMul(g, parameters[1].weights, false, true).data();
    const signals = (signal: SignalRule) =>
      learningSignals(network, parameters, forward, g, signal).gradients[0].data();
    const one = await signals({ rule: 'one-sided', targetStep: c });
    const two = await signals({ rule: 'two-sided', targetStep: c });
    const straight = await signals({ rule: 'back-propagation' });
    // Smoothed, phi(U) is that of epsilon, not the activation of the forward pass.
    const smooth = smoothedNetwork(network, [tf.scalar(0.4)]);
    const rule = { rule: 'one-sided', targetStep: c } as const;
    const soft = await learningSignals(smooth, parameters, forward, g, rule).gradients[0].data();
    const clip = (at: number) => Math.min(1, Math.max(low, m + (h * at) / 0.4));
    for (const [i, value] of u.entries()) {
      expect(soft[i]).toBeCloseTo(clip(value) - clip(value - c * back[i]), 4);
    }
    let crossed = 0;
    for (const [i, value] of u.entries()) {
      const r = c * back[i];
      const direction = h * Math.sign(r);
      // U - r or U + r lies on the other side of the jump.
      const crosses = Math.abs(value) < Math.abs(r);
      crossed += crosses ? 1 : 0;
      expect(two[i]).toBe(crosses ? direction : 0);
      expect(one[i]).toBe(crosses && value * r > 0 ? 2 * direction : 0);
      expect(straight[i]).toBeCloseTo(Math.abs(value) < 1 ? h * back[i] : 0, 5);
    }
    expect(crossed).toBeGreaterThan(50);
  });
});

it('the smoothing falls geometrically from the first step to the last', () => {
  const falling = { from: 2, to: 0.02 };
  const values = [0, 50, 100].map((t) => smoothingAt(falling, t, 101)[0]);
  expect(values[0]).toBe(2);
  expect(values[1]).toBeCloseTo(0.2, 12);
  expect(values[2]).toBeCloseTo(0.02, 12);
  expect(smoothingAt(falling, 0, 1)).toEqual([2]);
  expect(smoothingAt('none', 5, 10)).toEqual([]);
});

describe('training', () => {
  const setting: Setting = {
    layers: dense(60),
    activation: 'sign',
    loss: 'cross-entropy',
    batchSize: 60,
    steps: 20,
  };
  const network = buildNetwork(shapeOf(setting));

  const started = async (name: string, fields: Readonly<Record<string, unknown>>) => {
    const definition = methods.find((entry) => entry.name === name)!;
    const config = defaultConfig(definition, setting, { weightAverage: 0, ...fields });
    return startTraining(await definition.load(), config, setting);
  };

  it.each([
    ['fenchel', { nudge: 'two-sided', targetStep: 5, rmsChange: 0.1, smoothing: 'none' }],
    ['fenchel', { nudge: 'one-sided', smoothing: { from: 1, to: 0.3 } }],
    ['foof', { rmsChange: 0.1 }],
    ['adam', { learningRate: 0.01 }],
  ] as const)('%s %j fits digits with a network of signs', async (name, fields) => {
    const training = await started(name, fields);
    await runSteps(training, setting);
    const { x, y, dispose } = wholeSplit();
    const right = tf.tidy(() =>
      tf.mean(tf.equal(tf.argMax(predict(network, training.parameters(), x), 1), tf.argMax(y, 1))),
    );
    const [accuracy] = await right.data();
    tf.dispose(right);
    dispose();
    training.dispose();
    expect(accuracy).toBeGreaterThan(0.75);
  });

  it('smooths the signals of a step alone: loss and covariances are those of signs', async () => {
    const batch = batchAt(0, 60);
    const steps = [];
    for (const smoothing of ['none', { from: 0.5, to: 0.1 }] as const) {
      const fields = { nudge: 'two-sided', targetStep: 2, momentum: 0, smoothing };
      const training = await started('fenchel', fields);
      const own = tf.tidy(() =>
        lossValue('cross-entropy', batch.y, predict(network, training.parameters(), batch.x)),
      );
      const [expected] = await own.data();
      tf.dispose(own);
      const { loss } = await training.step(batch);
      const weights = await Promise.all(training.parameters().map((layer) => layer.weights.data()));
      training.dispose();
      expect(loss).toBeCloseTo(expected, 5);
      steps.push({ loss, weights });
    }
    batch.dispose();
    const [plain, smoothed] = steps;
    expect(smoothed.loss).toBe(plain.loss);
    expect(smoothed.weights[1]).toEqual(plain.weights[1]);
    expect(smoothed.weights[0]).not.toEqual(plain.weights[0]);
  });
});
