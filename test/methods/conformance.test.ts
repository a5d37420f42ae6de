import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backend/select.js';
import { RunError } from '../../src/errors.js';
import type { MethodDefinition, StepMetrics } from '../../src/methods/method.js';
import { methods } from '../../src/methods/registry.js';
import { activationNames, lossNames } from '../../src/network/names.js';
import type { LayerShape } from '../../src/network/shape.js';
import {
  batchAt,
  convolutional,
  defaultConfig,
  dense,
  runSteps,
  type Setting,
  shapeOf,
  startTrainer,
  weightsOf,
} from './training.js';

const networks: Readonly<Record<string, readonly LayerShape[]>> = {
  'one hidden layer': dense(24),
  'two hidden layers': dense(24, 16),
  convolutions: convolutional,
};

/** Whether the config loader would let this method train in this setting. */
function trains({ networks: own, check, ...definition }: MethodDefinition, setting: Setting) {
  const shape = shapeOf(setting);
  if (own && !own.include(shape)) return false;
  return (check?.(defaultConfig(definition, setting), shape) ?? []).length === 0;
}

/** What every method must do on every network: a new entry of a registry is tested by being there. */
describe.each(methods.map((definition) => ({ definition, ...definition })))(
  '$name $solver $networks.name',
  ({ definition }) => {
    beforeAll(() => startBackend('wasm'));

    for (const activation of activationNames) {
      for (const loss of lossNames) {
        for (const [network, layers] of Object.entries(networks)) {
          // Saturating activations and shared weights take longer to leave their start.
          const steps = layers === convolutional ? 30 : 15;
          const setting: Setting = { layers, activation, loss, batchSize: 60, steps };
          if (!trains(definition, setting)) continue;

          it(`learns with ${activation}, ${loss}, ${network}; leaks nothing; repeats itself`, async () => {
            const method = await definition.load();
            const fields = definition.schema.shape.tolerance ? { tolerance: 0.01 } : {};
            const config = defaultConfig(definition, setting, fields);
            const baseline = tf.memory().numTensors;

            const trainer = await startTrainer(method, config, setting);
            const { metrics, tensors } = await runSteps(trainer, setting);
            const weights = await weightsOf(trainer);
            trainer.dispose();

            expect(weights.every(Number.isFinite)).toBe(true);
            const losses = metrics.map((step) => step.loss);
            const late = losses.slice(-4).reduce((sum, value) => sum + value, 0) / 4;
            expect(late).toBeLessThan(losses[0]);
            for (const { accuracy, residual, extra } of metrics) {
              expect(accuracy).toBeGreaterThanOrEqual(0);
              expect(accuracy).toBeLessThanOrEqual(1);
              if (residual !== undefined) expect(residual).toBeGreaterThanOrEqual(0);
              expect(Object.keys(extra ?? {})).toEqual(trainer.columns);
            }
            // Averages and metrics may appear in the first step; after that the count stands still.
            expect(new Set(tensors.slice(1)).size).toBe(1);
            expect(tf.memory().numTensors).toBe(baseline);

            const again = await startTrainer(method, config, setting);
            const repeated = await runSteps(again, setting);
            expect(repeated.metrics).toEqual(metrics);
            expect(await weightsOf(again)).toEqual(weights);
            again.dispose();
          });
        }
      }
    }

    it('cannot be fooled by a batch that is not finite, and leaks nothing over it', async () => {
      const settings = Object.values(networks).map(
        (layers): Setting => ({
          layers,
          activation: 'relu',
          loss: 'cross-entropy',
          batchSize: 60,
          steps: 3,
        }),
      );
      const setting = settings.find((candidate) => trains(definition, candidate))!;
      const method = await definition.load();
      const baseline = tf.memory().numTensors;
      const trainer = await startTrainer(method, defaultConfig(definition, setting), setting);
      const batch = batchAt(0, 60);
      const broken = { ...batch, x: tf.mul(batch.x, Number.NaN) as tf.Tensor2D };
      const outcome = await trainer.step(broken).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(RunError);
      else expect((outcome as StepMetrics).loss).toBeNaN();
      broken.x.dispose();
      batch.dispose();
      trainer.dispose();
      expect(tf.memory().numTensors).toBe(baseline);
    });
  },
);
