import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Experiment, ResolvedMethod } from '../config/experiment.js';
import type { Dataset } from '../core/dataset.js';
import { type Evaluation, type Evaluator, sumOf } from '../core/evaluate.js';
import { deadLayer, explosion, notFinite, suspectBlock } from '../core/failures.js';
import type { TestNetwork } from '../core/network/at-test.js';
import type { Network } from '../core/network/network.js';
import type { Parameters } from '../core/network/parameters.js';
import { NotPositiveDefiniteError } from '../core/solvers/cholesky.js';
import type { Training } from '../core/training.js';
import { TrainingRun } from '../core/training-run.js';
import { RunError } from '../errors.js';
import { refuseIfLost } from '../files/lock.js';
import { layerColumns, layerRows } from '../runs/layers.js';
import { type Metrics, mostCells } from '../runs/metrics.js';
import { type MetricsWriter, metricsColumns, metricsRow } from '../runs/metrics-writer.js';
import type { Pause, RunId } from '../runs/run-json.js';
import { runningTime } from '../shared/running-time.js';
import { grouped, runName } from '../shared/text.js';
import type { Checkpoint, Position } from './checkpoint/checkpoint.js';
import type { Checkpoints } from './checkpoint/checkpoints.js';
import { type CheckpointInterval, CheckpointSchedule } from './checkpoint/schedule.js';
import { deadNetwork, divergence, type Place, singularMatrix } from './divergence.js';
import type { ExperimentEvent } from './events.js';

/** How checkpoints are made. */
export interface Checkpointing {
  /** Between checkpoints, apart from the one at an interruption. */
  readonly interval: CheckpointInterval;
  /** Whether they are kept when the run has completed, together with a last one. */
  readonly keep: boolean;
  /** Program, backend and Node version that they record. */
  readonly madeBy: Position['madeBy'];
}

/** One (method, seed) to train. */
export interface TrainingJob {
  readonly experiment: Experiment;
  readonly method: ResolvedMethod;
  readonly run: RunId;
  readonly dataset: Dataset;
  readonly network: Network;
  readonly evaluators: { readonly test?: Evaluator; readonly validation?: Evaluator };
  /** Starts metrics.csv, or continues it after the rows of `resumeFrom`. */
  readonly openMetrics: (columns: readonly string[]) => MetricsWriter;
  /** The same of layers.csv. */
  readonly openLayers: () => MetricsWriter;
  readonly checkpoints: Checkpoints;
  readonly checkpointing: Checkpointing;
  /** Last checkpoint of an earlier session. */
  readonly resumeFrom?: Checkpoint;
  /** Whether to run the kernels once on other weights first, so that start-up costs are not measured. */
  readonly warmUp: boolean;
  /** Pause after this epoch, if the run has more. */
  readonly stopAtEpoch?: number;
  /** Called once the last batch is done, with the parameters that were tested and all rows of metrics.csv. */
  readonly saveModel?: (
    parameters: Parameters,
    metrics: Metrics,
    tested: Pick<TestNetwork, 'network' | 'parameters' | 'statistics'>,
  ) => Promise<void>;
  readonly emit: (event: ExperimentEvent) => void;
  readonly signal?: AbortSignal;
}

/** How the training of a run ended. */
export interface TrainingEnd {
  readonly status: 'COMPLETED' | 'INTERRUPTED';
  /** Of a run that stopped at `stopAtEpoch`. */
  readonly paused?: Pause;
}

/**
 * The training loop, the only one: every method runs through it.
 *
 * Training time (`wall_s`) is the method's set-up, the gathering of batches and the steps. Warm-up,
 * evaluation, writing and the time during which the process was stopped are excluded. A full-batch method
 * gathers its own data in its set-up, and its batches are iterations.
 *
 * A run that resumes from a checkpoint ends with the same bits as an uninterrupted one.
 *
 * @returns INTERRUPTED, after a checkpoint, when the signal was raised or the run paused at `stopAtEpoch`.
 *   Schedules always have the full length, so that a run that pauses ends as one that does not.
 * @throws RunError when numbers stop being finite, DiskError, LostLockError, and what the method throws
 */
