import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { BackendReport, Device } from '../backend/backend.js';
import { startBackend } from '../backend/registry.js';
import {
  type Dataset,
  type DatasetRequest,
  type LoadOptions,
  pixelLevels,
  type SplitName,
} from '../core/dataset.js';
import { Evaluator } from '../core/evaluate.js';
import { losses } from '../core/network/loss.js';
import { type LossName, lossNames } from '../core/network/names.js';
import { arraysName, movedTo, SplitError } from '../data/arrays/definition.js';
import type { Samples } from '../data/arrays/numeric.js';
import { loadDataset } from '../data/load.js';
import { pluginDatasets } from '../data/registry.js';
import { DataError, UsageError } from '../errors.js';
import { formatNumber } from '../runs/metrics-writer.js';
import {
  descriptionName,
  type Model,
  type ModelDescription,
  refusePluginEntry,
  scalingOf,
} from '../runs/model-file.js';
import { plural } from '../shared/text.js';
import { checkInputs, loadNetwork, predictSamples, probabilities, readInputs } from './predict.js';

export interface EvaluateOptions
  extends Pick<LoadOptions, 'dataDir' | 'cacheDir' | 'offline' | 'onProgress' | 'onWarning'> {
  /** The backend of the training when absent. */
  readonly backend?: string;
  readonly device?: Device;
  /** A data set of the program, instead of the one of the training. */
  readonly dataset?: string;
  /** The one whose results were reported when absent: test, or validation. */
  readonly split?: SplitName;
  /** Measure the accuracy with mirror images too; when absent, where the training did. */
  readonly flips?: boolean;
  /** Data of the user's own, instead of a data set. */
  readonly file?: { readonly path: string; readonly labels?: string };
}

export interface ModelEvaluation {
  readonly folder: string;
  readonly label: string;
  readonly seed: number;
  /** Name of the data set, or path of the file. */
  readonly data: string;
  readonly split?: SplitName;
  readonly images: number;
  readonly loss: number;
  /** Absent in a regression. */
  readonly accuracy?: number;
  /** By the mean of the outputs for an image and its mirror image, where it was asked for or reported. */
  readonly accuracyFlips?: number;
  /** The results of the training on the same images, as in metrics.csv. */
  readonly reported?: {
    readonly loss: number;
    readonly accuracy?: number;
    readonly accuracyFlips?: number;
  };
  /** Whether loss and accuracies are the reported ones to the last digit. */
  readonly agrees?: boolean;
  readonly backend: string;
  /** Why the last digits may differ from the reported ones. */
  readonly otherBackend?: string;
  /** Files of the data set whose SHA-256 is not that of the training. */
  readonly changed?: readonly string[];
  readonly classes: readonly string[];
  /** Rows of each class (first index) that were classified as each class; absent in a regression. */
  readonly confusion?: readonly (readonly number[])[];
}

/**
 * Evaluates trained models, on the images on which their results were reported or on others.
 * @throws UsageError, EnvironmentError, DataError
 */
export async function evaluateModels(
  models: readonly Model[],
  options: EvaluateOptions = {},
): Promise<ModelEvaluation[]> {
  const backend = await start(models[0].description, options);
  const loaded = new Map<string, Promise<Dataset>>();
  const load = (description: ModelDescription) => {
    const request = requestOf(description, options);
    const key = JSON.stringify(request);
    const dataset = loaded.get(key) ?? loadTrained(request, description, options);
    loaded.set(key, dataset);
    return dataset;
  };
  const results: ModelEvaluation[] = [];
  for (const model of models) {
    const { folder, description } = model;
    const { label, seed, classes } = description;
    const request = requestOf(description, options);
    if (options.flips) refuseFlips(description);
    if (!options.file && !pluginDatasets.has(request.name)) {
      refusePluginEntry(description, join(folder, descriptionName), 'dataset', request.name);
    }
    const part = options.file
      ? await evaluateFile(model, options.file, options.flips)
      : await evaluateSplit(model, await load(description), options);
    const name = `${backend.name} ${backend.version}`;
    const trained = `${description.backend.name} ${description.backend.version}`;
    const same = name === trained && backend.device === description.backend.device;
    results.push({
      ...{ folder, label, seed, classes, backend: name },
      ...part,
      ...(part.reported && !same && { otherBackend: `the run was trained on ${trained}` }),
    });
  }
  return results;
}

/** @throws UsageError where the model has no accuracy, no images, or does not classify by its outputs */
function refuseFlips({ isRegression, network, prediction }: ModelDescription): void {
  const [, height, width] = network.input;
  const reason = isRegression
    ? 'a regression has no accuracy'
    : height === 1 && width === 1
      ? 'the model was trained on rows of features, which have no mirror images'
      : prediction.rule === 'lifted'
        ? 'the model classifies by lifted prediction, not by the outputs of the forward pass'
        : undefined;
  if (reason !== undefined) throw new UsageError(`--flips: ${reason}`);
}

