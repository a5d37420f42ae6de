import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { readLayers } from '../../src/config/layer-shapes.js';
import { builtIn } from '../../src/config/plugins/registry.js';
import { methods } from '../../src/core/methods/registry.js';
import {
  defaultConfig,
  runInTwoSessions,
  runSteps,
  type Setting,
  side,
  startTraining,
  weightsOf,
} from '../../src/testing/setting.js';
import { startTestBackend } from '../backends.js';

beforeAll(startTestBackend);

const data = { name: 'digits', shape: [side, side, 1], classes: 10 } as const;

const layersOf = (layers: Parameters<typeof readLayers>[0]) => {
  const read = readLayers(layers, data, builtIn);
  expect(read.findings).toEqual([]);
  return read.layers;
};

const activation = 'tanh';
const settings: Readonly<Record<string, Setting>> = {
  'every stage': {
    layers: layersOf([
      { whiten: 3, stride: 2, filters: 8, activation },
      { conv: 6, kernel: 3, padding: 'same', maxPool: 2, norm: 'batch', dropout: 0.1, activation },
      {
        residual: [
          { conv: 5, kernel: 3, padding: 'same', norm: 'rms', activation },
          { conv: 8, kernel: 3, padding: 'same', norm: 'batch' },
        ],
        activation,
      },
      { globalPool: 'max' },
      { dense: 10 },
    ]),
    activation,
    loss: 'cross-entropy',
    batchSize: 50,
    steps: 6,
  },
  'residual blocks without norms': {
    layers: layersOf([
      { conv: 6, kernel: 3, stride: 2, padding: 'same', dropout: 0.1, activation },
      { residual: [{ conv: 6, kernel: 3, padding: 'same' }], activation },
      { maxPool: 2 },
      { dense: 10 },
    ]),
    activation,
    loss: 'mse',
    batchSize: 50,
    steps: 6,
  },
};

/** The mini-batch methods that train each setting, and fields with which six steps learn something. */
const fieldsOf: Readonly<Record<string, Record<string, unknown>>> = {
  fenchel: { nudge: 'two-sided', targetStep: 1 },
  sgd: { learningRate: 0.05 },
  adam: { learningRate: 0.01 },
  muon: { learningRate: 0.05, adamLearningRate: 0.01 },
  soap: { learningRate: 0.01 },
  foof: {},
  kfac: {},
};

describe.each(Object.entries(settings))('%s', (_, setting) => {
  const shape = { layers: setting.layers, widths: [], activations: [], loss: setting.loss };
  const trainable = methods.filter(
    ({ name, check, isDefault, solver, fullBatch }) =>
      Object.hasOwn(fieldsOf, name) &&
      !fullBatch &&
      (solver === undefined || isDefault) &&
      !(check?.({}, { ...shape, activations: [activation] }) ?? []).some(
        ({ path }) => path[0] === 'name',
      ),
  );

  it('is trained by all these methods but, where it has norms, kfac', () => {
    const expected = Object.keys(fieldsOf).filter(
      (name) => name !== 'kfac' || !setting.layers.some(({ norm }) => norm),
    );
    expect(trainable.map(({ name }) => name).sort()).toEqual(expected.sort());
  });

  for (const definition of trainable) {
    it(`${definition.name} learns, resumes bit for bit and leaks nothing`, async () => {
      const method = await definition.load();
      const config = defaultConfig(definition, setting, fieldsOf[definition.name]);
      const start = () => startTraining(method, config, setting);
      const before = tf.memory().numTensors;
      const training = await start();
      const first = await weightsOf(training);
      const { metrics, tensors } = await runSteps(training, setting);
      const weights = await weightsOf(training);
      training.dispose();
      expect(weights.every(Number.isFinite)).toBe(true);
      expect(metrics[metrics.length - 1].loss).toBeLessThan(metrics[0].loss);
      expect(new Set(tensors.slice(2)).size).toBe(1);
      if (setting.layers[0].whiten) {
        const frozen = 3 * 3 * 8;
        // An average of equal weights is equal but for rounding.
        for (const [i, value] of first.slice(0, frozen).entries()) {
          expect(weights[i]).toBeCloseTo(value, 5);
        }
        expect(weights.slice(frozen, frozen + 8)).not.toEqual(first.slice(frozen, frozen + 8));
      }
      expect(await runInTwoSessions(start, setting)).toEqual({ metrics, weights });
      expect(tf.memory().numTensors).toBe(before);
    });
  }
});
