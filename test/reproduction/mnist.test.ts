import { expect, it } from 'vitest';
import { loadExperiment } from '../../src/config/load.js';
import { runExperiment } from '../../src/experiment/run.js';
import { temporaryFolder } from '../experiment/tiny.js';

const dataDir = process.env.FLN_DATA_DIR;

/** Figure 2's network on the first 25,000 real digits: 50 batches of each method, seed 1. */
it.skipIf(!dataDir)(
  'Figure 2 in its first 50 batches: Fenchel is past 0.955, ahead of Adam and SGD (needs FLN_DATA_DIR)',
  async () => {
    const { experiment } = loadExperiment('configs/mnist-mlp.yaml', [
      'dataset.limit=25000',
      'epochs=1',
      'evaluate.every=50',
    ]);
    const result = await runExperiment(experiment, {
      dataDir,
      offline: true,
      outDir: temporaryFolder(),
      seeds: [1],
      only: ['fenchel', 'adam', 'adam-tuned', 'sgd'],
    });
    expect(result.status).toBe('completed');
    const accuracy = Object.fromEntries(
      result.runs.map(({ label, summary }) => [label, summary?.finalTestAccuracy ?? 0]),
    );
    expect(accuracy.fenchel).toBeGreaterThan(0.955);
    for (const other of ['adam', 'adam-tuned', 'sgd']) {
      expect(accuracy[other]).toBeGreaterThan(0.8);
      expect(accuracy.fenchel).toBeGreaterThan(accuracy[other]);
    }
  },
);
