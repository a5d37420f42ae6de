import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram } from '../../backend/install/spawn.js';
import { EnvironmentError, UsageError } from '../../errors.js';
import type { SbatchOptions } from './script.js';

/** Slurm's commands retry by themselves; one that is silent for longer will not answer. */
const patience = 30_000;
/** For sbatch: ended early, it may have submitted a job that nobody would know of. */
const submissionPatience = 600_000;

export interface Asking {
  /** Instead of the cluster that the environment means. */
  readonly cluster?: string;
  /** Of this machine's own cluster, whichever one SLURM_CLUSTERS names. */
  readonly isHere?: boolean;
}

/** What a command of Slurm printed, or why it did not. */
export type Answer =
  | { readonly text: string }
  | {
      readonly failure: string;
      readonly why: 'absent' | 'silent' | 'refused';
    };

const execute = promisify(execFile);

/** Commands that gave no answer: nobody waits for them twice. */
const silent = new Map<string, Answer>();

/** Runs a command of Slurm. @param input what it reads from stdin */
export async function ask(
  command: string,
  args: readonly string[],
  { cluster, isHere }: Asking = {},
  input?: string,
): Promise<Answer> {
  const key = `${command} ${cluster}`;
  const before = silent.get(key);
  if (before) return before;
  const timeout = command === 'sbatch' ? submissionPatience : patience;
  const env = slurmEnvironment(process.env);
  if (isHere) delete env.SLURM_CLUSTERS;
  const where = cluster === undefined ? [] : ['-M', cluster];
  const running = execute(command, [...where, ...args], { env, timeout, maxBuffer: 1 << 28 });
  running.child.stdin?.on('error', () => {}).end(input);
  try {
    const { stdout } = await running;
    return { text: stdout };
  } catch (error) {
    const { code, killed, stderr, message } = error as NodeJS.ErrnoException & {
      killed?: boolean;
      stderr?: string;
    };
    if (code === 'ENOENT') return { failure: `there is no ${command} here`, why: 'absent' };
    if (killed) {
      const failure = `${command} gave no answer for ${timeout / 1000} s`;
      silent.set(key, { failure, why: 'silent' });
      return { failure, why: 'silent' };
    }
    return { failure: `${command} failed: ${(stderr ?? '').trim() || message}`, why: 'refused' };
  }
}

/** As `ask`. @throws EnvironmentError that names the command and the way out */
export async function slurm(
  command: string,
  args: readonly string[],
  asking?: Asking,
): Promise<string> {
  const answer = await ask(command, args, asking);
  if ('text' in answer) return answer.text;
  if (answer.why === 'absent') throw notHere(command);
  throw new EnvironmentError(`${answer.failure}. Is Slurm running? Try: sinfo`);
}

/** @throws EnvironmentError when this machine submits no jobs */
export function requireSlurm(): void {
  if (findProgram('sbatch') === undefined) throw notHere('sbatch');
}

const notHere = (command: string) =>
  new EnvironmentError(
    `there is no ${command} here: run this on a login node of a Slurm cluster, or use --launcher local`,
  );

/**
 * The environment in which Slurm's commands answer what they are asked. Left out is what would narrow
 * their answers (SQUEUE_STATES, ...), make sbatch wait for the end of the job or hide its failure, and,
 * inside of a job, what Slurm says about that job: the trials would take it for their own.
 */
export function slurmEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isMisleading = (name: string) =>
    /^(SQUEUE|SCANCEL|SCONTROL|SACCT)_/.test(name) ||
    name === 'SBATCH_WAIT' ||
    name === 'SLURM_EXIT_ERROR' ||
    (env.SLURM_JOB_ID !== undefined && name.startsWith('SLURM_') && !ofClient.includes(name));
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isMisleading(name)));
}

/** Set by users and sites, not by the job that one is in. */
const ofClient = [
  'SLURM_CONF',
  'SLURM_CONF_SERVER',
  'SLURM_CLUSTERS',
  'SLURM_WORKING_CLUSTER',
  'SLURM_JWT',
  'SLURM_DEBUG_FLAGS',
];

/** A job that sbatch has submitted. */
export interface SubmittedJob {
  readonly id: string;
  /** Where sbatch names one: on sites with several clusters. */
  readonly cluster?: string;
}

/**
 * Submits a job.
 * @param args of sbatch, the script included
 * @throws UsageError when sbatch refuses the job, EnvironmentError for everything else
 */
export async function submit(args: readonly string[]): Promise<SubmittedJob> {
  return submittedJob(await sbatch(['--parsable', ...args]));
}

/**
 * Has sbatch check a job that it does not submit.
 * @throws as `submit`
 */
export async function checkSubmission(args: readonly string[], script: string): Promise<void> {
  await sbatch(['--test-only', ...args], script);
}

async function sbatch(args: readonly string[], input?: string): Promise<string> {
  const answer = await ask('sbatch', args, {}, input);
  if ('text' in answer) return answer.text;
  const { failure, why } = answer;
  if (why === 'absent') throw notHere('sbatch');
  if (why === 'silent') {
    throw new EnvironmentError(
      `${failure}. If squeue lists a new job, cancel it with scancel before you try again`,
    );
  }
  if (/contact|connect|socket|timed out|authentication|munge|configuration source/i.test(failure)) {
    throw new EnvironmentError(`${failure}. Is Slurm running? Try: sinfo`);
  }
  if (/submit ?limit|MaxSubmit|MaxArraySize|too many jobs/i.test(failure)) {
    throw new EnvironmentError(
      `${failure}\nThe cluster takes no more jobs of yours for now. Once some have ended, --resume submits what is left`,
    );
  }
  throw new UsageError(
    `${failure}\nCorrect the options of sbatch: --sbatch, slurm.options of the sweep file, SBATCH_* of the environment`,
  );
}

/**
 * The job that `sbatch --parsable` printed, `JOB` or `JOB;CLUSTER`; what a site prints above it is passed over.
 * @throws EnvironmentError when there is none: the trials may be in Slurm, and nobody would know
 */
export function submittedJob(printed: string): SubmittedJob {
  const [, id, cluster] = /^(\d+)(?:;(\S*))?\s*$/m.exec(printed) ?? [];
  if (id !== undefined) return { id, cluster: cluster || undefined };
  throw new EnvironmentError(
    `sbatch printed no job id but ${JSON.stringify(printed.slice(0, 200))}. ` +
      'If squeue lists a new job, cancel it with scancel before you try again',
  );
}

/** What a cluster says about itself. */
export interface ClusterConfig {
  readonly name?: string;
  /** Tasks that one array may have. */
  readonly maxArraySize: number;
}

/** @throws EnvironmentError when its controller does not answer */
export async function clusterConfig(asking?: Asking): Promise<ClusterConfig> {
  const config = await slurm('scontrol', ['show', 'config'], asking);
  const [, size = '1001'] = /^MaxArraySize\s*=\s*(\d+)/m.exec(config) ?? [];
  return { name: /^ClusterName\s*=\s*(\S+)/m.exec(config)?.[1], maxArraySize: Number(size) };
}

/** The clusters that sbatch submits to, one of which takes the job; undefined for this machine's own. */
export function clustersOf(options: SbatchOptions): string[] | undefined {
  const { SBATCH_CLUSTERS, SLURM_CLUSTERS } = process.env;
  const names = options.clusters ?? (SBATCH_CLUSTERS || SLURM_CLUSTERS || undefined);
  return names === undefined ? undefined : String(names).split(',');
}
