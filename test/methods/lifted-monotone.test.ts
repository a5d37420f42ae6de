import { beforeAll, describe, expect, it } from 'vitest';
import { methods } from '../../src/core/methods/registry.js';
import { startTestBackend } from '../backends.js';
import { defaultConfig, dense, runSteps, type Setting, startTraining } from './training.js';

/** The methods that descend one objective, on images, with settings at both ends. */
const settings: [string, readonly number[], Record<string, unknown>][] = [
  ['lau-bcd', [24], {}],
  ['lau-bcd', [24, 16], { gamma: 0.1, rho: 0.1 }],
  ['askari-bcd', [24], {}],
  ['askari-bcd', [24], { lambda: 0.01, rho: 10 }],
  ['zhang-brand', [24], { gamma: 0.1, rho: 0.1 }],
  ['zhang-brand', [24, 16], { gamma: [0.01, 3], rho: 0.01, alpha: 0, relaxation: 1 }],
  ['mac', [24], { rho: 1, damping: 1 }],
  ['mac', [24], { mu: 0.01, rho: 0.1, damping: 1e-3, steps: 5 }],
  ['lpom', [24], { rho: 0.1, headRho: 1 }],
  ['lpom', [24, 16], { mu: [0.01, 1, 30], rho: 0.01, headRho: 0.1, weightSteps: 8 }],
];

describe('the lifted objective never rises', () => {
  beforeAll(startTestBackend);

  it.each(settings)('%s %j %j', async (name, hidden, fields) => {
    const definition = methods.find((entry) => entry.name === name)!;
    const setting: Setting = {
      layers: dense(...hidden),
      activation: 'relu',
      loss: 'mse',
      batchSize: 300,
      steps: 15,
    };
    const method = await definition.load();
    const training = await startTraining(
      method,
      defaultConfig(definition, setting, fields),
      setting,
    );
    const { metrics } = await runSteps(training, setting);
    training.dispose();
    const objectives = metrics.map(({ objective }) => objective!);
    for (let k = 1; k < objectives.length; k++) {
      expect(objectives[k], `iteration ${k + 1}`).toBeLessThanOrEqual(
        objectives[k - 1] * (1 + 1e-5),
      );
    }
    expect(objectives.at(-1)).toBeLessThan(0.9 * objectives[0]);
  });
});
