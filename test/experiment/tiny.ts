import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Experiment } from '../../src/config/experiment.js';
import { parseExperiment } from '../../src/config/load.js';

export { untimed } from '../../scripts/robustness/inspect.js';

/** An experiment of a second or two: 2 methods, 8 batches. */
export const tinyConfig = `
name: tiny
dataset: { name: synthetic-digits, limit: 200, testLimit: 100 }
network: { layers: [ { dense: 12, activation: relu }, { dense: 10 } ] }
epochs: 2
batchSize: 50
seeds: [1]
evaluate: { every: 3 }
methods:
  - { name: adam, learningRate: 0.01 }
  - { name: sgd, momentum: 0.9 }
`;

export function tinyExperiment(...overrides: string[]): Experiment {
  return parseExperiment(tinyConfig, 'tiny.yaml', overrides).experiment;
}

/** A folder that is removed when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fln-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