export async function train(job: TrainingJob): Promise<TrainingEnd> {
  const { experiment, method, run, dataset, network, emit, signal, resumeFrom } = job;
  const { loss, convolutionPrecision } = experiment;
  const { seed } = run;
  const setup = { method, network, loss, dataset, seed, convolutionPrecision };
  const trainingRun = new TrainingRun(setup);
  const { totalBatches, batchesPerEpoch } = trainingRun;
  const stopAt = (job.stopAtEpoch ?? Number.POSITIVE_INFINITY) * batchesPerEpoch;
  await method.definition.load();

  // Start-up costs are negligible for an iteration over all images, which takes seconds.
  if (job.warmUp && !method.definition.fullBatch) await warmUp(trainingRun);

  let started = runningTime();
  const training = await withPlace(job, 'before the first batch', () => trainingRun.start());
  let wallMs = resumeFrom?.position.wallMs ?? Math.max(0, runningTime() - started);
  let writer: MetricsWriter | undefined;
  let layersWriter: MetricsWriter | undefined;
  try {
    if (resumeFrom) restore(training, resumeFrom);
    else await refuseOtherStart(job, training);
    const columns = metricsColumns(
      {
        validated: dataset.validation !== undefined,
        flips: experiment.evaluate.flips,
        stream: dataset.stream !== undefined,
      },
      training.columns,
    );
    refuseTooManyRows(job, totalBatches, columns.length);
    writer = job.openMetrics(columns);
    if (resumeFrom?.position.layers) layersWriter = job.openLayers();
    const schedule = new CheckpointSchedule(job.checkpointing.interval);
    /** Before anything of a diverged step is written. */
    const stopIf = async (symptom: string | undefined, place: Place) => {
      if (symptom === undefined) return;
      throw divergence(symptom, await suspectBlock(training.parameters()), place, method);
    };
    let lastTurn = performance.now();
    let firstLoss = resumeFrom?.position.firstLoss;
    const done = resumeFrom?.position.batch ?? 0;
    // Killed after the checkpoint, before the pause was recorded.
    if (done >= stopAt) return await pause(job, trainingRun, training, done);
    for (let batch = done + 1; batch <= totalBatches; batch++) {
      started = runningTime();
      const epoch = trainingRun.epochOf(batch);
      const place = { run, batch, epoch };
      let ended: number | undefined;
      const stepped = isEvaluated(experiment, batch, totalBatches)
        ? () => {
            ended = runningTime();
          }
        : undefined;
      const step = await withPlace(job, `at batch ${batch} (epoch ${epoch})`, () =>
        trainingRun.step(batch, stepped),
      );
      const stepMs = Math.max(0, (ended ?? runningTime()) - started);
      wallMs += stepMs;
      // The process may have been suspended during the step.
      refuseIfLost(writer.path, 1000);

      const measured = {
        'training loss': step.loss,
        objective: step.objective,
        residual: step.residual,
        ...step.extra,
      };
      firstLoss ??= step.loss;
      await stopIf(notFinite(measured) ?? explosion(firstLoss, step.loss), place);
      emit({ type: 'batch', run, batch, epoch, loss: step.loss, accuracy: step.accuracy });

      const evaluated = await evaluate(job, trainingRun, training.parameters(), batch);
      const { test, validation, weights } = evaluated;
      const losses = { 'test loss': test?.loss, 'validation loss': validation?.loss };
      await stopIf(notFinite({ ...losses, 'sum of the weights': weights }), place);
      const isTaskEnd = dataset.stream !== undefined && batch % batchesPerEpoch === 0;
      const prequentialAccuracy = isTaskEnd
        ? meanAccuracy(writer, step.accuracy, batchesPerEpoch)
        : undefined;
      const scores = { step, test, validation, prequentialAccuracy };
      writer.append(metricsRow({ ...place, wallMs, stepMs, ...scores }));
      if (step.layers) {
        layersWriter ??= job.openLayers();
        for (const row of layerRows(place, { layers: step.layers })) layersWriter.append(row);
        layersWriter.flush();
      }
      if (test || validation) {
        writer.flush();
        emit({ type: 'evaluation', run, batch, test, validation });
      }

      // A step may not yield to the event loop: let signals and timers run.
      if (signal?.aborted || performance.now() - lastTurn > 50) {
        await nextTurn();
        lastTurn = performance.now();
      }
      const last = batch === totalBatches;
      const pauses = batch >= stopAt && !last;
      const interrupted = pauses || (signal?.aborted === true && !last);
      if (interrupted || (last ? job.checkpointing.keep : schedule.isDue())) {
        const csvs = { metrics: writer.sync(), layers: layersWriter?.sync() };
        const position = { batch, wallMs, firstLoss, ...csvs };
        schedule.made(await saveCheckpoint(job, position, training));
      }
      if (pauses) return await pause(job, trainingRun, training, batch, validation);
      if (interrupted) return { status: 'INTERRUPTED' };
    }
    // Also where the last batch was done before an interruption.
    const end = { run, batch: totalBatches, epoch: trainingRun.epochOf(totalBatches) };
    await refuseDeadNetwork(job, trainingRun, training.parameters(), end);
    writer.flush();
    await saveTested(job, trainingRun, training.parameters(), writer.metrics());
    return { status: 'COMPLETED' };
  } finally {
    training.dispose();
    try {
      writer?.close();
    } finally {
      layersWriter?.close();
    }
  }
}

