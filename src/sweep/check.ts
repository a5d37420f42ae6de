import { existsSync } from 'node:fs';
import { type BackendReport, BackendUnavailable } from '../backend/backend.js';
import type { Trial as BackendTrial } from '../backend/install/probe.js';
import { probeBackend } from '../backend/install/probe.js';
import { startBackend } from '../backend/registry.js';
import { hasBinding } from '../backend/tensorflow/binding.js';
import { listGpus } from '../backend/tensorflow/cuda.js';
import type { Experiment } from '../config/experiment.js';
import { DownloadNeeded } from '../data/file-errors.js';
import { loadDefinition, splitSizes } from '../data/load.js';
import { EnvironmentError, FlnError, UsageError } from '../errors.js';
import { refuseBeyondMemory } from '../experiment/memory.js';
import { planExperiment } from '../experiment/plan.js';
import { type BackendRequest, requestBackend, whyNotContinued } from '../experiment/prepare.js';
import { plural } from '../shared/text.js';
import type { LaunchOptions } from './launcher.js';
import { sweepPaths } from './paths.js';
import type { SweepPlan, SweepPlanOptions } from './plan.js';

export type CheckOptions = Pick<SweepPlanOptions, 'rerun'> &
  Pick<LaunchOptions, 'flags' | 'gpus' | 'signal'> & { readonly dryRun?: boolean };

/** The result of checking, before a sweep starts, whether its trials can run on this machine. */
export interface SweepCheck {
  /** Backends and devices of the trials, without duplicates. */
  readonly backends: readonly (Omit<BackendReport, 'memory'> & { readonly gpu?: string })[];
  /** Data sets, and how many bytes of each must be downloaded. */
  readonly datasets: readonly { readonly name: string; readonly downloadBytes: number }[];
  /** The trials that would fail, by reason; some trials can run. */
  readonly failing: readonly { readonly reason: string; readonly trials: readonly string[] }[];
  readonly warnings: readonly string[];
}

/**
 * Does the checks that each due trial does before it writes anything, once for all trials that share
 * them: verifies the data, starts the backend (on each GPU), and compares the memory. Writes nothing.
 * @throws FlnError where no trial can run, with the exit code of the first reason
 */
export async function checkTrials(plan: SweepPlan, options: CheckOptions): Promise<SweepCheck> {
  const { due, directory } = plan;
  const warnings: string[] = [];
  if (options.gpus && due.length > 0) refuseUnknownGpus(options.gpus);
  const data = once((experiment: Experiment) => readData(experiment, options, warnings));
  const backends = once(({ name, device }: BackendRequest) =>
    startOn(name, device, options.gpus, options.signal ?? new AbortController().signal),
  );
  const failures = new Map<string, { error: FlnError; trials: string[] }>();
  for (const { id, experiment } of due) {
    try {
      // Not for results that --rerun all deletes.
      const run = sweepPaths(directory).trial(id);
      const isKept = options.rerun !== 'all' && existsSync(run);
      const own = isKept
        ? planExperiment(experiment, {
            outDir: run,
            resume: true,
            rerun: 'failed',
            dryRun: options.dryRun,
          })
        : { directory: run, runs: [] };
      await data(JSON.stringify(experiment.dataset), experiment);
      const { train } = splitSizes(experiment.data, experiment.dataset);
      const request = requestBackend(experiment, { device: options.gpus && 'cuda' }, own);
      const { name, device, recorded } = request;
      const started = await backends(`${name} ${device}`, request);
      for (const { trial } of started) {
        if (!trial.works) {
          const problem = trial.problem ?? trial.reason;
          throw recorded ? whyNotContinued(own, problem) : new EnvironmentError(trial.reason);
        }
        refuseBeyondMemory(experiment, experiment.methods, train, trial.report);
      }
    } catch (error) {
      if (!(error instanceof FlnError)) throw error;
      const failure = failures.get(error.message) ?? { error, trials: [] };
      failures.set(error.message, { error, trials: [...failure.trials, id] });
    }
  }
  const failing = [...failures.values()];
  const [first] = failing;
  if (first && failing.reduce((sum, { trials }) => sum + trials.length, 0) === due.length) {
    const message = failing.map(({ error }) => error.message).join('\n');
    throw new FlnError(message, first.error.exitCode);
  }
  return {
    backends: (await backends.all()).flat().flatMap(({ gpu, trial }) => {
      if (!trial.works) return [];
      const { memory: _, ...report } = trial.report;
      return [{ ...report, ...(gpu !== undefined && { gpu }) }];
    }),
    datasets: await data.all(),
    failing: failing.map(({ error, trials }) => ({ reason: error.message, trials })),
    warnings,
  };
}

