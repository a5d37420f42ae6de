import { beforeAll, describe, expect, it } from 'vitest';
import { Evaluator } from '../../src/core/evaluate.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { pixelOrder } from '../../src/core/stream.js';
import { TrainingRun } from '../../src/core/training-run.js';
import { loadDataset } from '../../src/data/load.js';
import { runExperiment } from '../../src/experiment/run.js';
import { readMetrics } from '../../src/runs/metrics.js';
import { startTestBackend } from '../backends.js';
import { experimentText, issuesOf } from '../config/helpers.js';
import { temporaryFolder, tinyExperiment, untimed } from '../experiment/tiny.js';

const stream = 'dataset.stream={ taskSize: 120, permute: pixels }';
const streamed = (...overrides: string[]) => tinyExperiment(stream, 'epochs=3', ...overrides);

/** The batches of a method on the stream, [m, 784] each, and their rows. */
async function batchesOf(name: string, seed = 1) {
  const { dataset: request, network, loss, methods } = streamed();
  const dataset = await loadDataset(request);
  const seen: { x: number[][]; rows: number[] }[] = [];
  const load = async () => ({
    init: () => ({}),
    step: async (...[, , state, { x, indices }]: [never, never, object, never]) => {
      seen.push({ x: await (x as { array(): Promise<number[][]> }).array(), rows: [...indices] });
      return { state, metrics: { loss: 0, accuracy: 0 } };
    },
    parameters: () => [],
  });
  const method = methods.find(({ label }) => label === name)!;
  const run = new TrainingRun({
    method: { ...method, definition: { load } as never },
    network: buildNetwork(network),
    loss,
    dataset,
    seed,
  });
  await run.start();
  // From the end: a batch depends on none before it.
  for (let batch = run.totalBatches; batch > 0; batch--) await run.step(batch);
  return { seen: seen.reverse(), dataset, run };
}

