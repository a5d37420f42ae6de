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
import type { Samples } from '../data/arrays/samples.js';
import { loadDataset } from '../data/load.js';
import { DataError, UsageError } from '../errors.js';
import { formatNumber } from '../runs/metrics-writer.js';
import { type Model, type ModelDescription, scalingOf } from '../runs/model-file.js';
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
  readonly accuracy: number;
  /** The results of the training on the same images, as in metrics.csv. */
  readonly reported?: { readonly loss: number; readonly accuracy: number };
  /** Whether loss and accuracy are the reported ones to the last digit. */
  readonly agrees?: boolean;
  readonly backend: string;
  /** Why the last digits may differ from the reported ones. */
  readonly otherBackend?: string;
  readonly classes: readonly string[];
  /** Rows of each class (first index) that were classified as each class. */
  readonly confusion: readonly (readonly number[])[];
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
  const load = (request: DatasetRequest) => {
    const key = JSON.stringify(request);
    const dataset = loaded.get(key) ?? loadDataset(request, options);
    loaded.set(key, dataset);
    return dataset;
  };
  const results: ModelEvaluation[] = [];
  for (const model of models) {
    const { folder, description } = model;
    const { label, seed, classes } = description;
    const part = options.file
      ? await evaluateFile(model, options.file)
      : await evaluateSplit(model, await load(requestOf(description, options)), options);
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
  { dataset: other }: EvaluateOptions,
): DatasetRequest {
  const trained = dataset.config as unknown as DatasetRequest;
  if (other === undefined || other === trained.name) return trained;
  return { name: other, preprocessing: 'scale' };
}

type Part = Pick<
  ModelEvaluation,
  'data' | 'split' | 'images' | 'loss' | 'accuracy' | 'reported' | 'agrees' | 'confusion'
>;

async function evaluateSplit(
  model: Model,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Part> {
  const { description } = model;
  const { results, classes } = description;
  const split = options.split ?? (results.test || !results.validation ? 'test' : 'validation');
  const rows = dataset[split];
  if (rows === undefined) {
    throw new UsageError(
      `${dataset.name} has no validation split here: the run was trained without dataset.validation. Use --split test or train`,
    );
  }
  if (rows.targets) {
    throw new UsageError(
      `${dataset.name} is a regression, which has no classes to evaluate; its test_loss is in metrics.csv`,
    );
  }
  const [channels, height, width] = description.network.input;
  if (
    String(dataset.shape) !== String([height, width, channels]) ||
    dataset.classes !== classes.length
  ) {
    const text = (h: number, w: number, c: number, k: number) =>
      `${h}x${w}x${c} images of ${k} classes`;
    throw new DataError(
      `${dataset.name} has ${text(...dataset.shape, dataset.classes)}; the model was trained on ${text(height, width, channels, classes.length)}.`,
    );
  }
  const { network, parameters, rule, dispose } = loadNetwork(model);
  // The preprocessing is the model's own, whatever data it sees.
  const prepared = { ...dataset, levels: pixelLevels(scalingOf(description)) };
  const evaluator = new Evaluator(rows, prepared, network, description.loss, rule);
  try {
    const { loss, accuracy = Number.NaN } = await evaluator.evaluate(parameters);
    const confusion = confusionMatrix(
      rows.labels,
      await evaluator.classes(parameters),
      classes.length,
    );
    const part = { data: dataset.name, split, images: rows.count, loss, accuracy, confusion };
    const reported = split === 'train' ? undefined : results[split];
    const isSame =
      reported?.images === rows.count &&
      JSON.stringify(dataset.sha256) === JSON.stringify(description.dataset.sha256);
    if (!reported || !isSame) return part;
    const agrees = equal(loss, reported.loss) && equal(accuracy, reported.accuracy);
    return { ...part, reported: { loss: reported.loss, accuracy: reported.accuracy }, agrees };
  } finally {
    evaluator.dispose();
    dispose();
  }
}

/** In the digits of metrics.csv. */
const equal = (value: number, reported: number) => Number(formatNumber(value)) === reported;

async function evaluateFile(
  model: Model,
  { path, labels: given }: NonNullable<EvaluateOptions['file']>,
): Promise<Part> {
  const { description } = model;
  const { classes, loss } = description;
  const samples = readInputs(path, given);
  checkInputs(path, samples, description);
  const labels = labelsOf(path, samples, classes);
  const predicted = await predictSamples(model, samples);
  const k = classes.length;
  let total = 0;
  let correct = 0;
  for (const [row, label] of labels.entries()) {
    const outputs = predicted.outputs.subarray(row * k, (row + 1) * k);
    total +=
      loss === 'mse'
        ? outputs.reduce((sum, u, c) => sum + (u - Number(c === label)) ** 2, 0)
        : -Math.log(probabilities(outputs)[label]);
    if (predicted.classes[row] === label) correct++;
  }
  return {
    data: path,
    images: samples.count,
    loss: total / samples.count,
    accuracy: correct / samples.count,
    confusion: confusionMatrix(labels, predicted.classes, k),
  };
}

/** The labels as class indices: names of classes, or their numbers. @throws DataError */
function labelsOf(path: string, { y, rowName }: Samples, classes: readonly string[]): Int32Array {
  if (y === undefined) {
    throw new DataError(
      `${path} has no labels: give their file, or the name of their column. "fln predict" needs none.`,
    );
  }
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