/** Mean training accuracy over the batches of an epoch, the last of which is not written yet. */
function meanAccuracy(
  writer: MetricsWriter,
  last: number | undefined,
  batches: number,
): number | undefined {
  if (last === undefined) return undefined;
  writer.flush();
  const { train_accuracy: written } = writer.metrics().columns;
  const before = written.subarray(written.length - (batches - 1));
  return before.reduce((sum, accuracy) => sum + accuracy, last) / batches;
}

async function saveTested(
  { saveModel, dataset }: TrainingJob,
  trainingRun: TrainingRun,
  parameters: Parameters,
  metrics: Metrics,
): Promise<void> {
  // Of a stream it would be a network for the pixels of its last task.
  if (!saveModel || dataset.stream) return;
  const tested = trainingRun.tested(parameters, trainingRun.totalBatches);
  try {
    await saveModel(parameters, metrics, tested);
  } finally {
    tested.dispose();
  }
}

/**
 * The end of a paused run. Where metrics.csv has no evaluation of its last batch, it is evaluated here and
 * recorded in run.json alone: the rows are those of a run without a pause.
 */
async function pause(
  { evaluators }: TrainingJob,
  trainingRun: TrainingRun,
  training: Training,
  batch: number,
  evaluation?: Evaluation,
): Promise<TrainingEnd> {
  const epoch = trainingRun.epochOf(batch);
  const { network, parameters, dispose } = trainingRun.tested(training.parameters(), batch);
  const order = trainingRun.pixelOrderOf(epoch - 1);
  const validation =
    evaluation ?? (await evaluators.validation?.evaluate(parameters, network, order));
  dispose();
  const finite = (value: number | undefined) => (Number.isFinite(value) ? value : undefined);
  const validationAccuracy = finite(validation?.accuracy);
  const validationLoss = finite(validation?.loss);
  return { status: 'INTERRUPTED', paused: { batch, epoch, validationAccuracy, validationLoss } };
}

/** Two steps from other initial weights. Numerical failures are ignored: the run itself reports its own. */
async function warmUp(trainingRun: TrainingRun): Promise<void> {
  try {
    const training = await trainingRun.start('warm-up');
    try {
      for (let t = 1; t <= Math.min(2, trainingRun.totalBatches); t++) await trainingRun.step(t);
    } finally {
      training.dispose();
    }
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
  }
}

/** @throws RunError when a CSV of the run would become too long to be read into memory */
function refuseTooManyRows(
  { run, experiment, network }: TrainingJob,
  batches: number,
  columns: number,
): void {
  const most = Math.floor(mostCells / columns);
  if (batches > most) {
    throw new RunError(
      `${runName(run)}: ${grouped(batches)} batches are more than the ${grouped(most)} that a metrics.csv ` +
        `of ${columns} columns can have. Try fewer epochs or a larger batchSize`,
    );
  }
  const evaluations = Math.floor(batches / experiment.evaluate.every) + 2;
  const mostEvaluations = Math.floor(mostCells / layerColumns.length / network.maps.length);
  if (evaluations > mostEvaluations) {
    throw new RunError(
      `${runName(run)}: ${grouped(evaluations)} evaluations are more than the ${grouped(mostEvaluations)} ` +
        `that a layers.csv of ${network.maps.length} layers can have. Try a larger evaluate.every`,
    );
  }
}