describe('a stream of tasks', () => {
  beforeAll(startTestBackend);

  it('permutes pixels, whose channels stay together, and nothing else', () => {
    const order = pixelOrder([2, 3, 2], 1, 0);
    expect([...order].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    for (let j = 0; j < 12; j += 2) {
      expect(order[j] % 2).toBe(0);
      expect(order[j + 1]).toBe(order[j] + 1);
    }
    const orders = [
      [1, 0],
      [1, 1],
      [2, 0],
    ].map(([seed, task]) => pixelOrder([28, 28, 1], seed, task).join());
    expect(new Set(orders).size).toBe(3);
    expect(pixelOrder([28, 28, 1], 1, 0).join()).toBe(orders[0]);
  });

  it('is a function of seed and task: new images each task, once, the same for every method', async () => {
    const { seen, dataset, run } = await batchesOf('adam');
    expect([run.batchesPerEpoch, run.totalBatches]).toEqual([3, 9]);
    expect(seen.map(({ rows }) => rows.length)).toEqual([50, 50, 20, 50, 50, 20, 50, 50, 20]);
    const [plain] = dataset.levels;
    const tasks = [0, 1, 2].map((task) => {
      const batches = seen.slice(3 * task, 3 * task + 3);
      const order = pixelOrder([28, 28, 1], 1, task);
      for (const { x, rows } of batches) {
        for (const [i, row] of rows.entries()) {
          const image = dataset.train.images.subarray(row * 784, (row + 1) * 784);
          expect(x[i]).toEqual(Array.from(order, (from) => plain[image[from]]));
        }
      }
      return batches.flatMap(({ rows }) => rows);
    });
    for (const rows of tasks) expect(new Set(rows).size).toBe(120);
    expect(new Set(tasks.map((rows) => [...rows].sort().join())).size).toBe(3);
    expect((await batchesOf('sgd')).seen).toEqual(seen);
    expect((await batchesOf('adam', 2)).seen).not.toEqual(seen);
  });

  it('is tested on images permuted as those of the current task', async () => {
    const experiment = streamed();
    const { dataset: request, network: shape, loss, methods } = experiment;
    const dataset = await loadDataset(request);
    const network = buildNetwork(shape);
    const [method] = methods;
    const run = new TrainingRun({ method, network, loss, dataset, seed: 1 });
    const training = await run.start();
    const order = run.pixelOrderOf(1)!;
    const { test, levels, classes } = dataset;
    const moved = test.images.map((_, k) => test.images[k - (k % 784) + order[k % 784]]);
    const scoreOf = async (images: typeof moved, by?: Uint32Array) => {
      const evaluator = new Evaluator({ ...test, images }, { levels, classes }, network, loss);
      const score = await evaluator.evaluate(training.parameters(), network, by);
      evaluator.dispose();
      return score;
    };
    const original = test.images as typeof moved;
    expect(await scoreOf(original, order)).toEqual(await scoreOf(moved));
    expect(await scoreOf(original, order)).not.toEqual(await scoreOf(original));
    training.dispose();
  });

  it('writes the mean accuracy of each task, the same rows after an interruption, and no model', async () => {
    const [whole, directory] = [temporaryFolder(), temporaryFolder()];
    const experiment = streamed('dataset.validation=40');
    const all = { only: ['adam'], checkpointEvery: 1e-9 };
    await runExperiment(experiment, { ...all, outDir: whole });
    const controller = new AbortController();
    const until = { ...all, outDir: directory, signal: controller.signal };
    await runExperiment(experiment, until, (event) => {
      if (event.type === 'batch' && event.batch === 5) controller.abort();
    });
    await runExperiment(experiment, { ...all, outDir: directory, resume: true });
    const path = (folder: string) => `${folder}/adam-s1/metrics.csv`;
    expect(untimed(path(directory))).toBe(untimed(path(whole)));
    const { columns } = readMetrics(path(whole)).metrics;
    const { prequential_accuracy: means, train_accuracy: accuracies } = columns;
    for (let batch = 0; batch < 9; batch++) {
      const ends = batch % 3 === 2;
      expect(Number.isNaN(means[batch])).toBe(!ends);
      if (!ends) continue;
      const own = accuracies.subarray(batch - 2, batch + 1);
      expect(means[batch]).toBeCloseTo(own.reduce((sum, a) => sum + a) / 3, 8);
    }
    expect(() => readMetrics(`${whole}/adam-s1/model.json`)).toThrow(/cannot be read/);
  });
});

describe('dataset.stream', () => {
  const withStream = (text: string, changes: Record<string, string> = {}) =>
    experimentText({ dataset: `{ name: mnist, stream: ${text} }`, ...changes });

  it.each([
    ['{ taskSize: 60001 }', 'dataset.stream.taskSize: is more than the 60000 training images'],
    [
      '{ taskSize: 10 }',
      'batchSize: is more than the 10 images of a task; use at most 10, or full',
    ],
    ['{ permute: labels }', 'dataset.stream.permute: must be "pixels", not "labels"'],
  ])('refuses %s', (text, message) => {
    expect(issuesOf(withStream(text))).toEqual([message]);
  });

  it('is refused with what takes images as they are', () => {
    const changes = { loss: 'mse', methods: '[{ name: lau-bcd, batchSize: full }]' };
    expect(issuesOf(withStream('{ taskSize: 600 }', changes))).toEqual([
      'methods.0.name: lau-bcd takes the same training images in every step, and dataset.stream changes them in every epoch; remove one of the two',
    ]);
    const flips = { evaluate: '{ flips: true }' };
    expect(issuesOf(withStream('{ taskSize: 600 }', flips))).toEqual([
      'evaluate.flips: takes mirror images, and dataset.stream permutes the pixels; remove one of the two',
    ]);
    const lifted = { evaluate: '{ predict: lifted }' };
    expect(issuesOf(withStream('{ taskSize: 600 }', lifted))).toEqual([
      'evaluate.predict: lifted takes images as they are, and dataset.stream permutes the pixels; remove one of the two',
    ]);
  });
});
