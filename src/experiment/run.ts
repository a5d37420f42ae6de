import type { Experiment } from '../config/experiment.js';
import { initialWeights } from '../config/initial-weights.js';
import { epochRows, stepsOf } from '../core/batches.js';
import type { Dataset } from '../core/dataset.js';
import { Evaluator, hiddenActivations } from '../core/evaluate.js';
import { buildNetwork } from '../core/network/network.js';
import { predictionRule } from '../core/prediction.js';
import type { ArrayData } from '../data/arrays/definition.js';
import { UsageError } from '../errors.js';
import { onDiskWarning } from '../files/system-calls.js';
import { writeActivations } from '../runs/activations-file.js';
import { layersFile } from '../runs/layers.js';
import { type Metrics, type MetricsFile, readMetrics } from '../runs/metrics.js';
import { writeModel } from '../runs/model-writer.js';
import { folderOf, loadRunDirectory, type Written } from '../runs/run-directory.js';
import type { RunId } from '../runs/run-json.js';
import { newRecord, type RunEntry, type RunRecord, sameRun } from '../runs/run-json.js';
import { collectProvenance } from '../shared/provenance.js';
import { runName } from '../shared/text.js';
import type { Position } from './checkpoint/checkpoint.js';
import { Checkpoints } from './checkpoint/checkpoints.js';
import { defaultInterval, everySeconds } from './checkpoint/schedule.js';
import type { ExperimentEvent } from './events.js';
import { type ExperimentPlan, type PlannedRun, pauseOf, planExperiment } from './plan.js';
import { type PrepareOptions, prepareExperiment } from './prepare.js';
import { openSession, type Session } from './session.js';
import { BackendFailure, superviseRun } from './supervise.js';
import type { TrainingJob } from './train.js';

export interface ExperimentOptions extends Omit<PrepareOptions, 'dryRun'> {
  /** Stop at the first run that fails, rather than train the others. */
  readonly failFast?: boolean;
  /**
   * Seconds between checkpoints; 0 for none except at an interruption. When absent, 60, or more where they
   * would take over 2 % of the time.
   */
  readonly checkpointEvery?: number;
  /** Keep the checkpoints of completed runs as well. */
  readonly keepCheckpoints?: boolean;
  /**
   * Pause each run after this epoch, with a checkpoint; runs without more epochs complete. Schedules keep
   * their full length: a run that is paused and resumed has the same rows as one that is not.
   */
  readonly stopAtEpoch?: number;
  /** Whether completed runs leave their weights, `model.safetensors` and `model.json`; by default they do. */
  readonly model?: boolean;
  /** Arrays to train on, for a config with `dataset: { name: arrays }`: instead of its files. */
  readonly data?: ArrayData;
  /** Stops after the current batch and a checkpoint; runs are left INTERRUPTED or QUEUED. */
  readonly signal?: AbortSignal;
}

export interface ExperimentResult {
  readonly directory: string;
  /** `paused`: every run has completed or stopped at `stopAtEpoch`. */
  readonly status: 'completed' | 'failed' | 'interrupted' | 'paused';
  /** All runs of run.json, the selected ones first; `status` above is that of the selected ones. */
  readonly runs: readonly RunEntry[];
  /** Figure, report and summary files; empty when interrupted or paused. */
  readonly files: readonly string[];
}

type Emit = (event: ExperimentEvent) => void;

let last: Promise<unknown> = Promise.resolve();

/**
 * Trains every selected (method, seed) of an experiment and writes its run directory. Nothing is
 * written before the backend is started and the data loaded. A run that fails does not stop the others.
 *
 * A process trains one experiment at a time, since backend and tensor scopes are global: a second call
 * waits for the first.
 *
 * @param emit receives progress; the engine itself prints nothing
 * @throws UsageError, EnvironmentError, DataError before anything is written; RunError when another
 *   process holds the directory, the disk fails or the backend breaks down; other errors are bugs
 */
export function runExperiment(
  experiment: Experiment,
  options: ExperimentOptions = {},
  emit: Emit = () => {},
): Promise<ExperimentResult> {
  const result = last.then(() => trainExperiment(onData(experiment, options.data), options, emit));
  last = result.catch(() => {});
  return result;
}

function onData(experiment: Experiment, data: ArrayData | undefined): Experiment {
  if (data === undefined) return experiment;
  if (experiment.withData) return experiment.withData(data);
  throw new UsageError(
    `the config trains on ${experiment.dataset.name}; to give it arrays, set dataset: { name: arrays }`,
  );
}

