import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EnvironmentError, UsageError } from '../../errors.js';
import { writeFileAtomic } from '../../files/atomic.js';
import { makeFolder } from '../../files/folder.js';
import { plural } from '../../shared/text.js';
import { type Launcher, type LaunchOptions, trialCommand } from '../launcher.js';
import { sweepPaths } from '../paths.js';
import type { SweepPlan } from '../plan.js';
import {
  ask,
  type ClusterConfig,
  checkSubmission,
  clusterConfig,
  clustersOf,
  requireSlurm,
  submit,
} from './commands.js';
import { hasEndedIn, openJobs } from './cross-check.js';
import {
  askForJobs,
  isQueued,
  jobName,
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
  /** Options of sbatch from the command line; they win over the sweep file's. */
  readonly given: SbatchOptions;
  /** Submit trials whose earlier job may still be there: nobody can tell. */
  readonly resubmit?: boolean;
}

interface Slurm {
  readonly options: SbatchOptions;
  /** Clusters that sbatch chooses from; undefined for this machine's own. */
  readonly clusters?: readonly string[];
  /** The name of this machine's own, where jobs go there. */
  readonly home?: string;
  readonly maxArraySize: number;
}

/**
 * Submits the trials that are due as array jobs of Slurm, and leaves them to it: queueing, GPUs,
 * nodes and limits are what it is made for. Trials that already wait or run there are left alone.
 * @throws EnvironmentError when there is no Slurm here, UsageError for options that a sweep cannot have
 */
export async function slurmLauncher(given: SlurmOptions): Promise<Launcher> {
  const slurm = await lookAtSlurm(given);
  return async (plan, options, emit) => {
    const { directory } = plan;
    const { arrays, earlier, messages, throttled } = await planArrays(slurm, given, plan, options);
    for (const message of messages) emit({ type: 'warning', message });
    for (const job of throttled) {
      const message = await limit(directory, job, earlier, options.jobs);
      emit({ type: 'warning', message });
    }
    makeFolder(sweepPaths(directory).slurm);
    let previous = [...earlier.keys()];
    for (const array of arrays) {
      if (options.signal?.aborted) return { stopped: 'interrupted' };
      writeFileAtomic(array.list, `${array.trials.join('\n')}\n`);
      writeFileAtomic(array.script, array.text);
      const job = await submit([...sbatchArguments(array.after(previous)), array.script]);
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
        // Nobody would know of it.
        await ask('scancel', [job.id], { cluster: job.cluster });
        throw error;
      }
      emit({ type: 'submitted', job: jobName(job), trials: array.trials.length });
      previous = [record];
    }
    return { stopped: 'submitted' };
  };
}

/** What a launch would do. */
export interface SlurmPreview {
  readonly messages: readonly string[];
  readonly submissions: readonly {
    readonly trials: readonly string[];
    /** The command, in words; of a job that another has to wait for, the id is yet unknown. */
    readonly command: readonly string[];
    readonly script: string;
  }[];
}

/**
 * Has Slurm check the first job that a launch would submit; submits and writes nothing.
 * @throws as a launch would
 */
export async function previewSlurm(
  given: SlurmOptions,
  plan: SweepPlan,
  options: LaunchOptions,
): Promise<SlurmPreview> {
  const slurm = await lookAtSlurm(given);
  const { arrays, earlier, messages, throttled } = await planArrays(slurm, given, plan, options);
  const [first] = arrays;
  if (first) await checkSubmission(sbatchArguments(first.after([])), first.text);
  const limits = throttled.map(
    (job) => `Slurm job ${jobName(job)} would run ${options.jobs} trials at a time from now on`,
  );
  const submissions = arrays.map((array, i) => {
    const previous = i === 0 ? [...earlier.keys()] : [{ id: `JOB${i}` }];
    const args = sbatchArguments(array.after(previous));
    const command = ['sbatch', '--parsable', ...args, array.script];
    return { trials: array.trials, command, script: array.text };
  });
  return { messages: [...messages, ...limits], submissions };
}

async function lookAtSlurm({ settings, given }: SlurmOptions): Promise<Slurm> {
  const options = { ...settings.options, ...given };
  checkSbatch(options);
  requireSlurm();
  const clusters = clustersOf(options);
  const configs: ClusterConfig[] = [];
  for (const cluster of clusters ?? []) {
    // sbatch knows what is wrong with a cluster, and says so.
    const config = await clusterConfig({ cluster }).catch(() => undefined);
    if (config) configs.push(config);
  }
  if (configs.length === 0) configs.push(await clusterConfig({ isHere: true }));
  const maxArraySize = Math.min(...configs.map((config) => config.maxArraySize));
  if (maxArraySize < 1) {
    throw new EnvironmentError(
      'this Slurm takes no array jobs (MaxArraySize is 0): use --launcher local in a job of its own',
    );
  }
  return { options, clusters, home: clusters ? undefined : configs[0].name, maxArraySize };
}

interface PlannedArray {
  readonly trials: readonly string[];
  readonly list: string;
  readonly script: string;
  readonly text: string;
  /** The job, once those that it may have to wait for are known. */
  after(previous: readonly Previous[]): ArrayJob;
}

type Previous = Pick<SlurmJob, 'id' | 'cluster' | 'home'>;

