import { expect } from 'vitest';
import { loadExperiment } from '../../src/config/load.js';
import { runExperiment } from '../../src/experiment/run.js';
import { temporaryFolder } from '../experiment/tiny.js';

/** Overrides for 50 batches, evaluated at their end. */
export const firstBatches = ['dataset.limit=25000', 'evaluate.every=50'];

/**
 * Trains Figure 2's network for an epoch of real digits, seed 1.
 * @param overrides of the config, the number of images among them
 * @param only labels
 * @returns the test accuracy of each method, by its label, and where its results are
 */
export async function trainDigits(
  overrides: readonly string[],
  only: readonly string[],
  dataDir: string | undefined,
): Promise<{ accuracy: Record<string, number>; outDir: string }> {
  const { experiment } = loadExperiment('configs/mnist-mlp.yaml', ['epochs=1', ...overrides]);
  const outDir = temporaryFolder();
  const options = { dataDir, offline: true, outDir, seeds: [1], only };
  const { status, runs } = await runExperiment(experiment, options);
  expect(status).toBe('completed');
  const accuracies = runs.map(({ label, summary }) => [label, summary?.finalTestAccuracy ?? 0]);
  return { accuracy: Object.fromEntries(accuracies), outDir };
}
