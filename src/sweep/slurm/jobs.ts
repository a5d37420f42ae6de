import { execFile } from 'node:child_process';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { EnvironmentError, UsageError } from '../../errors.js';
import { writeFileAtomic } from '../../files/atomic.js';
import { readOptional } from '../../files/read-optional.js';
import { plural } from '../../report/text.js';
import { readManifest } from '../manifest.js';
import { refuseLinksIn, sweepPaths } from '../paths.js';
import { readState, writeState } from '../state.js';

const Jobs = z.array(
  z.object({ id: z.string().regex(/^\d+$/), submittedAt: z.string(), trials: z.array(z.string()) }),
);

/** Array jobs of a sweep, as slurm/jobs.json keeps them: task k of a job runs `trials[k]`. */
export type SlurmJobs = z.infer<typeof Jobs>;

const jobsPath = (directory: string) => join(sweepPaths(directory).slurm, 'jobs.json');

/** @throws UsageError when the record is damaged: nobody would know which trials are queued */
export function readJobs(directory: string): SlurmJobs {
  const path = jobsPath(directory);
  const text = readOptional(path);
  if (text === undefined) return [];
  try {
    return Jobs.parse(JSON.parse(text));
  } catch {
    throw new UsageError(
      `${path} is damaged. Make sure that squeue lists no job of this sweep, then delete it`,
    );
  }
}

/** @throws DiskError */
export function writeJobs(directory: string, jobs: SlurmJobs): void {
  writeFileAtomic(jobsPath(directory), `${JSON.stringify(jobs, null, 1)}\n`);
}

/** A task that Slurm has: its state (`PENDING`, `RUNNING`, ...) and why it waits. */
export interface QueuedTask {
  readonly state: string;
  readonly reason: string;
}

const format = '%F|%K|%T|%r';

/** Lines of `squeue -h -r -o '%F|%K|%T|%r'` by `JOB_TASK`. */
export function parseQueue(text: string): Map<string, QueuedTask> {
  const tasks = text
    .split('\n')
    .map((line) => line.trim().split('|'))
    .filter((fields) => fields.length === 4)
    .map(([job, task, state, reason]) => [`${job}_${task}`, { state, reason }] as const);
  return new Map(tasks);
}

/** Tasks of this user that have not ended. @throws EnvironmentError when squeue is absent or fails */
export async function queuedTasks(): Promise<Map<string, QueuedTask>> {
  const user = userInfo().username;
  return parseQueue(await slurm('squeue', ['-h', '-r', '-u', user, '-o', format]));
}

const execute = promisify(execFile);

/**
 * Runs a command of Slurm.
 * @returns what it printed
 * @throws EnvironmentError that names the command and the way out
 */
export async function slurm(command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await execute(command, args, { timeout: 60_000, maxBuffer: 1 << 26 });
    return stdout;
  } catch (error) {
    const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT') {
      throw new EnvironmentError(
        `there is no ${command} here: run this on a login node of a Slurm cluster, or use --launcher local`,
      );
    }
    const said = (stderr ?? '').trim() || message;
    throw new EnvironmentError(`${command} failed: ${said}. Is Slurm running? Try: sinfo`);
  }
}

/**
 * The job that `sbatch --parsable` printed, `JOB` or `JOB;CLUSTER`; what a site prints above it is passed over.
 * @throws EnvironmentError when there is none: the trials may be in Slurm, and nobody would know
 */
export function submittedJob(printed: string): string {
  const [, job] = /^(\d+)(?:;\S*)?$/m.exec(printed) ?? [];
  if (job !== undefined) return job;
  throw new EnvironmentError(
    `sbatch printed no job id but ${JSON.stringify(printed.slice(0, 200))}. ` +
      'If squeue lists a new job, cancel it with scancel before you try again',
  );
}

/** `JOB_TASK` of each trial, of its last job. */
export function tasksOf(jobs: SlurmJobs): Map<string, string> {
  return new Map(
    jobs.flatMap(({ id, trials }) =>
      trials.map((trial, task) => [trial, `${id}_${task}`] as const),
    ),
  );
}

/**
 * Compares the states of trials with what Slurm says: a trial that runs in no job has died with it.
 * @returns what the user should know, a line each
 */
export async function crossCheck(directory: string): Promise<string[]> {
  const jobs = readJobs(directory);
  const manifest = readManifest(directory);
  if (jobs.length === 0 || !manifest) return [];
  refuseLinksIn(directory, []);
  let queue: Map<string, QueuedTask>;
  try {
    // Before the states are read: a trial writes its end before its job ends.
    queue = await queuedTasks();
  } catch (error) {
    return [
      `Slurm does not answer (${(error as Error).message}); what follows is what the trials themselves wrote`,
    ];
  }
  const tasks = tasksOf(jobs);
  const waiting = new Map<string, number>();
  let lost = 0;
  for (const { id, retired } of manifest.trials) {
    const state = readState(directory, id);
    const task = tasks.get(id);
    const queued = task === undefined ? undefined : queue.get(task);
    if (queued?.state === 'PENDING') {
      waiting.set(queued.reason, (waiting.get(queued.reason) ?? 0) + 1);
    }
    if (queued || task === undefined || retired) continue;
    if (state.status === 'QUEUED' || state.status === 'INTERRUPTED') lost++;
    if (state.status !== 'RUNNING' || !state.job) continue;
    const job = `${state.job.id}_${state.job.task}`;
    writeState(directory, {
      ...state,
      status: 'FAILED',
      endedAt: new Date().toISOString(),
      error:
        `its Slurm job ${job} ended without a word from the trial: killed, out of memory or out of time; ` +
        `see ${sweepPaths(directory).log(id)} and ${sweepPaths(directory).slurm}`,
    });
  }
  const lines = [...waiting].map(([reason, count]) => `${count} waiting in Slurm (${reason})`);
  if (lost > 0) {
    lines.push(`${plural(lost, 'trial')} left and in no Slurm job: --resume submits what is left`);
  }
  return lines;
}

/** Takes every job of the sweep out of Slurm that has not ended. @returns their ids */
export async function cancelJobs(directory: string): Promise<string[]> {
  const jobs = readJobs(directory);
  if (jobs.length === 0) return [];
  const queue = await queuedTasks();
  const live = jobs
    .filter(({ id }) => [...queue.keys()].some((task) => task.startsWith(`${id}_`)))
    .map(({ id }) => id);
  if (live.length > 0) await slurm('scancel', live);
  return live;
}
