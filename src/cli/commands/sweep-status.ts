import { ExitCode, UsageError } from '../../errors.js';
import { isFolder } from '../../files/folder.js';
import { shellCommand } from '../../shared/text.js';
import { note, print, printJson } from '../render/print.js';

type Args = SweepCommand & {
  readonly out?: string;
  readonly cancel?: boolean;
  readonly json?: boolean;
};

/** Runs --status and --cancel, with a sweep file or a sweep directory. */
export async function showSweep<A extends Args>(
  args: A,
  commandLine: (args: A, added: readonly string[]) => string,
): Promise<void> {
  const directory = await directoryOf(args);
  const { sweepStatus } = await import('../../sweep/status.js');
  const { openTrials } = await import('../../sweep/halving/record.js');
  const { crossCheck } = await import('../../sweep/slurm/cross-check.js');
  const { formatSweep, sweepJson } = await import('../render/sweep.js');
  const isFile = !isFolder(args.sweep);
  if (!sweepStatus(directory)) {
    const start = commandLine(isFile ? args : { ...args, sweep: 'SWEEP' }, []);
    throw new UsageError(`${directory} does not contain a sweep; start it with: ${start}`);
  }
  if (args.cancel) await cancel(directory);
  const known = { ...args, launcher: 'slurm' };
  // The directory does not record the sweep file.
  const file = isFile ? known : { ...known, sweep: 'SWEEP', out: directory };
  const resume = commandLine(file, ['--resume']);
  for (const message of await crossCheck(directory, { resume })) note(message);
  const status = sweepStatus(directory);
  if (!status) return;
  if (args.json) printJson(sweepJson(directory, status));
  else print(formatSweep(directory, status));
  const isOpen = status.manifest.halving !== undefined && openTrials(status).length > 0;
  if (isOpen && status.counts.RUNNING === 0) {
    const { readJobs } = await import('../../sweep/slurm/jobs.js');
    const isLocal = readJobs(directory).length === 0;
    const command = isLocal ? commandLine({ ...file, launcher: 'local' }, ['--resume']) : resume;
    note(`The search is not finished. Continue with: ${command}`);
  }
}

async function cancel(directory: string): Promise<void> {
  const { cancelJobs } = await import('../../sweep/slurm/cross-check.js');
  const { jobName } = await import('../../sweep/slurm/jobs.js');
  const { cancelled, unsure, failed } = await cancelJobs(directory);
  if (cancelled.length > 0) note(`Cancelled: ${cancelled.map(jobName).join(', ')}`);
  for (const job of unsure) {
    note(
      `Slurm accepted the cancellation of job ${jobName(job)}, but the state of the job is unknown`,
    );
  }
  for (const { job, why } of failed) note(`Not cancelled: job ${jobName(job)}: ${why}`);
  if (failed.length > 0) process.exitCode = ExitCode.environment;
  if (cancelled.length + unsure.length + failed.length === 0) {
    note('no job of this sweep is in Slurm');
  }
}

async function directoryOf(args: Args): Promise<string> {
  if (args.out !== undefined) return args.out;
  if (isFolder(args.sweep)) return args.sweep;
  const { loadSweep } = await import('../../sweep/load.js');
  const { defaultSweepDirectory } = await import('../../sweep/plan.js');
  return defaultSweepDirectory(loadSweep(args.sweep, args.overrides).config.name);
}

/** The arguments of `fln sweep` by name. */
interface SweepCommand {
  readonly sweep: string;
  readonly overrides: readonly string[];
  readonly [option: string]: unknown;
}

/**
 * A follow-up command, quoted for a shell.
 * @param kept options to repeat, with their defaults
 * @param added further arguments
 */
export function sweepCommandLine(
  args: SweepCommand,
  kept: Readonly<Record<string, object>>,
  added: readonly string[],
): string {
  const repeated = Object.entries(kept).flatMap(([name, option]) => {
    const value = args[name];
    if (
      value === undefined ||
      value === false ||
      value === (option as { default?: unknown }).default
    )
      return [];
    return value === true ? [`--${name}`] : [`--${name}`, [value].flat().join(',')];
  });
  return shellCommand(['fln', 'sweep', args.sweep, ...args.overrides, ...repeated, ...added]);
}
