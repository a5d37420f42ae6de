import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  drawNoise,
  hardwareOf,
  ideal,
  noiseTape,
  roundSymmetric,
  roundToRange,
} from '../../src/core/methods/hardware.js';
import { methods } from '../../src/core/methods/registry.js';
import { learningSignals, type SignalRule } from '../../src/core/methods/signals.js';
import { buildNetwork, forwardLayers } from '../../src/core/network/network.js';
import { denseLayers } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import {
  batchAt,
  convolutional,
  defaultConfig,
  dense,
  runInTwoSessions,
  runSteps,
  type Setting,
  startTraining,
  weightsOf,
} from '../../src/testing/setting.js';
import { startTestBackend } from '../backends.js';
import { matrix, normal } from '../solvers/tensors.js';

beforeAll(startTestBackend);

const none = { signal: 0, read: 0, activation: 0 };
const random = new Random(3, 'hardware');
const stream = (name: string) => new Random(1, name);

/** A network of one hidden layer, and the hardware of its passes, each with draws of its own. */
function simulated(noise: Partial<typeof none>, batchSize = 300, width = 90) {
  const network = buildNetwork({ layers: denseLayers([20, width, 3]), activations: ['relu'] });
  const context = { config: { noise: { ...none, ...noise } }, network, batchSize, stream };
  const tape = noiseTape(context);
  const hardware = (pass: string) => hardwareOf(context.config, drawNoise(context, tape, pass));
  return { network, tape, hardware };
}

const values = (tensor: tf.Tensor) => tensor.data() as Promise<Float32Array>;

function moments(noise: Float32Array, other = noise) {
  const mean = noise.reduce((sum, v) => sum + v, 0) / noise.length;
  const product = noise.reduce((sum, v, i) => sum + v * other[i], 0) / noise.length;
  return { mean, product };
}

describe('noise', () => {
  it('has mean 0 and sigma times the RMS, and is independent in every use, pass and row', async () => {
    const { hardware } = simulated({ read: 0.2, signal: 0.5 });
    const x = matrix(normal(random, 300, 90, 3));
    const size = Math.sqrt(moments(await values(x)).product);
    const [first, second] = [hardware('forward/1'), hardware('forward/2')];
    const draws = await Promise.all(
      [...first.read(x, x), ...second.read(x), second.signal(x)].map((y) => values(tf.sub(y, x))),
    );
    const sigmas = [0.2, 0.2, 0.2, 0.5];
    const units = draws.map((draw, i) => draw.map((v) => v / (sigmas[i] * size)));
    // 27,000 numbers: the standard deviation is 0.006 of a mean and of a correlation, 0.009 of a variance.
    for (const [i, a] of units.entries()) {
      expect(Math.abs(moments(a).mean)).toBeLessThan(0.03);
      expect(Math.abs(moments(a).product - 1)).toBeLessThan(0.045);
      for (const b of units.slice(i + 1))
        expect(Math.abs(moments(a, b).product)).toBeLessThan(0.03);
      expect(Math.abs(moments(a.slice(90), a).product)).toBeLessThan(0.03);
    }
    // The same pass again, in another session.
    expect(await values(simulated({ read: 0.2 }).hardware('forward/1').read(x)[0])).toEqual(
      await values(tf.add(x, tf.tensor2d(draws[0], [300, 90]))),
    );
    expect(first.activation(x)).toBe(x);
  });

  it('of tensors larger than the tape repeats it, and takes at most 14 MB', async () => {
    const { tape, hardware } = simulated({ activation: 1 }, 1, 7_000_000);
    expect(tape!.size * 4).toBeLessThan(14e6);
    const noise = await values(hardware('step/1').activation(tf.ones([1, 3_500_000])));
    const longest = 49152 * 64;
    expect(noise.slice(longest, longest + 500)).toEqual(noise.slice(0, 500));
    expect(new Set(noise.slice(0, 5000)).size).toBeGreaterThan(4900);
  });

  it('of 10 % on reads drowns the difference of small steps, not of large ones', async () => {
    const { network, hardware } = simulated({ read: 0.1 });
    const parameters = network.maps.map(({ weightShape: [p, q] }) => ({
      weights: matrix(normal(random, p, q, 1 / Math.sqrt(p))),
      bias: tf.zeros([q]) as tf.Tensor1D,
    }));
    const forward = forwardLayers(network, parameters, matrix(normal(random, 300, 20)));
    const g = matrix(normal(random, 300, 3));
    const cosine = async (signal: SignalRule) => {
      const of = (device: typeof ideal) =>
        learningSignals(network, parameters, forward, g, signal, device).gradients[0];
      const [a, b] = [of(hardware('step/1')), of(ideal)];
      return (await tf.div(tf.sum(tf.mul(a, b)), tf.mul(tf.norm(a), tf.norm(b))).data())[0];
    };
    expect(await cosine({ rule: 'one-sided', targetStep: 0.05 })).toBeLessThan(0.3);
    expect(await cosine({ rule: 'two-sided', targetStep: 5 })).toBeGreaterThan(0.95);
    expect(await cosine({ rule: 'back-propagation' })).toBeGreaterThan(0.85);
  });
});

