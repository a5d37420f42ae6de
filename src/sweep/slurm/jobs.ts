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
  /** As sbatch named it; on sites with several clusters alone. */
  cluster: clusterName.optional(),
  /** The cluster of the machine that submitted it. */
  home: clusterName.optional(),
  /** Tasks at a time. */
  throttle: z.int().positive().optional(),
  submittedAt: z.string(),
  trials: z.array(z.string()),
});

/** An array job of a sweep, as slurm/jobs.json keeps it: its task k runs `trials[k]`. */
export type SlurmJob = Readonly<z.infer<typeof Job>>;

const jobsPath = (directory: string) => join(sweepPaths(directory).slurm, 'jobs.json');

/** @throws UsageError when the record is damaged: nobody would know which trials are queued */
export function readJobs(directory: string): SlurmJob[] {
  const path = jobsPath(directory);
  const text = readOptional(path);
  if (text === undefined) return [];
  try {
    return z.array(Job).parse(JSON.parse(text));
  } catch {
    throw new UsageError(
      `${path} is damaged. Make sure that squeue lists no job of this sweep, then delete it`,
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

/** The last task that each trial was submitted as. */
export function tasksOf(jobs: readonly SlurmJob[]): Map<string, JobTask> {
  return new Map(
    jobs.flatMap((job) => job.trials.map((trial, task) => [trial, { job, task }] as const)),
  );
}

/** A task that Slurm has: its state (`PENDING`, `RUNNING`, ...) and why it waits. */
export interface QueuedTask {
  readonly state: string;
  readonly reason: string;
}

/**
 * What Slurm says of a job. Its tasks that have not ended, by their number; or that it has ended as a
 * whole; or nothing to go by: Slurm is down, or it is another cluster's.
 */
export type JobAnswer =
  | { readonly is: 'queued'; readonly tasks: ReadonlyMap<number, QueuedTask> }
  | { readonly is: 'ended' }
  | { readonly is: 'unknown'; readonly why: string };

/** Answers about jobs, each with where it was asked for. */
export type Queue = ReadonlyMap<SlurmJob, JobAnswer & { readonly asking: Asking }>;

const format = '%F|%K|%T|%r';

/** Lines of `squeue -h -r -o '%F|%K|%T|%r'`: the tasks of each job. */
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
 * Asks Slurm for jobs by their ids, each at its cluster. A job that squeue does not list has ended only
 * where the controller or the accounting says so.
 */
export async function askForJobs(jobs: readonly SlurmJob[]): Promise<Queue> {
  const isHome = ({ cluster, home }: SlurmJob) => cluster === undefined && home !== undefined;
  const here = jobs.some(isHome) ? await nameOfHere() : undefined;
  const places = new Map<string, { asking: Asking; jobs: SlurmJob[] }>();
  for (const job of jobs) {
    // Job 7 of another cluster is not job 7 of this one.
    const elsewhere = here?.name === job.home ? undefined : here?.name && job.home;
    const cluster = job.cluster ?? elsewhere;
    const asking = { cluster, isHere: cluster === undefined && isHome(job) };
    const key = JSON.stringify(asking);
    const place = places.get(key) ?? { asking, jobs: [] };
    places.set(key, place);
    place.jobs.push(job);
  }
  const queue = new Map<SlurmJob, JobAnswer & { asking: Asking }>();
  for (const { asking, jobs } of places.values()) {
    for (const [job, answer] of await askCluster(asking, jobs)) {
      const isUnsure = answer.is === 'ended' && asking.isHere && here?.name === undefined;
      const sure: JobAnswer = isUnsure ? { is: 'unknown', why: here?.why ?? '' } : answer;
      queue.set(job, { ...sure, asking });
    }
  }
  return queue;
}

async function nameOfHere(): Promise<{ name?: string; why: string }> {
  try {
    const { name } = await clusterConfig({ isHere: true });
    return { name, why: 'scontrol names no cluster' };
  } catch (error) {
    return { why: (error as Error).message };
  }
}

async function askCluster(
  asking: Asking,
  jobs: readonly SlurmJob[],
): Promise<Map<SlurmJob, JobAnswer>> {
  const ids = jobs.map(({ id }) => id).join(',');
  const listed = await ask('squeue', ['-h', '-a', '-r', '-j', ids, '-o', format], asking);
  const tasks = parseQueue('text' in listed ? listed.text : '');
  const queue = new Map<SlurmJob, JobAnswer>();
  for (const job of jobs) {
    const own = tasks.get(job.id);
    // Of several ids, squeue passes over those that the controller does not know.
    if (own) queue.set(job, { is: 'queued', tasks: own });
    else if (jobs.length === 1 && isUnknownToSlurm(listed)) queue.set(job, { is: 'ended' });
    else queue.set(job, await isEnded(job, asking, listed));
  }
  return queue;
}

/** About a job that squeue does not list. */
async function isEnded({ id }: SlurmJob, asking: Asking, listed: Answer): Promise<JobAnswer> {
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
    return { is: 'unknown', why: `squeue does not list it, and ${command} says ${left}` };
  }
  const [why = 'neither squeue nor scontrol lists it'] = failures;
  return { is: 'unknown', why };
}

/** The controller answers, and has no such job: it forgets jobs some minutes after their end. */
const isUnknownToSlurm = (answer: Answer): boolean =>
  'failure' in answer && /invalid job id/i.test(answer.failure);

/** States that a job does not leave; a REVOKED one runs on another cluster. */
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

/** Whether Slurm has a task that has not ended; undefined when that cannot be known. */
export function isQueued(queue: Queue, { job, task }: JobTask): boolean | undefined {
  const answer = queue.get(job);
  if (answer?.is === 'queued') return answer.tasks.has(task);
  return answer?.is === 'unknown' ? undefined : false;
}
