import { expect } from 'vitest';
import { loadExperiment } from '../../src/config/load.js';
import { runExperiment } from '../../src/experiment/run.js';
import { temporaryFolder } from '../experiment/tiny.js';

/**
 * Trains Figure 2's network on the first 25,000 real digits: 50 batches of each method, seed 1.
 * @returns the test accuracy of each method, by its label
 */
export async function firstBatches(
  only: readonly string[],
  dataDir: string | undefined,
): Promise<Record<string, number>> {
  const { experiment } = loadExperiment('configs/mnist-mlp.yaml', [
    'dataset.limit=25000',
    'epochs=1',
    'evaluate.every=50',
  ]);
  const outDir = temporaryFolder();
  const result = await runExperiment(experiment, {
    dataDir,
    offline: true,
    outDir,
    seeds: [1],
    only,
  });
  expect(result.status).toBe('completed');
  return Object.fromEntries(
    result.runs.map(({ label, summary }) => [label, summary?.finalTestAccuracy ?? 0]),
  );
}
