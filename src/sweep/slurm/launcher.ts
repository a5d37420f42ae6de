import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EnvironmentError, UsageError } from '../../errors.js';
import { writeFileAtomic } from '../../files/atomic.js';
import { makeFolder } from '../../files/folder.js';
import { plural } from '../../shared/text.js';
import { startable } from '../halving/queue.js';
import { type Launcher, type LaunchOptions, trialCommand } from '../launcher.js';
import { sweepPaths } from '../paths.js';
import type { SweepPlan } from '../plan.js';
import { writeState } from '../state.js';
import {
  ask,
  type ClusterConfig,
  clusterConfig,
  clustersOf,
  requireSlurm,
  sbatch,
  submittedJob,
} from './commands.js';
import { hasEndedIn, openJobs } from './cross-check.js';
import {
  isQueued,
  jobName,
  lookUpJobs,
  type Queue,
  readJobs,
  type SlurmJob,
  tasksOf,
  writeJobs,
} from './jobs.js';
import {
  type ArrayJob,
  checkSbatch,
  literalPath,
  type SbatchOptions,
  type SlurmSettings,
  sbatchArguments,
  trialScript,
} from './script.js';

export interface SlurmOptions {
  readonly settings: SlurmSettings;
  /** sbatch options from the command line, which override those of the sweep file. */
  readonly given: SbatchOptions;
  /** Also submit trials whose earlier job is in an unknown state. */
  readonly resubmit?: boolean;
}

interface Slurm {
  readonly options: SbatchOptions;
  /** Clusters among which sbatch chooses; undefined for that of this machine. */
  readonly clusters?: readonly string[];
  /** Name of the cluster of this machine, if jobs are submitted to it. */
  readonly home?: string;
  readonly maxArraySize: number;
}

/**
 * A launcher that submits the due trials as Slurm array jobs and does not wait for them. Trials that are
 * already in the queue are not submitted again.
 * @throws EnvironmentError when Slurm is not available, UsageError for options that conflict with its own
 */
export async function slurmLauncher(given: SlurmOptions): Promise<Launcher> {
  const slurm = await inspectSlurm(given);
  return async (plan, options, emit) => {
    const { directory } = plan;
    const now = startable(plan, (state) => writeState(directory, state));
    const planned = await planArrays(slurm, given, now, options);
    const { arrays, earlier, messages, throttled } = planned;
    for (const message of messages) emit({ type: 'warning', message });
    for (const job of throttled) {
      const message = await setThrottle(directory, job, earlier, options.jobs);
      emit({ type: 'warning', message });
    }
    makeFolder(sweepPaths(directory).slurm);
    let previous = [...earlier.keys()];
    for (const array of arrays) {
      if (options.signal?.aborted) return { stopped: 'interrupted' };
      writeFileAtomic(array.list, `${array.trials.join('\n')}\n`);
      writeFileAtomic(array.script, array.text);
      const args = ['--parsable', ...array.args(previous), array.script];
      const job = submittedJob(await sbatch(args));
      const record: SlurmJob = {
        ...job,
        home: job.cluster === undefined ? slurm.home : undefined,
        throttle: options.jobs,
        submittedAt: new Date().toISOString(),
        trials: [...array.trials],
      };
      try {
        writeJobs(directory, [...readJobs(directory), record]);
      } catch (error) {
        // A job that is not recorded would be submitted again.
        await ask('scancel', [job.id], { cluster: job.cluster });
        throw error;
      }
      emit({ type: 'submitted', job: jobName(job), trials: array.trials.length });
      previous = [record];
    }
    return { stopped: 'submitted' };
  };
}

/** What a launch would submit. */
export interface SlurmPreview {
  readonly messages: readonly string[];
  readonly submissions: readonly {
    readonly trials: readonly string[];
    /** The sbatch command; ids of jobs that are not submitted yet are JOB1, JOB2, ... */
    readonly command: readonly string[];
    readonly script: string;
  }[];
}