/** Results are repeated to the last digit only on the backend that computed them. */
async function start(
  { backend }: ModelDescription,
  options: EvaluateOptions,
): Promise<BackendReport> {
  if (options.backend !== undefined) return startBackend(options.backend, options.device);
  try {
    return await startBackend(backend.name, options.device ?? backend.device);
  } catch (error) {
    if (options.device !== undefined) throw error;
    throw new UsageError(
      `the run was trained on the backend "${backend.name}", which does not start here: ${(error as Error).message}. ` +
        'Or name another one, on which the last digits may differ: --backend auto',
      { cause: error },
    );
  }
}

function requestOf(
  { dataset }: ModelDescription,
  { dataset: other, dataDir }: EvaluateOptions,
): DatasetRequest {
  const trained = dataset.config as unknown as DatasetRequest;
  if (other !== undefined && other !== trained.name) return { name: other, preprocessing: 'scale' };
  return dataDir === undefined || trained.name !== arraysName ? trained : movedTo(dataDir, trained);
}

/** @throws DataError where own data cannot be read, with the ways out */
async function loadTrained(
  request: DatasetRequest,
  { loss }: ModelDescription,
  options: EvaluateOptions,
): Promise<Dataset> {
  if (request.name === arraysName && request.train === undefined) {
    throw new UsageError(
      'the run was trained on arrays in the memory of a program, which are not stored: evaluate a file, as in "fln evaluate RUN FILE"',
    );
  }
  try {
    return await loadDataset(request, options, loss as LossName);
  } catch (error) {
    if (!(error instanceof SplitError)) throw error;
    throw new DataError(
      `The data of the run cannot be used: ${error.message} --data-dir DIR names the folder that it was moved to; ` +
        '"fln evaluate RUN FILE" evaluates another file.',
      { cause: error },
    );
  }
}

type Part = Pick<
  ModelEvaluation,
  | 'data'
  | 'split'
  | 'images'
  | 'loss'
  | 'accuracy'
  | 'accuracyFlips'
  | 'reported'
  | 'agrees'
  | 'changed'
  | 'confusion'
>;

