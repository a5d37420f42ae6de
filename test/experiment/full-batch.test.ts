import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, it } from 'vitest';
import type { ResolvedMethod } from '../../src/config/experiment.js';
import type { Method, MethodContext } from '../../src/core/methods/method.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { loadDataset } from '../../src/data/load.js';
import { Checkpoints } from '../../src/experiment/checkpoint/checkpoints.js';
import { defaultInterval } from '../../src/experiment/checkpoint/schedule.js';
import { train } from '../../src/experiment/train.js';
import { readMetrics } from '../../src/runs/metrics.js';
import { MetricsWriter } from '../../src/runs/metrics-writer.js';
import { startTestBackend } from '../backends.js';
import { temporaryFolder, tinyExperiment } from './tiny.js';

beforeAll(startTestBackend);

it('the loop gives a full-batch method no batches, and counts its iterations', async () => {
  const experiment = tinyExperiment('epochs=2', 'methods.sgd.epochs=5');
  const dataset = await loadDataset(experiment.dataset);
  const calls: unknown[] = [];
  const contexts: MethodContext<unknown>[] = [];
  const method: Method = {
    init: (context) => {
      contexts.push(context);
      return [];
    },
    step: async (_, __, state, batch) => {
      calls.push(batch);
      return { state, metrics: { loss: 1, accuracy: 0.5 } };
    },
    parameters: () => [],
  };
  const sgd = experiment.methods[1];
  const definition = { ...sgd.definition, fullBatch: true, load: async () => method };
  const resolved: ResolvedMethod = { ...sgd, definition, batchSize: 'full' };
  const folder = temporaryFolder();
  const metricsPath = join(folder, 'metrics.csv');
  const tensors = tf.memory().numTensors;
  await train({
    experiment,
    method: resolved,
    run: { label: 'sgd', seed: 1 },
    dataset,
    network: buildNetwork(experiment.network),
    evaluators: {},
    openMetrics: (columns) => MetricsWriter.create(metricsPath, columns),
    openLayers: () => {
      throw new Error('a method that measures no layers opens no layers.csv');
    },
    checkpoints: new Checkpoints(folder),
    checkpointing: {
      interval: defaultInterval,
      keep: false,
      madeBy: { program: 'test', backend: 'test', node: 'test' },
    },
    warmUp: true,
    emit: () => {},
  });
  expect(calls).toEqual(Array(5).fill(undefined));
  expect(contexts.map(({ totalBatches, batchSize }) => [totalBatches, batchSize])).toEqual([
    [5, 200],
  ]);
  const { metrics } = readMetrics(metricsPath);
  expect([...metrics.columns.batch]).toEqual([1, 2, 3, 4, 5]);
  expect([...metrics.columns.epoch]).toEqual([1, 2, 3, 4, 5]);
  expect(tf.memory().numTensors).toBe(tensors);
});
