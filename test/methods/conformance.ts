import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MethodDefinition, StepMetrics } from '../../src/core/methods/method.js';
import { methods } from '../../src/core/methods/registry.js';
import { accuracyValue, lossValue } from '../../src/core/network/loss.js';
import { activationNames, lossNames } from '../../src/core/network/names.js';
import { buildNetwork, predict } from '../../src/core/network/network.js';
import type { LayerShape } from '../../src/core/network/shape.js';
import type { Training } from '../../src/core/training.js';
import { RunError } from '../../src/errors.js';
import { startTestBackend } from '../backends.js';
import {
  batchAt,
  convolutional,
  defaultConfig,
  dense,
  learningSteps,
  rows,
  runInTwoSessions,
  runSteps,
  type Setting,
  shapeOf,
  startTraining,
  weightsOf,
  wholeSplit,
} from './training.js';

const networks: Readonly<Record<string, readonly LayerShape[]>> = {
  'one hidden layer': dense(24),
  'two hidden layers': dense(24, 16),
  convolutions: convolutional,
};

/** Whether the config loader would let this method train in this setting. */
function trains({ check, ...definition }: MethodDefinition, setting: Setting) {
  const shape = shapeOf(setting);
  return (check?.(defaultConfig(definition, setting), shape) ?? []).length === 0;
}

/** A setting that this method trains in. */
function someSetting(definition: MethodDefinition, steps: number): Setting {
  const settings = Object.values(networks).flatMap((layers) =>
    lossNames.map((loss): Setting => ({ layers, activation: 'relu', loss, batchSize: 60, steps })),
  );
  return settings.find((candidate) => trains(definition, candidate))!;
}

/** What the first step says, or throws; the training is gone afterwards. */
async function firstStep(start: () => Promise<Training>, batchRows = rows): Promise<unknown> {
  let training: Training | undefined;
  const { y, indices, dispose } = batchAt(0, 60);
  const batchX = batchRows(indices);
  try {
    training = await start();
    return await training.step({ x: batchX, y, indices });
  } catch (error) {
    return error;
  } finally {
    training?.dispose();
    batchX.dispose();
    dispose();
  }
}

/** The settings that a method trains. */
function settingsOf(definition: MethodDefinition): Setting[] {
  return Object.values(networks)
    .flatMap((layers) =>
      activationNames.flatMap((activation) =>
        lossNames.map((loss): Setting => {
          const steps = learningSteps(layers, 'tolerance' in definition.schema.shape);
          return { layers, activation, loss, batchSize: 60, steps };
        }),
      ),
    )
    .filter((setting) => trains(definition, setting));
}

/** The first setting of each network, and the last of all. */
function isRepresentative(setting: Setting, settings: readonly Setting[]): boolean {
  const first = settings.find(({ layers }) => layers === setting.layers);
  return setting === first || setting === settings.at(-1);
}

/**
 * What every method must do on every network: a new entry of a registry is tested by being there.
 * @param part a few settings of each method, or all others
 */
