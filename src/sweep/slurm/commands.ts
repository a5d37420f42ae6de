import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram } from '../../backend/install/spawn.js';
import { EnvironmentError, UsageError } from '../../errors.js';
import type { SbatchOptions } from './script.js';

/** In ms. Slurm's commands retry by themselves in this time. */
const timeout = 30_000;
/** Longer, since an sbatch that is stopped may have submitted a job. */
const sbatchTimeout = 600_000;

/** Which cluster to ask. */
export interface Asking {
  /** Default: that of the environment. */
  readonly cluster?: string;
  /** The cluster of this machine, regardless of SLURM_CLUSTERS. */
  readonly isHere?: boolean;
}

/** The output of a Slurm command, or why there is none. */
export type Answer =
  | { readonly text: string }
  | {
      readonly failure: string;
      readonly why: 'absent' | 'silent' | 'refused';
    };

const execute = promisify(execFile);

/** Commands that did not answer, by command and cluster: they are not tried again. */
const silent = new Map<string, Answer>();

/** Runs a Slurm command. @param input its stdin */
export async function ask(
  command: string,
  args: readonly string[],
  { cluster, isHere }: Asking = {},
  input?: string,
): Promise<Answer> {
  const key = `${command} ${cluster}`;
  const before = silent.get(key);
  if (before) return before;
  const limit = command === 'sbatch' ? sbatchTimeout : timeout;
  const env = slurmEnvironment(process.env);
  if (isHere) delete env.SLURM_CLUSTERS;
  const where = cluster === undefined ? [] : ['-M', cluster];
  const running = execute(command, [...where, ...args], {
    env,
    timeout: limit,
    maxBuffer: 1 << 28,
  });
  running.child.stdin?.on('error', () => {}).end(input);
  try {
    const { stdout } = await running;
    return { text: stdout };
  } catch (error) {
    const { code, killed, stderr, message } = error as NodeJS.ErrnoException & {
      killed?: boolean;
      stderr?: string;
    };
    if (code === 'ENOENT') return { failure: `${command} is not installed`, why: 'absent' };
    if (killed) {
      const failure = `${command} did not answer within ${limit / 1000} s`;
      silent.set(key, { failure, why: 'silent' });
      return { failure, why: 'silent' };
    }
    return { failure: `${command} failed: ${(stderr ?? '').trim() || message}`, why: 'refused' };
  }
}

/** @throws EnvironmentError when sbatch is not installed */
export function requireSlurm(): void {
  if (findProgram('sbatch') === undefined) throw notInstalled('sbatch');
}

const checkSlurm = 'Check with sinfo whether Slurm is running';

const notInstalled = (command: string) =>
  new EnvironmentError(
    `${command} is not installed: run this on a login node of a Slurm cluster, or use --launcher local`,
  );

/**
 * The environment of Slurm commands. Removed are variables that would filter their output
 * (SQUEUE_STATES, ...), make sbatch wait for the job or change its exit code, and those that Slurm sets
 * inside a job, which the trials would inherit.
 */
export function slurmEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isRemoved = (name: string) =>
    /^(SQUEUE|SCANCEL|SCONTROL|SACCT)_/.test(name) ||
    name === 'SBATCH_WAIT' ||
    name === 'SLURM_EXIT_ERROR' ||
    (env.SLURM_JOB_ID !== undefined &&
      name.startsWith('SLURM_') &&
      !clientVariables.includes(name));
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isRemoved(name)));
}

/** Set by users and sites, not by a job. */
const clientVariables = [
  'SLURM_CONF',
  'SLURM_CONF_SERVER',
  'SLURM_CLUSTERS',
  'SLURM_WORKING_CLUSTER',
  'SLURM_JWT',
  'SLURM_DEBUG_FLAGS',
];

/**
 * Submits a job, or has Slurm check it (--test-only).
 * @param script the job script, where it is not among the arguments
 * @returns what sbatch prints
 * @throws UsageError when sbatch rejects the job, EnvironmentError for everything else
 */
export async function sbatch(args: readonly string[], script?: string): Promise<string> {
  const answer = await ask('sbatch', args, {}, script);
  if ('text' in answer) return answer.text;
  const { failure, why } = answer;
  if (why === 'absent') throw notInstalled('sbatch');
  if (why === 'silent') {
    throw new EnvironmentError(`${failure}. ${checkForJob}`);
  }
  if (/contact|connect|socket|timed out|authentication|munge|configuration source/i.test(failure)) {
    throw new EnvironmentError(`${failure}. ${checkSlurm}`);
  }
  if (/submit ?limit|MaxSubmit|MaxArraySize|too many jobs/i.test(failure)) {
    throw new EnvironmentError(
      `${failure}\nThe limit of the cluster for your jobs is reached. When some have ended, --resume submits the remaining trials`,
    );
  }
  throw new UsageError(
    `${failure}\nCorrect the sbatch options: --sbatch, slurm.options in the sweep file, or SBATCH_* in the environment`,
  );
}

const checkForJob = 'If squeue lists a new job, cancel it with scancel before trying again';

/**
 * The job in the output of `sbatch --parsable`, `JOB` or `JOB;CLUSTER`, after any lines that the site prints.
 * @throws EnvironmentError when there is none: the job may be submitted, but is unknown
 */
export function submittedJob(printed: string): { id: string; cluster?: string } {
  const [, id, cluster] = /^(\d+)(?:;(\S*))?\s*$/m.exec(printed) ?? [];
  if (id !== undefined) return { id, cluster: cluster || undefined };
  throw new EnvironmentError(
    `sbatch printed ${JSON.stringify(printed.slice(0, 200))} instead of a job id. ${checkForJob}`,
  );
}

/** Configuration of a cluster. */
export interface ClusterConfig {
  readonly name?: string;
  /** Maximum number of tasks of an array. */
  readonly maxArraySize: number;
}

/** @throws EnvironmentError when its controller does not answer */
export async function clusterConfig(asking: Asking): Promise<ClusterConfig> {
  const answer = await ask('scontrol', ['show', 'config'], asking);
  if ('failure' in answer) {
    if (answer.why === 'absent') throw notInstalled('scontrol');
    throw new EnvironmentError(`${answer.failure}. ${checkSlurm}`);
  }
  const { text } = answer;
  const [, size = '1001'] = /^MaxArraySize\s*=\s*(\d+)/m.exec(text) ?? [];
  return { name: /^ClusterName\s*=\s*(\S+)/m.exec(text)?.[1], maxArraySize: Number(size) };
}

/** The clusters among which sbatch chooses; undefined for that of this machine. */
export function clustersOf(options: SbatchOptions): string[] | undefined {
  const { SBATCH_CLUSTERS, SLURM_CLUSTERS } = process.env;
  const names = options.clusters ?? (SBATCH_CLUSTERS || SLURM_CLUSTERS || undefined);
  return names === undefined ? undefined : String(names).split(',');
}