async function evaluateSplit(
  model: Model,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Part> {
  const { description } = model;
  const { results, classes, isRegression } = description;
  const split = options.split ?? (results.test || !results.validation ? 'test' : 'validation');
  const rows = dataset[split];
  if (rows === undefined) {
    throw new UsageError(
      `${dataset.name} has no validation split here: the run was trained without dataset.validation. Use --split test or train`,
    );
  }
  refuseOtherKind(dataset, description);
  const { network, parameters, rule, dispose } = loadNetwork(model);
  // The preprocessing is the model's own, whatever data it sees.
  const prepared = { ...dataset, levels: pixelLevels(scalingOf(description)) };
  const reported = split === 'train' ? undefined : results[split];
  const flips = options.flips || reported?.accuracyFlips !== undefined ? dataset.shape : undefined;
  const evaluator = new Evaluator(rows, prepared, network, description.loss, rule, flips);
  try {
    const { loss, accuracy, accuracyFlips } = await evaluator.evaluate(parameters);
    const part = {
      ...{ data: dataset.name, split, images: rows.count, loss },
      ...(!isRegression && {
        accuracy,
        ...(flips && { accuracyFlips }),
        confusion: confusionMatrix(
          rows.labels,
          await evaluator.classes(parameters),
          classes.length,
        ),
      }),
    };
    const trained = description.dataset;
    const changed = dataset.name === trained.name ? changedFiles(dataset, trained) : [];
    const isSame = dataset.name === trained.name && changed.length === 0;
    if (changed.length > 0) return { ...part, changed };
    if (!reported || !isSame || reported.images !== rows.count) return part;
    const { images: _, ...values } = reported;
    const agrees =
      equal(loss, reported.loss) &&
      equal(accuracy, reported.accuracy) &&
      (reported.accuracyFlips === undefined || equal(accuracyFlips, reported.accuracyFlips));
    return { ...part, reported: values, agrees };
  } finally {
    evaluator.dispose();
    dispose();
  }
}

/** @throws DataError where a data set has other rows, classes or targets than the model was trained on */
function refuseOtherKind(dataset: Dataset, description: ModelDescription): void {
  const { classes, isRegression = false } = description;
  const [channels, height, width] = description.network.input;
  const text = ([h, w, c]: readonly number[], k: number, numbers: boolean) =>
    `${h}x${w}x${c} ${numbers ? 'rows' : 'images'} of ${plural(k, numbers ? 'target' : 'class')}`;
  const [found, trained] = [
    text(dataset.shape, dataset.classes, dataset.train.targets !== undefined),
    text([height, width, channels], classes.length, isRegression),
  ];
  if (found !== trained) {
    throw new DataError(`${dataset.name} has ${found}; the model was trained on ${trained}.`);
  }
  // The numbers of classes depend on their names in the training split.
  const names = dataset.name === arraysName ? (dataset.classNames ?? classes) : classes;
  const other = names.findIndex((name, k) => name !== classes[k]);
  if (other < 0) return;
  throw new DataError(
    `The training split of ${dataset.name} now has the class "${names[other]}" where the model has "${classes[other]}": evaluate the test files alone, as in "fln evaluate RUN FILE".`,
  );
}

function changedFiles(
  { sha256 }: Dataset,
  { sha256: trained }: ModelDescription['dataset'],
): string[] {
  const names = new Set([...Object.keys(trained), ...Object.keys(sha256)]);
  return [...names].filter((name) => sha256[name] !== trained[name]);
}

/** In the digits of metrics.csv. */
const equal = (value: number | undefined, reported: number | undefined) =>
  value === undefined ? reported === undefined : Number(formatNumber(value)) === reported;

async function evaluateFile(
  model: Model,
  { path, labels: given }: NonNullable<EvaluateOptions['file']>,
  flips = false,
): Promise<Part> {
  const { description } = model;
  const { classes, loss, isRegression } = description;
  const samples = readInputs(path, given, description);
  checkInputs(path, samples, description);
  const k = classes.length;
  const targets = isRegression ? targetsOf(path, samples, k) : undefined;
  const labels = isRegression ? undefined : labelsOf(path, samples, classes);
  const predicted = await predictSamples(model, samples, flips);
  let total = 0;
  let correct = 0;
  let correctFlips = 0;
  const own =
    labels && !isBuiltIn(loss) ? await lossOfRows(loss, labels, predicted.outputs, k) : undefined;
  for (let row = 0; row < samples.count; row++) {
    const outputs = predicted.outputs.subarray(row * k, (row + 1) * k);
    const label = labels?.[row] ?? -1;
    const target = (c: number) => (targets ? targets[row * k + c] : Number(c === label));
    total +=
      own?.[row] ??
      (loss === 'mse'
        ? outputs.reduce((sum, u, c) => sum + (u - target(c)) ** 2, 0)
        : -Math.log(probabilities(outputs)[label]));
    if (predicted.classes[row] === label) correct++;
    const mean = predicted.outputsFlips?.subarray(row * k, (row + 1) * k);
    if (mean?.indexOf(mean.reduce((a, b) => Math.max(a, b))) === label) correctFlips++;
  }
  return {
    data: path,
    images: samples.count,
    loss: total / samples.count,
    ...(labels && {
      accuracy: correct / samples.count,
      ...(flips && { accuracyFlips: correctFlips / samples.count }),
      confusion: confusionMatrix(labels, predicted.classes, k),
    }),
  };
}

const noLabels = (path: string) =>
  new DataError(
    `${path} has no labels: give their file, or the name of their column. "fln predict" needs none.`,
  );

/** The targets of a regression, [rows, width]. @throws DataError */
function targetsOf(path: string, { y }: Samples, width: number): ArrayLike<number> {
  if (y === undefined) throw noLabels(path);
  const found = y.kind === 'names' ? 0 : (y.width ?? 1);
  if (y.kind !== 'names' && found === width) return y.values;
  const text = found === 0 ? 'class names' : `${plural(found, 'target')} a row`;
  throw new DataError(`${path} has ${text}; the model was trained on ${width}.`);
}

const isBuiltIn = (loss: string) => lossNames.some((name) => name === loss);

/** The loss of each row by the definition of a plugin. */
async function lossOfRows(
  loss: string,
  labels: Int32Array,
  outputs: Float32Array,
  classes: number,
): Promise<ArrayLike<number>> {
  const rows = tf.tidy(() => {
    const y = tf.oneHot(tf.tensor1d(labels, 'int32'), classes).toFloat() as tf.Tensor2D;
    return losses[loss].rows(y, tf.tensor2d(outputs, [labels.length, classes]));
  });
  const values = await rows.data();
  rows.dispose();
  return values;
}

/** The labels as class indices: names of classes, or their numbers. @throws DataError */
function labelsOf(path: string, { y, rowName }: Samples, classes: readonly string[]): Int32Array {
  if (y === undefined) throw noLabels(path);
  const isIndex = (value: unknown) =>
    Number.isInteger(value) && Number(value) >= 0 && Number(value) < classes.length;
  return Int32Array.from(y.values as ArrayLike<string | number>, (value, row) => {
    const name = classes.indexOf(String(value));
    if (name >= 0) return name;
    if (isIndex(Number(value)) && y.kind === 'numbers') return Number(value);
    throw new DataError(
      `${path}: the label of ${rowName(row)} is "${value}"; the classes are ${classes.slice(0, 12).join(', ')}${classes.length > 12 ? ', ...' : ''}.`,
    );
  });
}

function confusionMatrix(
  labels: ArrayLike<number>,
  predicted: ArrayLike<number>,
  classes: number,
): number[][] {
  const matrix = Array.from({ length: classes }, () => Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) matrix[labels[i]][predicted[i]]++;
  return matrix;
}