export function describeConformance(part: 'representatives' | 'others'): void {
  const entries = methods.map((definition) => {
    const settings = settingsOf(definition).filter(
      (setting, _, all) => isRepresentative(setting, all) === (part === 'representatives'),
    );
    return { definition, settings, ...definition };
  });
  describe.each(entries.filter(({ settings }) => settings.length > 0))(
    '$name $solver',
    ({ definition, settings }) => {
      beforeAll(startTestBackend);

      for (const setting of settings) {
        const { activation, loss } = setting;
        const [network] = Object.entries(networks).find(([, layers]) => layers === setting.layers)!;

        it(`learns with ${activation}, ${loss}, ${network}; leaks nothing; resumes bit for bit`, async () => {
          const method = await definition.load();
          const fields = definition.schema.shape.tolerance ? { tolerance: 0.01 } : {};
          const config = defaultConfig(definition, setting, fields);
          const baseline = tf.memory().numTensors;

          const training = await startTraining(method, config, setting);
          const { metrics, tensors } = await runSteps(training, setting);
          const weights = await weightsOf(training);
          training.dispose();

          expect(weights.every(Number.isFinite)).toBe(true);
          const losses = metrics.map((step) => step.loss);
          const late = losses.slice(-4).reduce((sum, value) => sum + value, 0) / 4;
          expect(late).toBeLessThan(losses[0]);
          for (const { accuracy, residual, extra } of metrics) {
            expect(accuracy).toBeGreaterThanOrEqual(0);
            expect(accuracy).toBeLessThanOrEqual(1);
            if (residual !== undefined) expect(residual).toBeGreaterThanOrEqual(0);
            expect(Object.keys(extra ?? {})).toEqual(training.columns);
          }
          // Averages and metrics may appear in the first step; after that the count stands still.
          expect(new Set(tensors.slice(1)).size).toBe(1);
          expect(tf.memory().numTensors).toBe(baseline);

          const start = () => startTraining(method, config, setting);
          expect(await runInTwoSessions(start, setting)).toEqual({ metrics, weights });
          expect(tf.memory().numTensors).toBe(baseline);
        });
      }

      if (part === 'others') return;

      it('resumes bit for bit with all averages on, and as full-batch Fenchel in the variant plain', async () => {
        const setting = someSetting(definition, 8);
        const method = await definition.load();
        const averaging = {
          momentum: 0.5,
          weightAverage: 0.9,
          covarianceInterval: 3,
          variant: 'plain',
        };
        const own = Object.entries(averaging).filter(([field]) => field in definition.schema.shape);
        const config = defaultConfig(definition, setting, Object.fromEntries(own));
        const start = () => startTraining(method, config, setting);
        const training = await start();
        const { metrics } = await runSteps(training, setting);
        const weights = await weightsOf(training);
        training.dispose();
        expect(await runInTwoSessions(start, setting)).toEqual({ metrics, weights });
      });

      it('changes no number and leaks nothing when its layers are measured', async () => {
        const setting = someSetting(definition, 3);
        const method = await definition.load();
        const config = defaultConfig(definition, setting);
        const run = async (stepped?: () => void) => {
          const training = await startTraining(method, config, setting);
          const steps = [];
          const tensors = [];
          for (let t = 0; t < setting.steps; t++) {
            const batch = batchAt(t, setting.batchSize);
            steps.push(await training.step(batch, stepped));
            batch.dispose();
            tensors.push(tf.memory().numTensors);
          }
          const weights = await weightsOf(training);
          training.dispose();
          return { steps, tensors, weights };
        };
        const baseline = tf.memory().numTensors;
        const plain = await run();
        let times = 0;
        const measured = await run(() => times++);
        expect(times).toBe(setting.steps);
        expect(measured.weights).toEqual(plain.weights);
        expect(measured.tensors).toEqual(plain.tensors);
        expect(tf.memory().numTensors).toBe(baseline);
        for (const [t, { layers, objective, ...step }] of measured.steps.entries()) {
          const { objective: _, layers: none, ...rest } = plain.steps[t];
          expect(step).toEqual(rest);
          expect(none).toBeUndefined();
          expect(layers === undefined).toBe(['adam', 'sgd'].includes(definition.name));
        }
        const { layers } = measured.steps[2];
        if (layers === undefined) return;
        expect(layers).toHaveLength(setting.layers.length);
        for (const [l, layer] of layers.entries()) {
          expect(layer.weightChange).toBeGreaterThan(0);
          const isHidden = l < setting.layers.length - 1;
          if (isHidden) {
            expect(layer.penalty).toBeGreaterThan(0);
            expect(layer.constraintViolation).toBeGreaterThan(0);
            expect(layer.activationChange).toBeGreaterThan(0);
            expect(layer.targetChange).toBeGreaterThan(0);
            expect(layer.activeShare).toBeLessThanOrEqual(1);
          }
        }
      });

      it('reports the loss and accuracy of the raw weights before each step', async () => {
        const setting = someSetting(definition, 6);
        const method = await definition.load();
        const variants = definition.schema.shape.variant ? ['accelerated', 'plain'] : [undefined];
        for (const variant of variants) {
          // What is tested with are the weights themselves; what extrapolates them is on.
          const own = { variant, momentum: 0.9, weightAverage: 0, labelSmoothing: 0.1 };
          const fields = Object.entries(own).filter(
            ([field, value]) => value !== undefined && field in definition.schema.shape,
          );
          const config = defaultConfig(definition, setting, Object.fromEntries(fields));
          const training = await startTraining(method, config, setting);
          const network = buildNetwork(shapeOf(setting));
          for (let t = 0; t < setting.steps; t++) {
            const batch = definition.fullBatch ? wholeSplit() : batchAt(t, setting.batchSize);
            const before = tf.tidy(() => {
              const outputs = predict(network, training.parameters(), batch.x);
              return tf.stack([
                lossValue(setting.loss, batch.y, outputs),
                accuracyValue(batch.y, outputs),
              ]);
            });
            const [loss, accuracy] = await before.data();
            before.dispose();
            const step = await training.step(batch);
            batch.dispose();
            expect(step.loss / loss, `loss of step ${t + 1}, ${variant}`).toBeCloseTo(1, 3);
            expect(step.accuracy, `accuracy of step ${t + 1}, ${variant}`).toBeCloseTo(accuracy, 2);
          }
          training.dispose();
        }
      });

      it('cannot be fooled by images that are not finite, and leaks nothing over them', async () => {
        const setting = someSetting(definition, 3);
        const method = await definition.load();
        const baseline = tf.memory().numTensors;
        const config = defaultConfig(definition, setting);
        const broken = (indices: ArrayLike<number>) =>
          tf.tidy(() => tf.mul(rows(indices), Number.NaN)) as tf.Tensor2D;
        const outcome = definition.fullBatch
          ? await firstStep(() => startTraining(method, config, setting, broken))
          : await firstStep(() => startTraining(method, config, setting), broken);
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(RunError);
        else {
          const { loss, residual } = outcome as StepMetrics;
          expect(loss).toBeNaN();
          if (residual !== undefined) expect(residual).toBeNaN();
        }
        expect(tf.memory().numTensors).toBe(baseline);
      });
    },
  );
}
