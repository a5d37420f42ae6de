import { existsSync } from 'node:fs';
import { type BackendReport, BackendUnavailable } from '../backend/backend.js';
import type { Trial as BackendTrial } from '../backend/install/probe.js';
import { probeBackend } from '../backend/install/probe.js';
import { startBackend } from '../backend/registry.js';
import { hasBinding } from '../backend/tensorflow/binding.js';
import { listGpus } from '../backend/tensorflow/cuda.js';
import type { Experiment } from '../config/experiment.js';
import { DownloadNeeded } from '../data/file-errors.js';
import { loadDataset, splitSizes } from '../data/load.js';
import { findDataset } from '../data/registry.js';
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

/** What the trials of a sweep meet on this machine. */
export interface SweepCheck {
  /** What they would compute on, each once. */
  readonly backends: readonly (Omit<BackendReport, 'memory'> & { readonly gpu?: string })[];
  /** Data sets, and how many bytes of each have to be downloaded. */
  readonly datasets: readonly { readonly name: string; readonly downloadBytes: number }[];
  /** Why some of the trials would fail; that all would is an error. */
  readonly failing: readonly { readonly reason: string; readonly trials: readonly string[] }[];
  readonly warnings: readonly string[];
}

/**
 * Does for the trials that are due what each of them does before it writes anything, once for all that
 * have it in common: reads and verifies the data, starts the backend (on each GPU), compares the memory.
 * A native library is loaded in a process of its own: this one would hold a GPU while the trials run.
 * Writes nothing.
 * @throws FlnError where no trial could run, with the exit code that its reason has
 */
export async function checkTrials(plan: SweepPlan, options: CheckOptions): Promise<SweepCheck> {
  const { due, directory } = plan;
  const warnings: string[] = [];
  if (options.gpus && due.length > 0) refuseUnknownGpus(options.gpus);
  const data = once(({ dataset }: Experiment) => readData(dataset, options, warnings));
  const backends = once(({ name, device }: BackendRequest) =>
    startOn(name, device, options.gpus, options.signal ?? new AbortController().signal),
  );
  const failures = new Map<string, { error: FlnError; trials: string[] }>();
  for (const { id, experiment } of due) {
    try {
      // Results that --rerun all removes first play no part.
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
      await data(experiment.dataset.name, experiment);
      const { train } = splitSizes(findDataset(experiment.dataset.name), experiment.dataset);
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

/** What a check says of trials that would fail, for people. */
export const failingText = (check: SweepCheck, due: number): string[] =>
  check.failing.map(
    ({ reason, trials }) =>
      `${trials.length} of ${plural(due, 'trial')} would fail (${trials.slice(0, 3).join(', ')}${trials.length > 3 ? ', ...' : ''}): ${reason}`,
  );

/** Does `work` once for each key, and remembers what came of it. */
function once<Input, Output>(work: (input: Input) => Promise<Output>) {
  const results = new Map<string, Promise<Output>>();
  const get = (key: string, input: Input): Promise<Output> => {
    const result = results.get(key) ?? work(input);
    results.set(key, result);
    return result;
  };
  /** Of the work that did not fail. */
  const all = async () =>
    (await Promise.allSettled(results.values())).flatMap((result) =>
      result.status === 'fulfilled' ? [result.value] : [],
    );
  return Object.assign(get, { all });
}

async function readData(
  request: Experiment['dataset'],
  { flags, signal }: CheckOptions,
  warnings: string[],
): Promise<SweepCheck['datasets'][number]> {
  const { dataDir, offline } = flags;
  const onWarning = (message: string) => void warnings.push(message);
  try {
    await loadDataset(request, { dataDir, offline, signal, onWarning, dryRun: true });
    return { name: request.name, downloadBytes: 0 };
  } catch (error) {
    if (error instanceof DownloadNeeded) return { name: request.name, downloadBytes: error.bytes };
    throw error;
  }
}

interface StartedOn {
  readonly gpu?: string;
  readonly trial: BackendTrial;
}

async function startOn(
  name: string,
  device: BackendRequest['device'],
  gpus: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<StartedOn[]> {
  if (gpus === undefined) return [{ trial: await start(name, device, signal) }];
  return Promise.all(
    gpus.map(async (gpu) => {
      const trial = await start(name, device, signal, { CUDA_VISIBLE_DEVICES: gpu });
      if (trial.works) return { gpu, trial };
      const problem = `no trial can compute on GPU ${gpu}: ${trial.problem ?? trial.reason}`;
      const reason = `${problem}. Leave --gpus out to compute on what there is`;
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
  if (name === 'webgpu' ? device === undefined : !isEmbedded && hasBinding()) {
    return probeBackend(name, signal, { device, env });
  }
  // There is nothing native to load.
  try {
    return { works: true, report: await startBackend(name, device) };
  } catch (error) {
    if (!(error instanceof FlnError)) throw error;
    const problem = error instanceof BackendUnavailable ? error.problem : undefined;
    return { works: false, reason: error.message, problem };
  }
}

/** @throws UsageError for what names no GPU; EnvironmentError for one that is not among those of this machine */
function refuseUnknownGpus(gpus: readonly string[]): void {
  const bad = gpus.find((gpu) => !/^(\d+|(GPU|MIG)-[\w/-]+)$/.test(gpu));
  if (bad !== undefined) {
    throw new UsageError(
      `--gpus: "${bad}" names no GPU; give their numbers or UUIDs, as nvidia-smi -L lists them`,
    );
  }
  const listed = listGpus();
  if (listed === undefined) return;
  const isListed = (gpu: string) =>
    gpu.startsWith('MIG-') ||
    listed.some(({ index, uuid }) => (/^\d+$/.test(gpu) ? index === gpu : uuid.startsWith(gpu)));
  const missing = gpus.filter((gpu) => !isListed(gpu));
  if (missing.length === 0) return;
  const there = listed.map(({ index }) => index).join(', ') || 'none';
  throw new EnvironmentError(
    `--gpus: there is no GPU ${missing.join(', ')} on this machine; nvidia-smi lists ${there}`,
  );
}