interface ArrayPlan {
  readonly arrays: readonly PlannedArray[];
  /** Jobs of the sweep that may still be there. */
  readonly earlier: Queue;
  /** Those of them that are to run another number of trials at a time. */
  readonly throttled: readonly SlurmJob[];
  readonly messages: readonly string[];
}

async function planArrays(
  slurm: Slurm,
  { settings, resubmit }: SlurmOptions,
  { directory, due, manifest, status }: SweepPlan,
  { jobs: throttle, flags }: LaunchOptions,
): Promise<ArrayPlan> {
  const jobs = readJobs(directory);
  const all = await askForJobs(openJobs(directory, jobs));
  const earlier = new Map(
    [...all].filter(([, { is }]) => is === 'queued' || (is === 'unknown' && !resubmit)),
  );
  const tasks = tasksOf(jobs);
  const states = new Map(status.trials.map(({ trial, state }) => [trial.id, state]));
  const count = { there: 0, unknown: 0 };
  const isLeft = (id: string) => {
    const task = tasks.get(id);
    const state = states.get(id);
    if (!task || (state && hasEndedIn(state, task.job))) return true;
    const queued = isQueued(earlier, task);
    if (queued !== false) count[queued ? 'there' : 'unknown']++;
    return queued === false;
  };
  const trials = due.map(({ id }) => id).filter(isLeft);
  const messages: string[] = [];
  if (count.there > 0) {
    messages.push(`${plural(count.there, 'trial')} in Slurm already: not submitted again`);
  }
  if (count.unknown > 0) {
    messages.push(
      `${plural(count.unknown, 'trial')} may still be in Slurm: not submitted again. ` +
        'If you are sure that the jobs have ended, add --resubmit',
    );
  }
  const command = trialCommand(directory, flags);
  const cached = command.find((word) => /[\\/]_npx[\\/]/.test(word));
  if (cached !== undefined && trials.length > 0) {
    messages.push(
      `the jobs run ${cached}, in the cache of npx, which npm may empty while they wait: ` +
        'install the package, and start the sweep with what is installed',
    );
  }
  if (throttle !== undefined && trials.length > 0) refuseOtherClusters(slurm, earlier);
  const paths = sweepPaths(directory);
  const arrays: PlannedArray[] = [];
  const first = firstFree(paths.slurm);
  for (let start = 0; start < trials.length; start += slurm.maxArraySize) {
    const part = trials.slice(start, start + slurm.maxArraySize);
    const base = join(paths.slurm, `job-${first + arrays.length}`);
    arrays.push({
      trials: part,
      list: `${base}.trials`,
      script: `${base}.sh`,
      text: trialScript({
        list: `${base}.trials`,
        logs: join(directory, 'logs'),
        command,
        settings,
      }),
      after: (previous) => ({
        name: manifest.name,
        tasks: part.length,
        output: join(literalPath(paths.slurm), '%A_%a.out'),
        settings,
        options: slurm.options,
        throttle,
        // Each array has a limit of its own: for the sweep to keep to it, one waits for the other.
        ...(throttle === undefined ? {} : following(previous, slurm)),
      }),
    });
  }
  const throttled = [...earlier]
    .filter(([job, { is }]) => is === 'queued' && throttle && job.throttle !== throttle)
    .map(([job]) => job);
  return { arrays, earlier, throttled, messages };
}

/** Jobs wait for others of their cluster alone. */
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

/** @throws UsageError when a limit cannot hold over two clusters */
function refuseOtherClusters({ clusters, home }: Slurm, earlier: Queue): void {
  const here = clusters ?? (home === undefined ? undefined : [home]);
  const places = new Set<string>();
  for (const job of earlier.keys()) {
    const place = job.cluster ?? job.home;
    if (place === undefined) continue;
    places.add(place);
    if (places.size === 1 && (!here || here.includes(place))) continue;
    throw new UsageError(
      `--jobs cannot limit trials on several clusters, and Slurm job ${jobName(job)} of this sweep has not ended. ` +
        'Wait for it, cancel it with --cancel, submit to its cluster (--sbatch clusters=NAME), or leave out --jobs',
    );
  }
}

/** Number of the first script that does not exist: a job that waits reads its list when it starts. */
function firstFree(folder: string): number {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // Before the first job.
  }
  const numbers = names.map((name) => Number(/^job-(\d+)\./.exec(name)?.[1] ?? 0));
  return 1 + Math.max(0, ...numbers);
}

/** Has a job that was submitted with another limit keep to this one. @returns what came of it */
async function limit(
  directory: string,
  job: SlurmJob,
  queue: Queue,
  throttle = 1,
): Promise<string> {
  const update = ['update', `JobId=${job.id}`, `ArrayTaskThrottle=${throttle}`];
  const answer = await ask('scontrol', update, queue.get(job)?.asking);
  if ('failure' in answer) {
    return `Slurm job ${jobName(job)} keeps the limit that it was submitted with: ${answer.failure}`;
  }
  const isIt = ({ id, cluster }: SlurmJob) => id === job.id && cluster === job.cluster;
  writeJobs(
    directory,
    readJobs(directory).map((other) => (isIt(other) ? { ...other, throttle } : other)),
  );
  return `Slurm job ${jobName(job)} runs ${throttle} trials at a time from now on`;
}
