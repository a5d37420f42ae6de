import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BackendReport, BackendUnavailable, type Device } from '../backend/backend.js';
import { startBackend } from '../backend/registry.js';
import type { Experiment } from '../config/experiment.js';
import { initialWeights } from '../config/initial-weights.js';
import type { Dataset, LoadOptions } from '../core/dataset.js';
import { DownloadNeeded } from '../data/file-errors.js';
import { loadDefinition, splitSizes } from '../data/load.js';
import { EnvironmentError, FlnError, UsageError } from '../errors.js';
import { isFolder } from '../files/folder.js';
import { readRecord } from '../runs/run-json.js';
import { hasBfloat16 } from '../shared/provenance.js';
import type { ExperimentEvent } from './events.js';
import { memoryWarning, refuseBeyondMemory } from './memory.js';
import { changedPlugins, type ExperimentPlan, type PlanOptions, planExperiment } from './plan.js';
import { keepsNumbers } from './session.js';

export interface PrepareOptions
  extends PlanOptions,
    Pick<LoadOptions, 'dataDir' | 'cacheDir' | 'offline'> {
  /** Replaces the config's backend. */
  readonly backend?: string;
  /** Device, where the config does not set one. */
  readonly device?: Device;
  /** Stops downloads. */
  readonly signal?: AbortSignal;
}

/** What a run needs before it writes anything. */
export interface Preparation {
  readonly plan: ExperimentPlan;
  /** Absent, like the data, when there is nothing to train. */
  readonly backend?: BackendReport;
  /** Absent when it would have to be downloaded, in a dry run, or after the signal. */
  readonly dataset?: Dataset;
  /** Bytes to download, in a dry run. */
  readonly downloadBytes?: number;
}

/**
 * Everything that a run does before it writes its first file, which is also what a dry run does: plans,
 * starts the backend, loads and verifies the data, checks the memory.
 *
 * @param options with `dryRun`, data that is not on this machine is reported instead of downloaded
 * @throws UsageError, EnvironmentError, DataError, RunError
 */
export async function prepareExperiment(
  experiment: Experiment,
  options: PrepareOptions,
  emit: (event: ExperimentEvent) => void,
): Promise<Preparation> {
  const { data } = experiment;
  const plan = planExperiment(experiment, options);
  if (options.resume && plan.previous === undefined) warnOfChangedPlugins(experiment, plan, emit);
  if (plan.runs.every(({ done }) => done)) return { plan };

  const fresh = plan.runs.filter(({ done, continues }) => !done && !continues);
  for (const seed of new Set(fresh.map((run) => run.seed))) initialWeights(experiment, seed);
  const backend = await startPlanned(experiment, options, plan);
  emit({ type: 'backend', ...backend });
  refusePrecision(experiment, backend);
  await checkNumerics(experiment);
  warnOfFlips(experiment, emit);
  const { dataset, downloadBytes } = await load(experiment, options, emit);
  const prepared = { plan, backend, dataset, downloadBytes };
  if (dataset === undefined && downloadBytes === undefined) return prepared;

  const methods = plan.runs.flatMap(({ method, done }) => (done ? [] : [method]));
  const { train } = splitSizes(data, experiment.dataset);
  refuseBeyondMemory(experiment, methods, train, backend);
  for (const method of new Set(methods)) {
    const message = memoryWarning(experiment, method, train, backend);
    if (message !== undefined) emit({ type: 'warning', message });
  }
  return prepared;
}

/** @throws UsageError, EnvironmentError where the backend or the processor does not compute in bfloat16 */
function refusePrecision(
  { convolutionPrecision }: Experiment,
  { name, device }: BackendReport,
): void {
  if (convolutionPrecision !== 'bfloat16') return;
  if (name !== 'tensorflow' || device !== 'cpu') {
    throw new UsageError(
      `convolutionPrecision: bfloat16 is for the backend tensorflow on a CPU, and this run computes on ${describe({ name, device })}. Use --backend tensorflow --device cpu, or remove convolutionPrecision`,
    );
  }
  if (hasBfloat16() === false) {
    throw new EnvironmentError(
      'convolutionPrecision: this processor has no instructions for bfloat16 (avx512_bf16 or amx_bf16), without which it is slower than float32. Remove convolutionPrecision',
    );
  }
}

/** @throws UsageError where an activation or the loss of a plugin contradicts itself */
async function checkNumerics({ plugins, network, loss }: Experiment): Promise<void> {
  if (plugins.length === 0) return;
  const { activationTensorProblem, lossProblem } = await import('../config/plugins/numerics.js');
  const refuse = (file: string, entry: string, problem: string | undefined) => {
    if (problem !== undefined) throw new UsageError(`${file}: ${entry}: ${problem}`);
  };
  for (const { file, entries } of plugins) {
    for (const activation of entries.activations) {
      if (!network.activations.includes(activation.name)) continue;
      const entry = `activation "${activation.name}"`;
      refuse(file, entry, await activationTensorProblem(activation));
    }
    const own = entries.losses.find(({ name }) => name === loss);
    if (own) refuse(file, `loss "${own.name}"`, await lossProblem(own));
  }
}

