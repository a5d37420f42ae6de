import { join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../../errors.js';
import { writeFileAtomic } from '../../files/atomic.js';
import { readOptional } from '../../files/read.js';
import { sweepPaths } from '../paths.js';
import { type Answer, type Asking, ask, clusterConfig } from './commands.js';

const clusterName = z.string().min(1);

const Job = z.object({
  id: z.string().regex(/^\d+$/),
  /** As printed by sbatch; only on sites with several clusters. */
  cluster: clusterName.optional(),
  /** The cluster of the machine that submitted it. */
  home: clusterName.optional(),
  /** Maximum number of tasks that run at the same time. */
  throttle: z.int().positive().optional(),
  submittedAt: z.string(),
  trials: z.array(z.string()),
});

/** An array job in slurm/jobs.json; task k runs `trials[k]`. */
export type SlurmJob = Readonly<z.infer<typeof Job>>;

const jobsPath = (directory: string) => join(sweepPaths(directory).slurm, 'jobs.json');

/** @throws UsageError when slurm/jobs.json is damaged */
export function readJobs(directory: string): SlurmJob[] {
  const path = jobsPath(directory);
  const text = readOptional(path);
  if (text === undefined) return [];
  try {
    return z.array(Job).parse(JSON.parse(text));
  } catch {
    throw new UsageError(
      `${path} is damaged, so the jobs of this sweep are unknown. Delete it when squeue lists none of them`,
    );
  }
}

/** @throws DiskError */
export function writeJobs(directory: string, jobs: readonly SlurmJob[]): void {
  writeFileAtomic(jobsPath(directory), `${JSON.stringify(jobs, null, 1)}\n`);
}

/** `101`, `101 on cluster gpu` */
export const jobName = ({ id, cluster }: Pick<SlurmJob, 'id' | 'cluster'>): string =>
  cluster === undefined ? id : `${id} on cluster ${cluster}`;

/** A task of an array job. */
export interface JobTask {
  readonly job: SlurmJob;
  readonly task: number;
}

/** The last task of each trial. */
export function tasksOf(jobs: readonly SlurmJob[]): Map<string, JobTask> {
  return new Map(
    jobs.flatMap((job) => job.trials.map((trial, task) => [trial, { job, task }] as const)),
  );
}

/** A task in the queue: its state (`PENDING`, `RUNNING`, ...) and why it is pending. */
export interface QueuedTask {
  readonly state: string;
  readonly reason: string;
}

/** The state of a job in Slurm; `tasks` are those that have not ended, by number. */
export type JobState =
  | { readonly is: 'queued'; readonly tasks: ReadonlyMap<number, QueuedTask> }
  | { readonly is: 'ended' }
  /** Slurm does not answer, or the cluster of the job is not known. */
  | { readonly is: 'unknown'; readonly why: string };

/** The states of jobs, each with the cluster that was asked. */
export type Queue = ReadonlyMap<SlurmJob, JobState & { readonly asking: Asking }>;

const format = '%F|%K|%T|%r';

/** Parses the output of `squeue -h -r -o '%F|%K|%T|%r'`: the tasks of each job. */
export function parseQueue(text: string): Map<string, Map<number, QueuedTask>> {
  const jobs = new Map<string, Map<number, QueuedTask>>();
  for (const line of text.split('\n')) {
    const [job, task, state, reason] = line.trim().split('|');
    if (reason === undefined) continue;
    const tasks = jobs.get(job) ?? new Map<number, QueuedTask>();
    jobs.set(job, tasks.set(Number(task), { state, reason }));
  }
  return jobs;
}

/**
 * Looks up jobs by their ids, each on its cluster. A job that squeue does not list counts as ended only if
 * scontrol or sacct report that.
 */
export async function lookUpJobs(jobs: readonly SlurmJob[]): Promise<Queue> {
  const isHome = ({ cluster, home }: SlurmJob) => cluster === undefined && home !== undefined;
  const here = jobs.some(isHome) ? await nameOfThisCluster() : undefined;
  const places = new Map<string, { asking: Asking; jobs: SlurmJob[] }>();
  for (const job of jobs) {
    // Job ids are unique only within a cluster.
    const elsewhere = here?.name === job.home ? undefined : here?.name && job.home;
    const cluster = job.cluster ?? elsewhere;
    const asking = { cluster, isHere: cluster === undefined && isHome(job) };
    const key = JSON.stringify(asking);
    const place = places.get(key) ?? { asking, jobs: [] };
    places.set(key, place);
    place.jobs.push(job);
  }
  const queue = new Map<SlurmJob, JobState & { asking: Asking }>();
  for (const { asking, jobs } of places.values()) {
    for (const [job, answer] of await lookUpOn(asking, jobs)) {
      const isUnsure = answer.is === 'ended' && asking.isHere && here?.name === undefined;
      const sure: JobState = isUnsure ? { is: 'unknown', why: here?.why ?? '' } : answer;
      queue.set(job, { ...sure, asking });
    }
  }
  return queue;
}

async function nameOfThisCluster(): Promise<{ name?: string; why: string }> {
  try {
    const { name } = await clusterConfig({ isHere: true });
    return { name, why: 'scontrol does not print the name of the cluster' };
  } catch (error) {
    return { why: (error as Error).message };
  }
}

async function lookUpOn(
  asking: Asking,
  jobs: readonly SlurmJob[],
): Promise<Map<SlurmJob, JobState>> {
  const ids = jobs.map(({ id }) => id).join(',');
  const listed = await ask('squeue', ['-h', '-a', '-r', '-j', ids, '-o', format], asking);
  const tasks = parseQueue('text' in listed ? listed.text : '');
  const queue = new Map<SlurmJob, JobState>();
  for (const job of jobs) {
    const own = tasks.get(job.id);
    // Given several ids, squeue ignores those that the controller does not know.
    if (own) queue.set(job, { is: 'queued', tasks: own });
    else if (jobs.length === 1 && isUnknownToSlurm(listed)) queue.set(job, { is: 'ended' });
    else queue.set(job, await stateOfUnlisted(job, asking, listed));
  }
  return queue;
}

/** The state of a job that squeue does not list. */
async function stateOfUnlisted(
  { id }: SlurmJob,
  asking: Asking,
  listed: Answer,
): Promise<JobState> {
  const failures = 'failure' in listed ? [listed.failure] : [];
  const states = async (command: string, args: readonly string[], pattern: RegExp) => {
    const answer = await ask(command, args, asking);
    if ('text' in answer) return [...answer.text.matchAll(pattern)].map(([, state]) => state);
    if (isUnknownToSlurm(answer)) return 'ended' as const;
    failures.push(answer.failure);
    return undefined;
  };
  const sources = [
    ['scontrol', ['show', 'job', id], /\bJobState=([A-Z_]+)/g],
    ['sacct', ['-n', '-X', '-P', '-j', id, '-o', 'State'], /^([A-Z_]+)/gm],
  ] as const;
  for (const [command, args, pattern] of sources) {
    const found = await states(command, args, pattern);
    if (found === 'ended') return { is: 'ended' };
    if (found === undefined || found.length === 0) continue;
    const left = found.find((state) => !endStates.includes(state));
    if (left === undefined) return { is: 'ended' };
    return {
      is: 'unknown',
      why: `squeue does not list it, but its state in ${command} is ${left}`,
    };
  }
  const [why = 'neither squeue nor scontrol lists it'] = failures;
  return { is: 'unknown', why };
}

/** The controller has no such job: it forgets jobs some minutes after they end. */
const isUnknownToSlurm = (answer: Answer): boolean =>
  'failure' in answer && /invalid job id/i.test(answer.failure);

/** Final states. Not REVOKED: such a job runs on another cluster. */
const endStates = [
  'BOOT_FAIL',
  'CANCELLED',
  'COMPLETED',
  'DEADLINE',
  'FAILED',
  'NODE_FAIL',
  'OUT_OF_MEMORY',
  'PREEMPTED',
  'TIMEOUT',
];

/** Whether a task is in the queue, pending or running; undefined when unknown. */
export function isQueued(queue: Queue, { job, task }: JobTask): boolean | undefined {
  const state = queue.get(job);
  if (state?.is === 'queued') return state.tasks.has(task);
  return state?.is === 'unknown' ? undefined : false;
}