/**
 * Has Slurm check (sbatch --test-only) the first job that a launch would submit; submits and writes nothing.
 * @throws as a launch would
 */
export async function previewSlurm(
  given: SlurmOptions,
  plan: SweepPlan,
  options: LaunchOptions,
): Promise<SlurmPreview> {
  const slurm = await inspectSlurm(given);
  const now = startable(plan, () => {});
  const { arrays, earlier, messages, throttled } = await planArrays(slurm, given, now, options);
  const [first] = arrays;
  if (first) await sbatch(['--test-only', ...first.args([])], first.text);
  const limits = throttled.map(
    (job) => `Slurm job ${jobName(job)} would run ${options.jobs} trials at a time from now on`,
  );
  const submissions = arrays.map((array, i) => {
    const previous = i === 0 ? [...earlier.keys()] : [{ id: `JOB${i}` }];
    const command = ['sbatch', '--parsable', ...array.args(previous), array.script];
    return { trials: array.trials, command, script: array.text };
  });
  return { messages: [...messages, ...limits], submissions };
}

async function inspectSlurm({ settings, given }: SlurmOptions): Promise<Slurm> {
  const options = { ...settings.options, ...given };
  checkSbatch(options);
  requireSlurm();
  const clusters = clustersOf(options);
  const configs: ClusterConfig[] = [];
  for (const cluster of clusters ?? []) {
    // sbatch reports what is wrong with a cluster.
    const config = await clusterConfig({ cluster }).catch(() => undefined);
    if (config) configs.push(config);
  }
  if (configs.length === 0) configs.push(await clusterConfig({ isHere: true }));
  const maxArraySize = Math.min(...configs.map((config) => config.maxArraySize));
  if (maxArraySize < 1) {
    throw new EnvironmentError(
      'this Slurm does not allow array jobs (MaxArraySize is 0): use --launcher local in a job',
    );
  }
  return { options, clusters, home: clusters ? undefined : configs[0].name, maxArraySize };
}

type Previous = Pick<SlurmJob, 'id' | 'cluster' | 'home'>;

/**
 * @returns `earlier`: jobs of the sweep that may still be in the queue; `throttled`: those of them whose
 *   limit of trials that run at the same time changes
 */
async function planArrays(
  slurm: Slurm,
  { settings, resubmit }: SlurmOptions,
  { directory, due, manifest, status }: SweepPlan,
  { jobs: throttle, flags }: LaunchOptions,
) {
  const jobs = readJobs(directory);
  const all = await lookUpJobs(openJobs(directory, jobs));
  const earlier: Queue = new Map(
    [...all].filter(([, { is }]) => is === 'queued' || (is === 'unknown' && !resubmit)),
  );
  const tasks = tasksOf(jobs);
  const states = new Map(status.trials.map(({ trial, state }) => [trial.id, state]));
  const count = { queued: 0, unknown: 0 };
  const isToSubmit = (id: string) => {
    const task = tasks.get(id);
    const state = states.get(id);
    if (!task || (state && hasEndedIn(state, task.job))) return true;
    const queued = isQueued(earlier, task);
    if (queued !== false) count[queued ? 'queued' : 'unknown']++;
    return queued === false;
  };
  const trials = due.map(({ id }) => id).filter(isToSubmit);
  const messages: string[] = [];
  if (count.queued > 0) {
    messages.push(`${plural(count.queued, 'trial')} already in Slurm: not submitted again`);
  }
  if (count.unknown > 0) {
    messages.push(
      `${plural(count.unknown, 'trial')} may still be in Slurm: not submitted again. ` +
        'If the jobs have ended, add --resubmit',
    );
  }
  const command = trialCommand(directory, flags);
  const cached = command.find((word) => /[\\/]_npx[\\/]/.test(word));
  if (cached !== undefined && trials.length > 0) {
    messages.push(
      `the jobs run ${cached} in the npx cache, which npm may delete while they are pending: ` +
        'install the package and start the sweep with the installed program',
    );
  }
  if (throttle !== undefined && trials.length > 0) refuseOtherClusters(slurm, earlier);
  const folder = sweepPaths(directory).slurm;
  const first = nextNumber(folder);
  const size = slurm.maxArraySize;
  const arrays = Array.from({ length: Math.ceil(trials.length / size) }, (_, i) => {
    const part = trials.slice(i * size, (i + 1) * size);
    const base = join(folder, `job-${first + i}`);
    const list = `${base}.trials`;
    const text = trialScript({ list, logs: join(directory, 'logs'), command, settings });
    const job: ArrayJob = {
      name: manifest.name,
      tasks: part.length,
      output: join(literalPath(folder), '%A_%a.out'),
      settings,
      options: slurm.options,
      throttle,
    };
    /** Arguments of sbatch, after the jobs that this one may have to wait for. */
    const args = (previous: readonly Previous[]) =>
      // Slurm limits each array separately, so the arrays run one after another.
      sbatchArguments(throttle === undefined ? job : { ...job, ...following(previous, slurm) });
    return { trials: part, list, script: `${base}.sh`, text, args };
  });
  const throttled = [...earlier]
    .filter(([job, { is }]) => is === 'queued' && throttle && job.throttle !== throttle)
    .map(([job]) => job);
  return { arrays, earlier, throttled, messages };
}

