import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Experiment, ResolvedMethod } from '../config/experiment.js';
import { listOfEntries } from '../config/plugins/registry.js';
import type { Dataset } from '../core/dataset.js';
import type { TestNetwork } from '../core/network/at-test.js';
import type { Parameters } from '../core/network/parameters.js';
import { storedArrays, toStored } from '../core/network/weight-layout.js';
import type { PredictionRule } from '../core/prediction.js';
import { sha256Of } from '../data/content.js';
import { writeFileAtomic } from '../files/atomic.js';
import { guardDisk } from '../files/disk.js';
import { encodeArrays, type NamedArray } from '../files/safetensors.js';
import type { Metrics } from './metrics.js';
import { descriptionName, type ModelDescription, modelFormat, weightsName } from './model-file.js';
import { lastBatch, lastValue } from './run-directory.js';
import type { RunId, RunRecord } from './run-json.js';

/** All that a model file says about the training that made it. */
export interface TrainedBy {
  readonly experiment: Experiment;
  readonly method: ResolvedMethod;
  readonly run: RunId;
  readonly dataset: Dataset;
  readonly rule: PredictionRule;
  readonly record: Pick<RunRecord, 'program' | 'backend'>;
  /** The rows of metrics.csv. */
  readonly metrics: Metrics;
}

/**
 * Writes the model of a completed run: first the weights, then their description, each as a whole or not at all.
 * @param folder of the run
 * @throws DiskError, LostLockError
 */
export async function writeModel(
  folder: string,
  parameters: Parameters,
  trained: TrainedBy,
  statistics?: TestNetwork['statistics'],
): Promise<void> {
  const { layers } = trained.experiment.network;
  const arrays: NamedArray[] = [];
  for (const [l, layer] of parameters.entries()) {
    const [own, biases] = (await Promise.all([
      layer.weights.data(),
      layer.bias.data(),
    ])) as Float32Array[];
    const { weight, bias, mean, variance } = storedArrays(layers[l], l);
    const values = toStored(own, layers[l]);
    arrays.push({ ...weight, dtype: 'F32', values }, { ...bias, dtype: 'F32', values: biases });
    const found = statistics?.[l];
    if (!found || !mean || !variance) continue;
    const [means, variances] = await Promise.all([found.mean.data(), found.variance.data()]);
    arrays.push(
      { ...mean, dtype: 'F32', values: means as Float32Array },
      { ...variance, dtype: 'F32', values: variances as Float32Array },
    );
  }
  const bytes = encodeArrays(arrays);
  const parameterCount = parameters.reduce(
    (sum, { weights, bias }) => sum + weights.size + bias.size,
    0,
  );
  const weights = {
    file: weightsName,
    sha256: sha256Of(bytes),
    parameters: parameterCount,
  } as const;
  writeFileAtomic(join(folder, weightsName), bytes);
  const description: ModelDescription = { format: modelFormat, ...describe(trained), weights };
  writeFileAtomic(join(folder, descriptionName), `${readableJson(description)}\n`);
}

/** JSON with lists of plain values on one line. */
const readableJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(/\[\n[^[\]{}]*\]/g, (list) =>
    list
      .replace(/\s*\n\s*/g, ' ')
      .replace('[ ', '[')
      .replace(/ \]$/, ']'),
  );

/** Removes the model of an earlier training of a run. @throws DiskError */
export function removeModel(folder: string): void {
  for (const name of [descriptionName, weightsName]) {
    const path = join(folder, name);
    guardDisk(path, () => rmSync(path, { force: true }));
  }
}

function describe(trained: TrainedBy): Omit<ModelDescription, 'format' | 'weights'> {
  const { experiment, method, run, dataset, rule, record, metrics } = trained;
  const [height, width, channels] = dataset.shape;
  const { lambda } = rule;
  const { solver } = method.config;
  const isRegression = dataset.train.targets !== undefined;
  const { name, version, detail, device } = record.backend;
  const result = (split: 'test' | 'validation') => {
    const loss = lastValue(metrics, `${split}_loss`);
    const accuracy = lastValue(metrics, `${split}_accuracy`);
    if (loss === undefined || (accuracy === undefined && !isRegression)) return {};
    const accuracyFlips = lastValue(metrics, `${split}_accuracy_flips`);
    const measured = {
      loss,
      ...(accuracy !== undefined && { accuracy }),
      ...(accuracyFlips !== undefined && { accuracyFlips }),
    };
    return { [split]: { ...measured, images: dataset[split]?.count } };
  };
  return {
    experiment: experiment.name,
    label: run.label,
    seed: run.seed,
    method: { name: method.config.name, ...(typeof solver === 'string' && { solver }) },
    configHash: experiment.hash,
    program: record.program,
    backend: { name, version, detail, ...(device && { device }) },
    network: { input: [channels, height, width], layers: [...experiment.layers] },
    loss: experiment.loss,
    ...(experiment.plugins.length > 0 && {
      plugins: experiment.plugins.map((plugin) => ({
        file: plugin.file,
        sha256: plugin.sha256,
        defines: listOfEntries(plugin),
      })),
    }),
    preprocessing: {
      name: experiment.dataset.preprocessing,
      mean: dataset.scaling.map(({ mean }) => mean),
      std: dataset.scaling.map(({ std }) => std),
    },
    classes: classNames(dataset),
    ...(isRegression && { isRegression }),
    ...(dataset.columns && { columns: [...dataset.columns] }),
    prediction: lambda === undefined ? { rule: 'feed-forward' } : { rule: 'lifted', lambda },
    dataset: { name: dataset.name, config: experiment.dataset, sha256: { ...dataset.sha256 } },
    results: {
      batches: lastBatch(metrics),
      trainSeconds: lastValue(metrics, 'wall_s'),
      ...result('test'),
      ...result('validation'),
    },
  };
}

/** What the classes are called; their numbers where the data set has no names for them, as the targets of a regression. */
const classNames = ({ classes, classNames }: Pick<Dataset, 'classes' | 'classNames'>) => [
  ...(classNames ?? Array.from({ length: classes }, (_, k) => String(k))),
];
