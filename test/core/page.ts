/** Runs in the page and, for comparison, under Node: the core, the wasm backend and its kernels alone. */
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { installKernels } from '../../src/backend/wasm/kernels/install.js';
import { Evaluator } from '../../src/core/evaluate.js';
import type { NetworkShape } from '../../src/core/methods/method.js';
import { methods } from '../../src/core/methods/registry.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { TrainingRun } from '../../src/core/training-run.js';
import { imageSize, syntheticSplit } from '../../src/data/synthetic/digits.js';

/** A resolved experiment on synthetic digits with one of its methods, as JSON carries it. */
export interface Job {
  readonly network: NetworkShape;
  readonly loss: NetworkShape['loss'];
  readonly dataset: { readonly limit: number; readonly testLimit: number };
  /** Value of each pixel level (`Dataset.levels`): float32 numbers, which JSON keeps exactly. */
  readonly levels: readonly (readonly number[])[];
  readonly config: Readonly<Record<string, unknown>> & { readonly name: string };
  readonly epochs: number;
  readonly batchSize: number | 'full';
  readonly seed: number;
}

export interface Outcome {
  /** Of every batch. */
  readonly losses: readonly number[];
  /** All weights and biases, layer by layer. */
  readonly weights: readonly number[];
  readonly accuracy?: number;
  /** Tensors that are left when all is disposed of. */
  readonly leaked: number;
}

/** @param wasm URL of the folder of the backend's binaries; absent: where the package has them */
export async function startBackend(wasm?: string): Promise<void> {
  if (wasm !== undefined) setWasmPaths(wasm);
  installKernels();
  if (!(await tf.setBackend('wasm'))) throw new Error('the wasm backend does not start');
}

export async function trainJob(job: Job): Promise<Outcome> {
  const before = tf.memory().numTensors;
  const { config, epochs, batchSize, loss, seed } = job;
  const definition = methods.find(
    ({ name, solver }) =>
      name === config.name && (solver === undefined || solver === config.solver),
  );
  if (!definition) throw new Error(`no method ${config.name}`);
  const train = syntheticSplit('train', job.dataset.limit);
  const test = syntheticSplit('test', job.dataset.testLimit);
  const shape = [imageSize, imageSize, 1] as const;
  const levels = job.levels.map((channel) => Float32Array.from(channel));
  const dataset = { train, shape, classes: 10, levels };
  const network = buildNetwork(job.network);
  const method = { definition, config, epochs, batchSize };
  const run = new TrainingRun({ method, network, loss, dataset, seed });
  const training = await run.start();
  const losses = [];
  for (let batch = 1; batch <= run.totalBatches; batch++) {
    losses.push((await run.step(batch)).loss);
  }
  const evaluator = new Evaluator(test, dataset, network, loss);
  const { accuracy } = await evaluator.evaluate(training.parameters());
  const weights = [];
  for (const layer of training.parameters()) {
    weights.push(...(await layer.weights.data()), ...(await layer.bias.data()));
  }
  evaluator.dispose();
  training.dispose();
  return { losses, weights, accuracy, leaked: tf.memory().numTensors - before };
}
