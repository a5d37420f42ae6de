import { plural } from '../../shared/text.js';
import { readManifest } from '../manifest.js';
import { refuseLinksIn, sweepPaths } from '../paths.js';
import { readState, type TrialState, writeState } from '../state.js';
import { ask } from './commands.js';
import { askForJobs, isQueued, jobName, readJobs, type SlurmJob, tasksOf } from './jobs.js';

/** Whether a trial's own file says that it has ended, in a job or for good. */
export const hasEndedIn = ({ status, job }: TrialState, { id }: SlurmJob): boolean =>
  status === 'COMPLETED' || (status === 'FAILED' && job?.id === id);

/** Jobs that a trial may still be in, by the trials' own files. */
export function openJobs(directory: string, jobs: readonly SlurmJob[]): SlurmJob[] {
  const tasks = tasksOf(jobs);
  return jobs.filter((job) =>
    job.trials.some(
      (trial) => tasks.get(trial)?.job === job && !hasEndedIn(readState(directory, trial), job),
    ),
  );
}

export interface CrossCheckOptions {
  /** Take jobs about which nothing can be known for ended. */
  readonly resubmit?: boolean;
  /** Leave the states of trials as they are. */
  readonly readOnly?: boolean;
  /** The command that goes on with the sweep. */
  readonly resume: string;
}

/**
 * Compares the states of trials with what Slurm says: a trial that runs in no job has died with it.
 * @returns what the user should know, a line each
 */
export async function crossCheck(
  directory: string,
  { resubmit, readOnly, resume }: CrossCheckOptions,
): Promise<string[]> {
  const jobs = readJobs(directory);
  const manifest = readManifest(directory);
  if (jobs.length === 0 || !manifest) return [];
  refuseLinksIn(directory, []);
  // Before the states are read: a trial writes its end before its job ends.
  const queue = await askForJobs(openJobs(directory, jobs));
  const tasks = tasksOf(jobs);
  const waiting = new Map<string, number>();
  const unknown = new Map<SlurmJob, number>();
  let lost = 0;
  for (const { id, retired } of manifest.trials) {
    const state = readState(directory, id);
    const task = tasks.get(id);
    if (task === undefined) continue;
    const answer = queue.get(task.job);
    const queued = answer?.is === 'queued' ? answer.tasks.get(task.task) : undefined;
    if (queued?.state === 'PENDING') {
      waiting.set(queued.reason, (waiting.get(queued.reason) ?? 0) + 1);
    }
    if (queued || retired || hasEndedIn(state, task.job)) continue;
    if (isQueued(queue, task) === undefined && !resubmit) {
      unknown.set(task.job, (unknown.get(task.job) ?? 0) + 1);
      continue;
    }
    if (state.status === 'QUEUED' || state.status === 'INTERRUPTED') lost++;
    if (state.status !== 'RUNNING' || !state.job || readOnly) continue;
    const job = `${state.job.id}_${state.job.task}`;
    writeState(directory, {
      ...state,
      status: 'FAILED',
      endedAt: new Date().toISOString(),
      error:
        `its Slurm job ${job} ended before the trial recorded a result: killed, out of memory or out of time; ` +
        `see ${sweepPaths(directory).log(id)} and ${sweepPaths(directory).slurm}`,
    });
  }
  const lines = [...waiting].map(([reason, count]) => `${count} waiting in Slurm (${reason})`);
  for (const [job, count] of unknown) {
    const answer = queue.get(job);
    const why = answer?.is === 'unknown' ? answer.why : '';
    lines.push(
      `${plural(count, 'trial')} may still be in Slurm job ${jobName(job)}, which cannot be looked up: ${why}`,
    );
  }
  if (lost > 0) {
    lines.push(
      `${plural(lost, 'trial')} left and in no Slurm job: --resume submits what is left: ${resume}`,
    );
  }
  return lines;
}

export interface Cancellation {
  readonly cancelled: readonly SlurmJob[];
  /** Slurm did not refuse, but whether it has such jobs cannot be known. */
  readonly unsure: readonly SlurmJob[];
  readonly failed: readonly { readonly job: SlurmJob; readonly why: string }[];
}

/** Takes every job of the sweep out of Slurm that has not ended. */
export async function cancelJobs(directory: string): Promise<Cancellation> {
  const cancelled: SlurmJob[] = [];
  const unsure: SlurmJob[] = [];
  const failed: { job: SlurmJob; why: string }[] = [];
  const queue = await askForJobs(readJobs(directory));
  // The last first: it may be waiting for the end of the one before.
  for (const [job, { is, asking }] of [...queue].reverse()) {
    if (is === 'ended') continue;
    const answer = await ask('scancel', [job.id], asking);
    if ('failure' in answer) failed.push({ job, why: answer.failure });
    else (is === 'queued' ? cancelled : unsure).push(job);
  }
  return { cancelled: cancelled.reverse(), unsure: unsure.reverse(), failed };
}