async function trainExperiment(
  experiment: Experiment,
  options: ExperimentOptions,
  emit: Emit,
): Promise<ExperimentResult> {
  const prepared = await prepareExperiment(experiment, options, emit);
  const { backend, dataset } = prepared;
  let { plan } = prepared;
  if (backend === undefined) {
    emit({ type: 'directory', path: plan.directory });
    for (const run of plan.runs) warnOfNoCheckpoints(run, plan.directory, options, emit);
    return finish(plan, plan.previous?.runs ?? [], options, emit);
  }
  if (dataset === undefined) {
    return { directory: plan.directory, status: 'interrupted', runs: [], files: [] };
  }

  const fresh = newRecord(experiment, await collectProvenance(), backend, dataset);
  const replan = () => planExperiment(experiment, options);
  const warn = (message: string) => emit({ type: 'warning', message });
  const removeListener = onDiskWarning(warn);
  const session = openSession(plan.directory, experiment, replan, fresh, warn);
  const { directory } = session;
  plan = session.plan;
  try {
    emit({ type: 'directory', path: directory.path });
    await trainAll(experiment, session, dataset, options, emit);
    directory.finish();
    return await finish(plan, directory.record.runs, options, emit, () => directory.written());
  } finally {
    directory.release();
    removeListener();
  }
}

async function trainAll(
  experiment: Experiment,
  { directory, plan, resumePoint }: Session,
  dataset: Dataset,
  options: ExperimentOptions,
  emit: Emit,
): Promise<void> {
  const network = buildNetwork(experiment.network);
  const rule = predictionRule(experiment);
  if (rule.remark !== undefined) emit({ type: 'warning', message: rule.remark });
  const flips = experiment.evaluate.flips ? dataset.shape : undefined;
  const evaluator = (split: Dataset['test']) =>
    new Evaluator(split, dataset, network, experiment.loss, rule, flips);
  const evaluators = {
    test: experiment.evaluate.test === 'never' ? undefined : evaluator(dataset.test),
    validation: dataset.validation && evaluator(dataset.validation),
  };
  const warm = new Set<string>();
  const madeBy = makerOf(directory.record);
  const { stopAtEpoch } = options;
  const count = epochRows(dataset, dataset.train.count);
  /** Batches that this session trains up to, and those done earlier. */
  const extent = (run: PlannedRun) => {
    const stopAt = stopAtEpoch && pauseOf(run.method, count, stopAtEpoch);
    const done = resumePoint(run)?.position.batch ?? 0;
    return { batches: stepsOf(run.method, count), stopAt, done };
  };
  const queuedAfter = (index: number) =>
    plan.runs
      .slice(index + 1)
      .filter((run) => !run.done)
      .map((run) => {
        const { batches, stopAt = batches, done } = extent(run);
        return { label: run.label, batches: Math.max(0, Math.min(batches, stopAt) - done) };
      });
  let broken = false;
  try {
    for (const [index, run] of plan.runs.entries()) {
      if (options.signal?.aborted) return;
      if (run.done) {
        emit({ type: 'run-skipped', run: id(run), reason: 'completed earlier' });
        warnOfNoCheckpoints(run, plan.directory, options, emit);
        continue;
      }
      const entry = directory.record.runs.find((other) => sameRun(other, run));
      if (entry && isPausedAt(entry, stopAtEpoch)) {
        const reason = `paused after epoch ${entry.paused?.epoch} earlier`;
        emit({ type: 'run-skipped', run: id(run), reason });
        continue;
      }
      const resumeFrom = resumePoint(run);
      if (resumeFrom) warnOfOther(resumeFrom.position.madeBy, madeBy, id(run), emit);
      emit({
        type: 'run-started',
        run: id(run),
        index,
        runs: plan.runs.length,
        ...extent(run),
        queued: queuedAfter(index),
      });
      const warmUp = !warm.has(run.label);
      warm.add(run.label);
      const { method } = run;
      const { signal, keepCheckpoints = false, checkpointEvery } = options;
      const interval =
        checkpointEvery === undefined ? defaultInterval : everySeconds(checkpointEvery);
      const checkpointing = { interval, keep: keepCheckpoints, madeBy };
      const saveModel: NonNullable<TrainingJob['saveModel']> = async (
        parameters,
        metrics,
        tested,
      ) => {
        if (options.model === false) return;
        const trained = { experiment, method, run: id(run), dataset, rule, metrics };
        const { record } = directory;
        const folder = folderOf(directory.path, run);
        const { layers } = experiment.network;
        const { test } = experiment.evaluate;
        // The test set is not looked at where it is not to be used.
        const split = (test === 'never' ? undefined : dataset.test) ?? dataset.validation;
        const { levels, train } = dataset;
        const rows = split ?? train;
        const of = [tested.network, tested.parameters, layers, rows, levels] as const;
        const activations = await hiddenActivations(...of);
        if (activations.count > 0) writeActivations(folder, activations);
        await writeModel(folder, parameters, { ...trained, record }, tested.statistics);
      };
      // A checkpoint has weights of its own.
      const initial = resumeFrom ? undefined : initialWeights(experiment, run.seed);
      const job = {
        experiment,
        method,
        run: id(run),
        dataset,
        network: { ...network, initial },
        evaluators,
        checkpointing,
      };
      const session = { resumeFrom, warmUp, stopAtEpoch, saveModel, emit, signal };
      const status = await superviseRun({ ...job, ...session }, directory);
      if (status === 'FAILED' && options.failFast) return;
    }
  } catch (error) {
    broken = error instanceof BackendFailure;
    throw error;
  } finally {
    // Disposing on a broken backend would throw another error and hide this one.
    if (!broken) {
      evaluators.test?.dispose();
      evaluators.validation?.dispose();
    }
  }
}

