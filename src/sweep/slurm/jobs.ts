import { join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../../errors.js';
import { writeFileAtomic } from '../../files/atomic.js';
import { readOptional } from '../../files/read.js';
import { sweepPaths } from '../paths.js';

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