/** Mirror images of characters are other characters, or none. */
function warnOfFlips(
  { data, dataset, evaluate }: Experiment,
  emit: (event: ExperimentEvent) => void,
): void {
  const fields = [
    dataset.augment?.flip !== undefined && 'dataset.augment.flip mirrors images',
    evaluate.flips && 'evaluate.flips uses mirror images',
  ];
  for (const field of fields) {
    if (!data.hasCharacters || !field) continue;
    const message = `${field}, and those of ${data.name} are characters, most of which are others or none in a mirror: expect a lower accuracy`;
    emit({ type: 'warning', message });
  }
}

/** A changed plugin has another run directory, so that there is nothing to resume. */
function warnOfChangedPlugins(
  experiment: Experiment,
  { directory }: ExperimentPlan,
  emit: (event: ExperimentEvent) => void,
): void {
  if (experiment.plugins.length === 0 || !isFolder(dirname(directory))) return;
  for (const name of readdirSync(dirname(directory))) {
    const other = join(dirname(directory), name);
    try {
      const record = readRecord(other);
      const changed = record && changedPlugins(record, experiment);
      if (changed === undefined) continue;
      emit({
        type: 'warning',
        message: `${other} holds results of this config with another version of ${changed}: this is another experiment, which starts from the beginning in ${directory}`,
      });
    } catch (error) {
      // Other folders are none of our business.
      if (!(error instanceof UsageError)) throw error;
    }
  }
}

/** A backend and device to start, and whether they are those of earlier results that are kept. */
export interface BackendRequest {
  readonly name: string;
  readonly device?: Device;
  readonly recorded: boolean;
}

/**
 * The backend and device of a run. The results of one directory are comparable: where any are kept, the
 * others are computed on the same backend and device, to which `backend: auto` then resolves.
 * @throws UsageError when another backend or device is requested
 */
export function requestBackend(
  experiment: Experiment,
  options: Pick<PrepareOptions, 'backend' | 'device'>,
  plan: ExperimentPlan,
): BackendRequest {
  const name = options.backend ?? experiment.backend;
  const device = options.device ?? experiment.device;
  if (experiment.device !== undefined && device !== experiment.device) {
    throw new UsageError(
      `the config has device: ${experiment.device}, and the device ${device} is requested too (as --gpus does)`,
    );
  }
  const before = keepsNumbers(plan) ? plan.previous?.backend : undefined;
  if (before === undefined) return { name, device, recorded: false };
  const wanted = { name: name === 'auto' ? before.name : name, device: device ?? before.device };
  if (wanted.name === before.name && (before.device ?? wanted.device) === wanted.device) {
    return { ...wanted, recorded: true };
  }
  throw new UsageError(
    `${resultsOf(plan)}, and the others have to be computed on the same, not on ${describe(wanted)}. ` +
      `Leave out that backend or device to resume them, ${waysOut}`,
  );
}

/** The error where the backend of earlier results does not start here. */
export function whyNotContinued(plan: ExperimentPlan, problem: string): EnvironmentError {
  return new EnvironmentError(
    `${resultsOf(plan)}, and the others have to be computed on the same, which does not start here:\n` +
      `${problem}.\nOr ${waysOut}`,
  );
}

async function startPlanned(
  experiment: Experiment,
  options: PrepareOptions,
  plan: ExperimentPlan,
): Promise<BackendReport> {
  const { name, device, recorded } = requestBackend(experiment, options, plan);
  try {
    return await startBackend(name, device);
  } catch (error) {
    if (!recorded || !(error instanceof FlnError)) throw error;
    // Another backend, which the message may suggest, is no alternative for these results.
    const problem = error instanceof BackendUnavailable ? error.problem : error.message;
    throw whyNotContinued(plan, problem);
  }
}

const resultsOf = ({ directory, previous }: ExperimentPlan): string =>
  `${directory} holds results that were computed on ${previous ? describe(previous.backend) : ''}`;

const describe = ({ name, device }: { readonly name: string; readonly device?: Device }): string =>
  `the backend "${name}"${device === undefined ? '' : ` (device ${device})`}`;

const waysOut =
  'retrain everything with --overwrite (without --resume, --only and --seeds; in a sweep: --rerun all), ' +
  'or write elsewhere with --out DIR';

async function load(
  experiment: Experiment,
  options: PrepareOptions,
  emit: (event: ExperimentEvent) => void,
): Promise<Pick<Preparation, 'dataset' | 'downloadBytes'>> {
  const { dataDir, cacheDir, offline, dryRun, signal } = options;
  try {
    const dataset = await loadDefinition(experiment.data, experiment.dataset, {
      dataDir,
      cacheDir,
      offline,
      dryRun,
      signal,
      onProgress: (progress) => emit({ type: 'download', progress }),
      onWarning: (message) => emit({ type: 'warning', message }),
    });
    emit({
      type: 'dataset',
      name: dataset.name,
      train: dataset.train.count,
      validation: dataset.validation?.count ?? 0,
      test: dataset.test.count,
      ...(dataset.augment && { augment: dataset.augment }),
      ...(dataset.stream && { stream: dataset.stream }),
    });
    return signal?.aborted ? {} : { dataset };
  } catch (error) {
    if (signal?.aborted) return {};
    if (error instanceof DownloadNeeded) return { downloadBytes: error.bytes };
    throw error;
  }
}