/** `keepCheckpoints` has no effect on a run that completed without it. */
function warnOfNoCheckpoints(
  run: PlannedRun,
  directory: string,
  { keepCheckpoints }: ExperimentOptions,
  emit: Emit,
): void {
  if (!keepCheckpoints) return;
  const checkpoints = new Checkpoints(folderOf(directory, run));
  if (checkpoints.list().length > 0) return;
  emit({
    type: 'warning',
    message:
      `${runName(run)}: --keep-checkpoints has nothing to keep: the run completed without that option, ` +
      'and its checkpoints were removed then. To have them, train it again: --overwrite --keep-checkpoints',
  });
}

const fromMemory = (metrics: Metrics | undefined): MetricsFile | undefined =>
  metrics && { metrics, warnings: [] };

async function finish(
  plan: ExperimentPlan,
  runs: readonly RunEntry[],
  { signal, stopAtEpoch }: Pick<ExperimentOptions, 'signal' | 'stopAtEpoch'>,
  emit: Emit,
  readWritten?: () => ReadonlyMap<string, Written>,
): Promise<ExperimentResult> {
  const { directory } = plan;
  const selected = runs.filter((entry) => plan.runs.some((run) => sameRun(entry, run)));
  const paused = selected.filter((entry) => isPausedAt(entry, stopAtEpoch));
  const unfinished = selected.some(
    (entry) =>
      (entry.status === 'INTERRUPTED' || entry.status === 'QUEUED') && !paused.includes(entry),
  );
  if (signal?.aborted && unfinished) return { directory, status: 'interrupted', runs, files: [] };
  const ended = selected.every((entry) => entry.status === 'COMPLETED' || paused.includes(entry));
  if (paused.length > 0 && ended) return { directory, status: 'paused', runs, files: [] };

  // Drawing needs libraries that training does not.
  const { writeReport } = await import('../report/write-report.js');
  const written = readWritten?.();
  const loaded = loadRunDirectory(directory, 'all rows', {
    metrics: (file, key) => fromMemory(written?.get(key)?.metrics) ?? readMetrics(file),
    layers: (file, key) => fromMemory(written?.get(key)?.layers) ?? readMetrics(file, layersFile),
  });
  for (const { message } of loaded.problems) emit({ type: 'warning', message });
  const files = await writeReport(loaded);
  emit({ type: 'figure', paths: files });
  const completed = selected.every(({ status }) => status === 'COMPLETED');
  return { directory, status: completed ? 'completed' : 'failed', runs, files };
}

/** Whether a run has been trained up to `stopAtEpoch` and paused there, or later. */
const isPausedAt = ({ status, paused }: RunEntry, stopAtEpoch: number | undefined): boolean =>
  status === 'INTERRUPTED' && paused !== undefined && paused.epoch >= (stopAtEpoch ?? Infinity);

/** What a checkpoint records of its environment. */
function makerOf({ program, backend, node }: RunRecord): Position['madeBy'] {
  return {
    program: `${program.name} ${program.version}`,
    backend: `${backend.name} ${backend.version}, ${backend.detail}`,
    node,
  };
}

/** Results are reproduced bit for bit only with the same program, backend and Node version. */
function warnOfOther(
  before: Position['madeBy'],
  now: Position['madeBy'],
  run: RunId,
  emit: Emit,
): void {
  const changed = (['program', 'backend', 'node'] as const).filter(
    (key) => before[key] !== now[key],
  );
  if (changed.length === 0) return;
  const changes = changed.map((key) => `${before[key]} (now ${now[key]})`);
  emit({
    type: 'warning',
    message:
      `${runName(run)} was started with ${changes.join('; ')}: ` +
      'its last digits may differ from those of an uninterrupted run',
  });
}

function id({ label, seed }: PlannedRun): RunId {
  return { label, seed };
}
