import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../src/config/load.js';
import { RunError } from '../../src/errors.js';
import { checkFinite, checkGrowth } from '../../src/experiment/finite.js';
import { tinyConfig } from './tiny.js';

function methodOf(entry: string) {
  const text = tinyConfig.replace(/methods:.*/s, `methods: [${entry}]`);
  return parseExperiment(text, 'tiny.yaml').experiment.methods[0];
}

const place = { run: { label: 'sgd', seed: 2 }, batch: 7, epoch: 1 };
const messageOf = (work: () => void): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof RunError) return error.message;
    throw error;
  }
  return 'accepted';
};

describe('numbers that diverge', () => {
  it('name the run, the batch and the field that the config changed', () => {
    const method = methodOf('{ name: sgd, learningRate: 300 }');
    expect(messageOf(() => checkFinite({ 'test loss': Number.NaN }, place, method))).toBe(
      'sgd, seed 2: the test loss became not a number at batch 7 (epoch 1). The numbers diverged, ' +
        'most likely because the steps are too long; try a smaller learningRate (now 300)',
    );
  });

  it('are found while they still fit the type', () => {
    const method = methodOf('{ name: sgd, learningRate: 300 }');
    expect(messageOf(() => checkGrowth(2.3, 5.9e21, place, method))).toContain(
      'the training loss grew from 2.30 to 5.90e+21 at batch 7',
    );
    // A rough start is no divergence, and neither is a tiny first loss.
    expect(messageOf(() => checkGrowth(2.3, 2000, place, method))).toBe('accepted');
    expect(messageOf(() => checkGrowth(1e-9, 3, place, method))).toBe('accepted');
  });

  it.each([
    ['{ name: fenchel, activationStep: 50 }', 'try a smaller activationStep (now 50)'],
    ['{ name: fenchel, solver: exact, gamma: 0.001 }', 'try a larger gamma (now 0.001)'],
    ['{ name: fenchel, solver: exact, gamma: 1e+25 }', 'try a smaller gamma (now 1e+25)'],
    ['{ name: adam }', 'try a smaller learningRate (now 0.001) or more warmup batches (now 0)'],
  ])('of %s: %s', (entry, advice) => {
    const method = methodOf(entry);
    const message = messageOf(() => checkFinite({ objective: Infinity }, place, method));
    expect(message.split('; ')[1]).toBe(advice);
  });
});
