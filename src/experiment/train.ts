import { setImmediate as nextTurn } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import type { Experiment, ResolvedMethod } from '../config/experiment.js';
import type { Dataset } from '../core/dataset.js';
import { type Evaluation, type Evaluator, sumOf } from '../core/evaluate.js';
import { deadLayer, explosion, notFinite, suspectBlock } from '../core/failures.js';
import type { TrainingData } from '../core/methods/method.js';
import type { Network } from '../core/network/network.js';
import type { Parameters } from '../core/network/parameters.js';
import { NotPositiveDefiniteError } from '../core/solvers/cholesky.js';
import type { Training } from '../core/training.js';
import { TrainingRun } from '../core/training-run.js';
import { RunError } from '../errors.js';
import { refuseIfLost } from '../files/lock.js';
import { mostCells } from '../runs/metrics.js';
import { type MetricsWriter, metricsColumns, metricsRow } from '../runs/metrics-writer.js';
import type { RunId } from '../runs/run-json.js';
import { runningTime } from '../shared/running-time.js';
import { grouped, runName } from '../shared/text.js';
import type { Checkpoint, Position } from './checkpoint/checkpoint.js';
import type { Checkpoints } from './checkpoint/checkpoints.js';
import { type CheckpointInterval, CheckpointSchedule } from './checkpoint/schedule.js';
import { deadNetwork, divergence, type Place, singularMatrix } from './divergence.js';
import type { ExperimentEvent } from './events.js';

/** How checkpoints are made. */
export interface Checkpointing {
  /** Beside the one that an interruption makes. */
  readonly interval: CheckpointInterval;
  /** Whether they stay when the run has completed, beside one of its end. */
  readonly keep: boolean;
  /** What they say of the program that made them. */
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
  /** Starts metrics.csv, or goes on where `resumeFrom` left it. */
  readonly openMetrics: (columns: readonly string[]) => MetricsWriter;
  readonly checkpoints: Checkpoints;
  readonly checkpointing: Checkpointing;
  /** Where an earlier session left off. */
  readonly resumeFrom?: Checkpoint;
  /** Whether to run the kernels once on throw-away weights first, so that start-up costs are not billed. */
  readonly warmUp: boolean;
  readonly emit: (event: ExperimentEvent) => void;
  readonly signal?: AbortSignal;
}

/**
 * The training loop, the only one: every method runs through it.
 *
 * Training time (`wall_s`) is the method's set-up, the gathering of batches and the steps; warm-up,
 * evaluation and writing are left out, and so is what the process was stopped for. A full-batch method gathers its own data in its set-up, and
 * its batches are iterations.
 *
 * A run that goes on from a checkpoint repeats what it would have done uninterrupted, bit for bit.
 *
 * @returns INTERRUPTED when the signal was raised: the batch at work is finished and a checkpoint
 *   made first
 * @throws RunError when numbers stop being finite, DiskError, LostLockError, and what the method throws
 */
export async function train(job: TrainingJob): Promise<'COMPLETED' | 'INTERRUPTED'> {
  const { experiment, method, run, dataset, network, emit, signal, resumeFrom } = job;
  const { loss } = experiment;
  const training = new TrainingRun({ method, network, loss, dataset, seed: run.seed });
  const { totalBatches } = training;
  await method.definition.load();

  // An iteration over all images takes seconds, beside which start-up costs are nothing.
  if (job.warmUp && !method.definition.fullBatch) {
    await passOverFailures(async () => {
      const throwaway = await training.start('warm-up');
      try {
        for (let t = 1; t <= Math.min(2, totalBatches); t++) await training.step(t);
      } finally {
        throwaway.dispose();
      }
    });
  }

  let started = runningTime();
  const trainer = await placed(job, 'before the first batch', () => training.start());
  let wallMs = resumeFrom?.position.wallMs ?? Math.max(0, runningTime() - started);
  let writer: MetricsWriter | undefined;
  try {
    if (resumeFrom) restore(trainer, resumeFrom);
    const columns = metricsColumns(dataset.validation !== undefined, trainer.columns);
    refuseTooManyRows(run, totalBatches, columns.length);
    writer = job.openMetrics(columns);
    const schedule = new CheckpointSchedule(job.checkpointing.interval);
    /** Numbers that cannot be trusted are not written down. */
    const stopIf = async (what: string | undefined, place: Place) => {
      if (what === undefined) return;
      throw divergence(what, await suspectBlock(trainer.parameters()), place, method);
    };
    let lastTurn = performance.now();
    let firstLoss = resumeFrom?.position.firstLoss;
    for (let batch = (resumeFrom?.position.batch ?? 0) + 1; batch <= totalBatches; batch++) {
      started = runningTime();
      const epoch = training.epochOf(batch);
      const place = { run, batch, epoch };
      const step = await placed(job, `at batch ${batch} (epoch ${epoch})`, () =>
        training.step(batch),
      );
      const stepMs = Math.max(0, runningTime() - started);
      wallMs += stepMs;
      // The process may have been frozen meanwhile.
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

      const evaluated = await evaluate(job, trainer.parameters(), batch, totalBatches);
      const { test, validation, weights } = evaluated;
      const losses = { 'test loss': test?.loss, 'validation loss': validation?.loss };
      await stopIf(notFinite({ ...losses, 'sum of the weights': weights }), place);
      writer.append(metricsRow({ ...place, wallMs, stepMs, step, test, validation }));
      if (test || validation) {
        writer.flush();
        emit({ type: 'evaluation', run, batch, test, validation });
      }

      // A step may never leave this turn of the event loop: let signals and timers in.
      if (signal?.aborted || performance.now() - lastTurn > 50) {
        await nextTurn();
        lastTurn = performance.now();
      }
      const last = batch === totalBatches;
      const interrupted = signal?.aborted === true && !last;
      if (interrupted || (last ? job.checkpointing.keep : schedule.isDue())) {
        const position = { batch, wallMs, firstLoss, metrics: writer.sync() };
        schedule.made(await saveCheckpoint(job, position, trainer));
      }
      if (interrupted) return 'INTERRUPTED';
      if (last) await refuseDeadNetwork(job, training.data, trainer.parameters(), place);
    }
    return 'COMPLETED';
  } finally {
    trainer.dispose();
    writer?.close();
  }
}