/** A dependency on earlier jobs, which have to be on the same cluster. */
function following(
  previous: readonly Previous[],
  { clusters = [], options }: Slurm,
): Partial<ArrayJob> {
  const [cluster] = previous.flatMap((job) => job.cluster ?? job.home ?? []);
  const isChosen = cluster !== undefined && clusters.length > 1;
  return {
    after: previous.map(({ id }) => id),
    options: isChosen ? { ...options, clusters: cluster } : options,
  };
}

/** @throws UsageError when the limit would apply to jobs on several clusters */
function refuseOtherClusters({ clusters, home }: Slurm, earlier: Queue): void {
  const here = clusters ?? (home === undefined ? undefined : [home]);
  const clustersOfJobs = new Set<string>();
  for (const job of earlier.keys()) {
    const cluster = job.cluster ?? job.home;
    if (cluster === undefined) continue;
    clustersOfJobs.add(cluster);
    if (clustersOfJobs.size === 1 && (!here || here.includes(cluster))) continue;
    throw new UsageError(
      `--jobs cannot limit trials on several clusters, and Slurm job ${jobName(job)} of this sweep has not ended. ` +
        'Wait for it, cancel it with --cancel, submit to its cluster (--sbatch clusters=NAME), or remove --jobs',
    );
  }
}

/** Number of the next script. Earlier ones are kept, since a pending job reads its list when it starts. */
function nextNumber(folder: string): number {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // No job was submitted yet.
  }
  const numbers = names.map((name) => Number(/^job-(\d+)\./.exec(name)?.[1] ?? 0));
  return 1 + Math.max(0, ...numbers);
}

/** Changes how many tasks of a job run at the same time. @returns a message for the user */
async function setThrottle(
  directory: string,
  job: SlurmJob,
  queue: Queue,
  throttle = 1,
): Promise<string> {
  const update = ['update', `JobId=${job.id}`, `ArrayTaskThrottle=${throttle}`];
  const answer = await ask('scontrol', update, queue.get(job)?.asking);
  if ('failure' in answer) {
    return `the limit of Slurm job ${jobName(job)} could not be changed: ${answer.failure}`;
  }
  const isSame = ({ id, cluster }: SlurmJob) => id === job.id && cluster === job.cluster;
  const jobs = readJobs(directory);
  writeJobs(
    directory,
    jobs.map((other) => (isSame(other) ? { ...other, throttle } : other)),
  );
  return `Slurm job ${jobName(job)} runs ${throttle} trials at a time from now on`;
}