describe('quantization', () => {
  const tensors = [normal(random, 5, 7), [[0.3, 0.3]], [[0, 0]], [[-2, 0, 0.7, 0.7]]];

  it.each([1, 2, 3, 8, 16])('to %i bits rounds as a scalar reference does', async (bits) => {
    for (const rows of tensors) {
      const flat = rows.flat();
      const low = Math.min(...flat);
      const step = (Math.max(...flat) - low) / (2 ** bits - 1);
      const ranged = await values(roundToRange([matrix(rows)], bits)[0]);
      const sizes = flat.map(Math.abs);
      const largest = Math.max(...sizes) / (2 ** (bits - 1) - 1);
      const mean = sizes.reduce((sum, v) => sum + v, 0) / flat.length;
      const symmetric = await values(roundSymmetric(matrix(rows), bits));
      for (const [i, v] of flat.entries()) {
        const level = step === 0 ? 0 : Math.round((v - low) / step);
        expect(ranged[i]).toBeCloseTo(low + step * level, 5);
        const signal =
          bits === 1
            ? Math.sign(v) * mean
            : largest === 0
              ? 0
              : largest * Math.sign(v) * Math.round(Math.abs(v) / largest);
        expect(symmetric[i]).toBeCloseTo(signal, 5);
      }
      expect(new Set(ranged).size).toBeLessThanOrEqual(2 ** bits);
    }
  });

  it('rounds both values of a difference on one grid', async () => {
    const hardware = hardwareOf({ quantize: { activations: 1 } }, []);
    const [a, b] = hardware.read(matrix([[0, 0.4, 1]]), matrix([[0, 0.6, 3]]));
    expect([...(await values(a)), ...(await values(b))]).toEqual([0, 0, 0, 0, 0, 3]);
  });
});

describe('methods on simulated hardware', () => {
  const noise = { signal: 0.3, read: 0.05, activation: 0.05 };
  const quantize = { activations: 6, signals: 6 };
  const settings: Setting[] = [dense(12), convolutional].map((layers) => ({
    layers,
    activation: 'relu',
    loss: 'cross-entropy',
    batchSize: 60,
    steps: 3,
  }));
  const supporting = methods.filter(({ schema }) => 'noise' in schema.shape);

  it('are all but those that solve sub-problems', () => {
    const others = methods.filter((method) => !supporting.includes(method));
    expect(others.map(({ name, solver }) => solver ?? name)).toEqual([
      'exact',
      'full-batch',
      'taylor-admm',
      'lau-bcd',
      'askari-bcd',
      'zhang-brand',
      'mac',
      'lpom',
    ]);
  });

  const trained = async (
    definition: (typeof methods)[number],
    setting: Setting,
    fields: Record<string, unknown>,
  ) => {
    const training = await startTraining(
      await definition.load(),
      defaultConfig(definition, setting, fields),
      setting,
    );
    const { metrics, tensors } = await runSteps(training, setting);
    const weights = await weightsOf(training);
    training.dispose();
    expect(new Set(tensors.slice(1)).size).toBe(1);
    return { metrics, weights };
  };

  for (const definition of supporting) {
    it(`${definition.name} resumes bit for bit and leaks nothing`, async () => {
      const method = await definition.load();
      // One of each kind on convolutions.
      const isWhole = ['fenchel', 'adam', 'kfac'].includes(definition.name);
      for (const setting of isWhole ? settings : settings.slice(0, 1)) {
        const before = tf.memory().numTensors;
        const fields = { noise, quantize };
        const all = await trained(definition, setting, fields);
        expect(all.weights.every(Number.isFinite)).toBe(true);
        const config = defaultConfig(definition, setting, fields);
        const start = () => startTraining(method, config, setting);
        expect(await runInTwoSessions(start, setting)).toEqual(all);
        expect(tf.memory().numTensors).toBe(before);
      }
    });
  }

  it('measures the signals of the step, which measuring does not change', async () => {
    const definition = supporting.find(({ name }) => name === 'fenchel')!;
    const method = await definition.load();
    const setting = { ...settings[0], steps: 2 };
    const measured = async (fields: Record<string, unknown>) => {
      const training = await startTraining(
        method,
        defaultConfig(definition, setting, fields),
        setting,
      );
      const cosines: number[] = [];
      for (let t = 0; t < setting.steps; t++) {
        const batch = batchAt(t, setting.batchSize);
        const { layers } = await training.step(batch, () => {});
        batch.dispose();
        cosines.push(layers![0].signalCosine!);
      }
      const weights = await weightsOf(training);
      training.dispose();
      return { cosines, weights };
    };
    const loud = { noise: { signal: 1 } };
    const { cosines, weights } = await measured(loud);
    expect(weights).toEqual((await trained(definition, setting, loud)).weights);
    // The noise on g_l is as large as g_l, which is itself that of a noisy signal above.
    for (const cosine of cosines) expect(cosine).toBeLessThan(0.8);
    for (const cosine of (await measured({})).cosines) expect(cosine).toBeGreaterThan(0.95);
  });

  it.each(['fenchel', 'adam'])('%s: every option has an effect, and 0 has none', async (name) => {
    const definition = supporting.find((method) => method.name === name)!;
    const setting = { ...settings[0], steps: 2 };
    const plain = await trained(definition, setting, {});
    expect(await trained(definition, setting, { noise: none, quantize: {} })).toEqual(plain);
    for (const [field, options] of Object.entries({ noise, quantize })) {
      for (const [key, value] of Object.entries(options)) {
        const { weights } = await trained(definition, setting, { [field]: { [key]: value } });
        expect(weights, key).not.toEqual(plain.weights);
      }
    }
  });
});
