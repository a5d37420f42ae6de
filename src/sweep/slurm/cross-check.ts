import { plural } from '../../shared/text.js';
import { readManifest } from '../manifest.js';
import { refuseLinksIn, sweepPaths } from '../paths.js';
import { readState, type TrialState, writeState } from '../state.js';
import { ask } from './commands.js';
import { isQueued, jobName, lookUpJobs, readJobs, type SlurmJob, tasksOf } from './jobs.js';

/** Whether, by its state file, a trial has completed, or failed or reached a rung in this job. */
export const hasEndedIn = ({ status, job, rungs = [] }: TrialState, { id }: SlurmJob): boolean =>
  status === 'COMPLETED' ||
  (status === 'FAILED' && job?.id === id) ||
  rungs.some((rung) => rung.job?.id === id);

/** Jobs in which a trial may still be queued or running, by the trials' state files. */
export function openJobs(directory: string, jobs: readonly SlurmJob[]): SlurmJob[] {
  const tasks = tasksOf(jobs);
  return jobs.filter((job) =>
    job.trials.some(
      (trial) => tasks.get(trial)?.job === job && !hasEndedIn(readState(directory, trial), job),
    ),
  );
}

/**
 * Compares the states of trials with Slurm's queue. A trial that is RUNNING but in no job becomes FAILED.
 * @param options.resubmit treat jobs whose state is unknown as ended
 * @param options.readOnly do not change states
 * @param options.resume the command that resumes the sweep, for messages
 * @returns messages for the user, one line each
 */
export async function crossCheck(
  directory: string,
  {
    resubmit,
    readOnly,
    resume,
  }: { readonly resubmit?: boolean; readonly readOnly?: boolean; readonly resume: string },
): Promise<string[]> {
  const jobs = readJobs(directory);
  const manifest = readManifest(directory);
  if (jobs.length === 0 || !manifest) return [];
  refuseLinksIn(directory, []);
  // Before the states are read: a trial writes its final state before its job ends.
  const queue = await lookUpJobs(openJobs(directory, jobs));
  const tasks = tasksOf(jobs);
  const pending = new Map<string, number>();
  const unknown = new Map<SlurmJob, number>();
  let lost = 0;
  for (const { id, retired } of manifest.trials) {
    const state = readState(directory, id);
    const task = tasks.get(id);
    if (task === undefined) continue;
    const job = queue.get(task.job);
    const queued = job?.is === 'queued' ? job.tasks.get(task.task) : undefined;
    if (queued?.state === 'PENDING') {
      pending.set(queued.reason, (pending.get(queued.reason) ?? 0) + 1);
    }
    if (queued || retired || hasEndedIn(state, task.job)) continue;
    if (isQueued(queue, task) === undefined && !resubmit) {
      unknown.set(task.job, (unknown.get(task.job) ?? 0) + 1);
      continue;
    }
    if (state.status === 'QUEUED' || state.status === 'INTERRUPTED') lost++;
    if (state.status !== 'RUNNING' || !state.job || readOnly) continue;
    writeState(directory, {
      ...state,
      status: 'FAILED',
      endedAt: new Date().toISOString(),
      error:
        `its Slurm job ${state.job.id}_${state.job.task} ended before the trial recorded a result: killed, out of memory or out of time; ` +
        `see ${sweepPaths(directory).log(id)} and ${sweepPaths(directory).slurm}`,
    });
  }
  const lines = [...pending].map(([reason, count]) => `${count} pending in Slurm (${reason})`);
  for (const [job, count] of unknown) {
    const state = queue.get(job);
    const why = state?.is === 'unknown' ? state.why : '';
    lines.push(
      `${plural(count, 'trial')} may still be in Slurm job ${jobName(job)}, whose state is unknown: ${why}`,
    );
  }
  if (lost > 0) {
    lines.push(`${plural(lost, 'trial')} unfinished and in no Slurm job. Submit with: ${resume}`);
  }
  return lines;
}

/**
 * Cancels every job of the sweep that has not ended.
 * @returns `unsure`: jobs that scancel accepted, but whose state is unknown
 */
export async function cancelJobs(directory: string): Promise<{
  readonly cancelled: readonly SlurmJob[];
  readonly unsure: readonly SlurmJob[];
  readonly failed: readonly { readonly job: SlurmJob; readonly why: string }[];
}> {
  const cancelled: SlurmJob[] = [];
  const unsure: SlurmJob[] = [];
  const failed: { job: SlurmJob; why: string }[] = [];
  const queue = await lookUpJobs(readJobs(directory));
  // The last first, since it may depend on the one before.
  for (const [job, { is, asking }] of [...queue].reverse()) {
    if (is === 'ended') continue;
    const answer = await ask('scancel', [job.id], asking);
    if ('failure' in answer) failed.push({ job, why: answer.failure });
    else (is === 'queued' ? cancelled : unsure).push(job);
  }
  return { cancelled: cancelled.reverse(), unsure: unsure.reverse(), failed };
}
