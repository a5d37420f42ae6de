import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseExperiment } from '../../src/config/load.js';
import { EnvironmentError } from '../../src/errors.js';
import { refuseBeyondMemory } from '../../src/experiment/memory.js';
import { runExperiment } from '../../src/experiment/run.js';
import { experimentText } from '../config/helpers.js';
import { temporaryFolder, tinyExperiment } from './tiny.js';

const conv = '{ conv: 6, kernel: 5, padding: 2, activation: relu }';
const network = `{ layers: [${conv}, { dense: 10 }] }`;

/** What is said of an experiment on 60,000 images, where tensors have `memory` bytes. */
function refusal(values: Record<string, string>, memory: number | undefined): string | undefined {
  const { experiment } = parseExperiment(experimentText(values), 'memory.yaml');
  const backend = { name: 'wasm', version: '1', detail: '', memory };
  try {
    refuseBeyondMemory(experiment, experiment.methods, 60_000, backend);
    return undefined;
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    return error.message;
  }
}

it('a batch that the backend cannot hold is refused, with one that fits', () => {
  const message = refusal({ network, batchSize: 'full' }, 2e9);
  expect(message).toMatch(
    /^batchSize of \w+: the 5498 units of the network on 60000 images take at least 2\.6 GB in a step, and wasm has 2\.0 GB here\. Use a batchSize of at most 45\d{3}$/,
  );
  const most = Number(/at most (\d+)$/.exec(message ?? '')?.[1]);
  expect(refusal({ network, batchSize: String(most) }, 2e9)).toBeUndefined();
  expect(refusal({ network, batchSize: String(most + 1) }, 2e9)).toBeDefined();
});

it('weights that the backend cannot hold are refused', () => {
  const wide =
    '{ layers: [{ dense: 40000, activation: relu }, { dense: 40000, activation: relu }, { dense: 10 }] }';
  expect(refusal({ network: wide }, 4e9)).toMatch(
    /^network\.layers: the weights take at least 13\.1 GB in training, and wasm has 4\.0 GB here\. Use a smaller network$/,
  );
});

it('a backend that does not know its memory is asked for anything', () => {
  expect(refusal({ network, batchSize: 'full' }, undefined)).toBeUndefined();
});

it('nothing is written by an experiment that is refused', async () => {
  const outDir = join(temporaryFolder(), 'new');
  const layers =
    '[{dense: 30000, activation: relu}, {dense: 30000, activation: relu}, {dense: 10}]';
  const experiment = tinyExperiment('backend=wasm', `network.layers=${layers}`);
  await expect(runExperiment(experiment, { outDir })).rejects.toThrow(EnvironmentError);
  expect(existsSync(outDir)).toBe(false);
});

it('a run whose metrics would not fit into memory again is refused at its start, and the others go on', async () => {
  const outDir = join(temporaryFolder(), 'run');
  const experiment = tinyExperiment('methods.adam.epochs=10000000');
  const { status, runs } = await runExperiment(experiment, { outDir });
  expect(status).toBe('failed');
  const [adam, ...others] = runs;
  expect(adam.error).toMatch(
    /^adam, seed 1: [\d,]+ batches are more than the [\d,]+ that a metrics\.csv of 12 columns can have\. Try fewer epochs/,
  );
  expect(others.length).toBeGreaterThan(0);
  expect(others.filter((run) => run.label !== 'adam').map((run) => run.status)).toContain(
    'COMPLETED',
  );
});
