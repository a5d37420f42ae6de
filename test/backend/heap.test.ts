import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { startBackend } from '../../src/backend/select.js';
import { guardHeap, hasRoom, heapSize } from '../../src/backend/wasm/heap.js';
import { RunError } from '../../src/errors.js';
import { runExperiment } from '../../src/experiment/run.js';
import { temporaryFolder, tinyExperiment } from '../experiment/tiny.js';

it('leaves room for the copy that a kernel may make of the largest tensor', () => {
  expect(hasRoom(1e9, { held: 2e9, largest: 1.2e9 })).toBe(true);
  expect(hasRoom(1e9, { held: 2.2e9, largest: 1.2e9 })).toBe(false);
  expect(hasRoom(2.2e9, { held: 0, largest: 0 })).toBe(false);
});

it('a tensor that 32-bit addresses do not reach is refused, and the backend goes on', async () => {
  await startBackend('wasm');
  const before = tf.memory().numTensors;
  expect(() => tf.fill([heapSize / 4], 1)).toThrow(RunError);
  expect(() => tf.fill([heapSize / 4], 1)).toThrow(
    /memory of 4\.3 GB has no room for 4\.3 GB more beside .* Use a smaller batchSize or network/,
  );
  expect(tf.memory().numTensors).toBe(before);
  expect(tf.tidy(() => tf.sum(tf.fill([1000], 2)).dataSync()[0])).toBe(2000);
});

it('a full heap fails the run that filled it, and trains the others', async () => {
  await startBackend('wasm');
  guardHeap(tf.memory().numBytes + 25e6);
  const experiment = tinyExperiment(
    'backend=wasm',
    'network.layers.0.dense=400',
    'dataset.limit=4000',
    'methods=[{ name: sgd, batchSize: full }, { name: adam, epochs: 1 }]',
  );
  const outDir = temporaryFolder();
  const { status, runs } = await runExperiment(experiment, { outDir });
  expect(status).toBe('failed');
  expect(runs.map((run) => run.status)).toEqual(['FAILED', 'COMPLETED']);
  expect(runs[0].error).toMatch(/memory of [\d.]+ MB has no room for [\d.]+ [kM]B more beside/);
  expect(readFileSync(join(outDir, 'adam-s1/metrics.csv'), 'utf8').split('\n')).toHaveLength(82);
});