/**
 * Runs throw-away steps. That numbers fail there is for the run itself to find, and to say where and why;
 * tensors that a step left behind when it failed are freed.
 */
async function passOverFailures(work: () => Promise<void>): Promise<void> {
  const engine = tf.engine();
  engine.startScope('warm-up');
  try {
    await work();
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
  } finally {
    engine.endScope();
  }
}

/** @throws RunError when the run's metrics.csv would become longer than what fits into memory again */
function refuseTooManyRows(run: RunId, batches: number, columns: number): void {
  const most = Math.floor(mostCells / columns);
  if (batches <= most) return;
  throw new RunError(
    `${runName(run)}: ${grouped(batches)} batches are more than the ${grouped(most)} that a metrics.csv ` +
      `of ${columns} columns can have. Try fewer epochs or a larger batchSize`,
  );
}

/** Says where a run was when what it did failed. */
async function placed<T>(
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

/** Rows that a network has to tell apart. */
const distinctRows = 200;

async function refuseDeadNetwork(
  { network, method, dataset }: TrainingJob,
  data: TrainingData,
  parameters: Parameters,
  place: Place,
): Promise<void> {
  const count = Math.min(distinctRows, dataset.train.count);
  if (count < 2) return;
  const x = data.rows(Uint32Array.from({ length: count }, (_, i) => i));
  try {
    const layer = await deadLayer(network, parameters, x);
    if (layer !== undefined) throw deadNetwork(layer, place, method);
  } finally {
    x.dispose();
  }
}

/** @throws RunError when the state is none of this trainer's */
function restore(trainer: Training, { folder, state }: Checkpoint): void {
  try {
    trainer.state = state();
  } catch (error) {
    throw new RunError(
      `${folder} cannot be resumed: ${(error as Error).message}. Train the run anew with --overwrite`,
      { cause: error },
    );
  }
}

/** @returns the ms it took */
async function saveCheckpoint(
  { checkpoints, checkpointing, experiment, run, emit }: TrainingJob,
  position: Pick<Position, 'batch' | 'wallMs' | 'firstLoss' | 'metrics'>,
  trainer: Training,
): Promise<number> {
  const started = runningTime();
  const { madeBy } = checkpointing;
  const where = { experiment: experiment.hash, label: run.label, seed: run.seed, madeBy };
  const bytes = await checkpoints.write({ ...where, ...position }, trainer.state);
  const ms = Math.max(0, runningTime() - started);
  emit({ type: 'checkpoint', run, batch: position.batch, bytes, ms });
  return ms;
}

async function evaluate(
  { experiment, evaluators }: TrainingJob,
  parameters: Parameters,
  batch: number,
  totalBatches: number,
): Promise<{ test?: Evaluation; validation?: Evaluation; weights?: number }> {
  const { every, test } = experiment.evaluate;
  const last = batch === totalBatches;
  if (batch !== 1 && batch % every !== 0 && !last) return {};
  const testNow = test === 'every' || (test === 'last' && last);
  return {
    test: testNow ? await evaluators.test?.evaluate(parameters) : undefined,
    validation: await evaluators.validation?.evaluate(parameters),
    weights: await sumOf(parameters),
  };
}
