import type { SbatchOptions, SlurmSettings } from './options.js';

export interface ArrayJob {
  readonly name: string;
  /** Number of trials; task k runs line k + 1 of the list. */
  readonly tasks: number;
  /** Tasks at a time. */
  readonly throttle?: number;
  /** File with one trial id a line. */
  readonly list: string;
  /** Folder of the trials' logs, and of what Slurm itself prints. */
  readonly logs: string;
  readonly output: string;
  /** Runs a trial, once its id is added. */
  readonly command: readonly string[];
  readonly settings: SlurmSettings;
  readonly options: SbatchOptions;
}

/**
 * The script of an array job. Each task runs one trial. Before the time limit, Slurm signals the
 * script, which hands the signal on: the trial writes a checkpoint and exits 75, and is queued again.
 */
export function arrayScript(job: ArrayJob): string {
  const { settings, options, throttle, tasks } = job;
  const array = `0-${tasks - 1}${throttle === undefined ? '' : `%${throttle}`}`;
  const sbatch: [string, string | number | true][] = [
    ['job-name', `fln-${job.name}`],
    ['array', array],
    ['output', job.output],
    ['open-mode', 'append'],
    ['requeue', true],
    ['signal', `B:USR2@${settings.warnSeconds}`],
    ...Object.entries(options),
  ];
  return `#!/bin/bash
${sbatch.map(([name, value]) => `#SBATCH --${name}${value === true ? '' : `=${sbatchValue(String(value))}`}`).join('\n')}

# Written by fln sweep; task K of the array runs the trial of line K + 1 of the list.
trial=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" ${quote(job.list)})
export FLN_SWEEP_JOB="\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}"
${settings.setup.join('\n')}
${job.command.map(quote).join(' ')} "$trial" >> ${quote(job.logs)}/"$trial".log 2>&1 &
child=$!

# The time limit is near (USR2), or the job is cancelled or preempted (TERM).
cancelled=no
trap 'kill -USR2 "$child"' USR2
trap 'cancelled=yes; kill -TERM "$child"' TERM
wait "$child"; code=$?
# A trap ends the wait before the trial has ended.
while kill -0 "$child" 2> /dev/null; do wait "$child"; code=$?; done

if [ "$code" -eq 75 ] && [ "$cancelled" = no ] && [ "\${SLURM_RESTART_COUNT:-0}" -lt ${settings.maxRequeues} ]; then
  scontrol requeue "$FLN_SWEEP_JOB"
fi
exit "$code"
`;
}

/** For the shell. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** sbatch takes quotation marks around values with spaces. */
const sbatchValue = (text: string): string => (/\s/.test(text) ? `"${text}"` : text);