/** One line for each reason for which trials would fail. */
export const failingText = (check: SweepCheck, due: number): string[] =>
  check.failing.map(
    ({ reason, trials }) =>
      `${trials.length} of ${plural(due, 'trial')} would fail (${trials.slice(0, 3).join(', ')}${trials.length > 3 ? ', ...' : ''}): ${reason}`,
  );

/** Memoizes `work` by key. */
function once<Input, Output>(work: (input: Input) => Promise<Output>) {
  const results = new Map<string, Promise<Output>>();
  const get = (key: string, input: Input): Promise<Output> => {
    const result = results.get(key) ?? work(input);
    results.set(key, result);
    return result;
  };
  /** The results, without failures. */
  const all = async () =>
    (await Promise.allSettled(results.values())).flatMap((result) =>
      result.status === 'fulfilled' ? [result.value] : [],
    );
  return Object.assign(get, { all });
}

async function readData(
  { data, dataset: request }: Experiment,
  { flags, signal }: CheckOptions,
  warnings: string[],
): Promise<SweepCheck['datasets'][number]> {
  const { dataDir, offline } = flags;
  const onWarning = (message: string) => void warnings.push(message);
  try {
    await loadDefinition(data, request, { dataDir, offline, signal, onWarning, dryRun: true });
    return { name: request.name, downloadBytes: 0 };
  } catch (error) {
    if (error instanceof DownloadNeeded) return { name: request.name, downloadBytes: error.bytes };
    throw error;
  }
}

/** Starts a backend, on each of the GPUs where any are given. */
async function startOn(
  name: string,
  device: BackendRequest['device'],
  gpus: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<{ readonly gpu?: string; readonly trial: BackendTrial }[]> {
  if (gpus === undefined) return [{ trial: await start(name, device, signal) }];
  return Promise.all(
    gpus.map(async (gpu) => {
      const trial = await start(name, device, signal, { CUDA_VISIBLE_DEVICES: gpu });
      if (trial.works) return { gpu, trial };
      const problem = `no trial can run on GPU ${gpu}: ${trial.problem ?? trial.reason}`;
      const reason = `${problem}. Without --gpus, trials run on any available device`;
      return { gpu, trial: { works: false, reason, problem } };
    }),
  );
}

async function start(
  name: string,
  device: BackendRequest['device'],
  signal: AbortSignal,
  env?: Readonly<Record<string, string>>,
): Promise<BackendTrial> {
  const isEmbedded = name === 'wasm' || name === 'cpu';
  // A native library is loaded in a separate process: this one would hold the GPU while the trials run.
  if (name === 'webgpu' ? device === undefined : !isEmbedded && hasBinding()) {
    return probeBackend(name, signal, { device, env });
  }
  try {
    return { works: true, report: await startBackend(name, device) };
  } catch (error) {
    if (!(error instanceof FlnError)) throw error;
    const problem = error instanceof BackendUnavailable ? error.problem : undefined;
    return { works: false, reason: error.message, problem };
  }
}

/** @throws UsageError for an invalid GPU; EnvironmentError for one that this machine does not have */
function refuseUnknownGpus(gpus: readonly string[]): void {
  const bad = gpus.find((gpu) => !/^(\d+|(GPU|MIG)-[\w/-]+)$/.test(gpu));
  if (bad !== undefined) {
    throw new UsageError(
      `--gpus: expected numbers or UUIDs of GPUs as listed by nvidia-smi -L, got "${bad}"`,
    );
  }
  const listed = listGpus();
  if (listed === undefined) return;
  const isListed = (gpu: string) =>
    gpu.startsWith('MIG-') ||
    listed.some(({ index, uuid }) => (/^\d+$/.test(gpu) ? index === gpu : uuid.startsWith(gpu)));
  const missing = gpus.filter((gpu) => !isListed(gpu));
  if (missing.length === 0) return;
  const present = listed.map(({ index }) => index).join(', ') || 'none';
  throw new EnvironmentError(
    `--gpus: this machine has no GPU ${missing.join(', ')}; nvidia-smi lists ${present}`,
  );
}
