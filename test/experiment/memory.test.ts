import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { startBackend } from '../../src/backend/registry.js';
import { parseExperiment } from '../../src/config/load.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { TrainingRun } from '../../src/core/training-run.js';
import { loadDefinition } from '../../src/data/load.js';
import { EnvironmentError } from '../../src/errors.js';
import { memoryWarning, refuseBeyondMemory, stepMemory } from '../../src/experiment/memory.js';
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

/** The most bytes of tensors during a step, beyond those before it. */
async function peakOf(work: () => Promise<unknown>): Promise<number> {
  const { state } = tf.engine() as unknown as { state: { numBytes: number } };
  let bytes = state.numBytes;
  const before = bytes;
  let peak = bytes;
  Object.defineProperty(state, 'numBytes', {
    configurable: true,
    get: () => bytes,
    set: (value: number) => {
      bytes = value;
      peak = Math.max(peak, value);
    },
  });
  try {
    await work();
  } finally {
    Object.defineProperty(state, 'numBytes', { writable: true, configurable: true, value: bytes });
  }
  return peak - before;
}

it.each(['fenchel', 'adam'])(
  'about the memory of a step is known before it, and a warning where there is less: %s',
  async (name) => {
    const layers =
      '[{conv: 8, kernel: 3, padding: same, maxPool: 2, norm: batch, activation: relu}, ' +
      '{conv: 16, kernel: 3, padding: same, activation: relu}, {averagePool: 7}, {dense: 10}]';
    const experiment = tinyExperiment(`network.layers=${layers}`, `methods=[{name: ${name}}]`);
    const [method] = experiment.methods;
    const needed = stepMemory(experiment, method, 200, 'wasm') as number;
    const backend = await startBackend('wasm');
    const dataset = await loadDefinition(experiment.data, experiment.dataset, {});
    const network = buildNetwork(experiment.network);
    const run = new TrainingRun({ method, network, loss: experiment.loss, dataset, seed: 1 });
    const training = await run.start();
    await run.step(1);
    const taken = await peakOf(() => run.step(2));
    training.dispose();
    expect(needed / taken).toBeGreaterThan(0.8);
    expect(needed / taken).toBeLessThan(2.5);

    const warning = (memory: number) =>
      memoryWarning(experiment, method, 200, { ...backend, memory });
    expect(warning(needed)).toBeUndefined();
    expect(warning(needed - 1)).toMatch(
      new RegExp(
        `^a step of ${name} takes about \\d+\\.\\d MB, and wasm has \\d+\\.\\d MB here\\. `,
      ),
    );
  },
);

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