/** Adds the run and its position to the message of an error. */
async function withPlace<T>(
  { run, network, method }: TrainingJob,
  where: string,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NotPositiveDefiniteError) {
      throw singularMatrix(error, network, run, where, method);
    }
    if (!(error instanceof RunError)) throw error;
    throw new RunError(`${runName(run)}: ${where}: ${error.message}`, {
      cause: error,
    });
  }
}

/** Training images for which a network must not have the same output. */
const distinctRows = 200;

async function refuseDeadNetwork(
  { network, method, dataset }: TrainingJob,
  trainingRun: TrainingRun,
  parameters: Parameters,
  place: Place,
): Promise<void> {
  const count = Math.min(distinctRows, dataset.train.count);
  if (count < 2) return;
  const rows = Uint32Array.from({ length: count }, (_, i) => i);
  const x = trainingRun.imagesIn(place.epoch - 1, rows);
  try {
    const layer = await deadLayer(network, parameters, x);
    if (layer !== undefined) throw deadNetwork(layer, place, method);
  } finally {
    x.dispose();
  }
}

/** @throws RunError when the method has other weights than those it is to start from: only methods of plugins may */
async function refuseOtherStart({ network, run }: TrainingJob, training: Training): Promise<void> {
  if (network.initial === undefined) return;
  const parameters = training.parameters();
  for (const [l, { weights, bias }] of network.initial.entries()) {
    const found = [await parameters[l].weights.data(), await parameters[l].bias.data()];
    for (const [i, expected] of [weights, bias].entries()) {
      if (expected.every((value, k) => Object.is(value, found[i][k]))) continue;
      throw new RunError(
        `${runName(run)}: the method does not start from the weights of init. A method of a plugin takes them by initializeParameters (docs/plugins.md)`,
      );
    }
  }
}

/** @throws RunError when the state does not fit the method */
function restore(training: Training, { folder, state }: Checkpoint): void {
  try {
    training.state = state();
  } catch (error) {
    throw new RunError(
      `cannot resume from checkpoint ${folder}: ${(error as Error).message}. Retrain the run with --overwrite`,
      { cause: error },
    );
  }
}

/** @returns its duration in ms */
async function saveCheckpoint(
  { checkpoints, checkpointing, experiment, run, emit }: TrainingJob,
  position: Pick<Position, 'batch' | 'wallMs' | 'firstLoss' | 'metrics' | 'layers'>,
  training: Training,
): Promise<number> {
  const started = runningTime();
  const { madeBy } = checkpointing;
  const where = { experiment: experiment.hash, label: run.label, seed: run.seed, madeBy };
  const bytes = await checkpoints.write({ ...where, ...position }, training.state);
  const ms = Math.max(0, runningTime() - started);
  emit({ type: 'checkpoint', run, batch: position.batch, bytes, ms });
  return ms;
}

/** Every `evaluate.every` batches, the first and the last. */
function isEvaluated({ evaluate }: Experiment, batch: number, totalBatches: number): boolean {
  return batch === 1 || batch % evaluate.every === 0 || batch === totalBatches;
}

async function evaluate(
  { experiment, evaluators }: TrainingJob,
  trainingRun: TrainingRun,
  parameters: Parameters,
  batch: number,
): Promise<{ test?: Evaluation; validation?: Evaluation; weights?: number }> {
  const { totalBatches } = trainingRun;
  if (!isEvaluated(experiment, batch, totalBatches)) return {};
  const { test } = experiment.evaluate;
  const last = batch === totalBatches;
  const testNow = test === 'every' || (test === 'last' && last);
  const tested = trainingRun.tested(parameters, batch);
  const order = trainingRun.pixelOrderOf(trainingRun.epochOf(batch) - 1);
  const evaluated = (evaluator: Evaluator | undefined) =>
    evaluator?.evaluate(tested.parameters, tested.network, order);
  try {
    return {
      test: testNow ? await evaluated(evaluators.test) : undefined,
      validation: await evaluated(evaluators.validation),
      weights: await sumOf(parameters),
    };
  } finally {
    tested.dispose();
  }
}
