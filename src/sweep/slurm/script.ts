import { resolve } from 'node:path';
import { UsageError } from '../../errors.js';
import { shellQuoted } from '../../shared/text.js';
import type { SweepConfig } from '../schema.js';

export type SlurmSettings = SweepConfig['slurm'];
export type SbatchOptions = SlurmSettings['options'];

/** Options that the launcher sets, or with which sbatch would not submit or not return. */
const reserved = [
  ...['array', 'output', 'error', 'open-mode', 'signal', 'requeue', 'no-requeue', 'job-name'],
  ...['parsable', 'wrap', 'wait', 'test-only', 'help', 'usage', 'version'],
];

/** Parses sbatch options such as `time=2:00:00`, `exclusive`. @throws UsageError */
export function parseSbatch(given: readonly string[]): SbatchOptions {
  return Object.fromEntries(
    given.map((text) => {
      const [, name, value] = /^-{0,2}([a-z][a-z0-9-]*)(?:=(.+))?$/s.exec(text) ?? [];
      if (name === undefined) {
        throw new UsageError(`--sbatch: expected options such as time=2:00:00, got "${text}"`);
      }
      return [name, value ?? true] as const;
    }),
  );
}

/** @throws UsageError for options that conflict with those of the launcher */
export function checkSbatch(options: SbatchOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (reserved.includes(name)) {
      throw new UsageError(`the sbatch option ${name} is set by the sweep: remove it`);
    }
    if (name === 'dependency' && String(value).includes('?')) {
      throw new UsageError(
        'the sbatch option dependency: separate conditions by commas, since the sweep adds its own',
      );
    }
    if (/[\r\n]/.test(String(value))) {
      throw new UsageError(`the sbatch option ${name} contains a line break`);
    }
  }
}

export interface ArrayJob {
  readonly name: string;
  /** Number of trials; task k runs line k + 1 of the list. */
  readonly tasks: number;
  /** Maximum number of tasks that run at the same time. */
  readonly throttle?: number;
  /** Ids of jobs that must end before this one starts. */
  readonly after?: readonly string[];
  /** File for the output of Slurm and the script; %A is the job, %a the task. */
  readonly output: string;
  readonly settings: SlurmSettings;
  readonly options: SbatchOptions;
}

/**
 * Arguments of sbatch, which take precedence over SBATCH_* in the environment; options in the script
 * would not.
 */
export function sbatchArguments(job: ArrayJob): string[] {
  const { settings, tasks, throttle, after = [], output } = job;
  const { dependency, ...options } = job.options;
  const dependencies = [dependency, after.length > 0 && `afterany:${after.join(':')}`];
  const all: [string, string | number | true][] = [
    ['job-name', `fln-${job.name}`],
    ['array', `0-${tasks - 1}${throttle === undefined ? '' : `%${throttle}`}`],
    ['output', output],
    ['error', output],
    ['open-mode', 'append'],
    ['requeue', true],
    ['signal', `B:USR2@${settings.warnSeconds}`],
    ...Object.entries(options),
  ];
  const joined = dependencies.filter(Boolean).join(',');
  if (joined !== '') all.push(['dependency', joined]);
  return all.map(([name, value]) => `--${name}${value === true ? '' : `=${value}`}`);
}

/** A path with % escaped, in which Slurm replaces nothing. */
export const literalPath = (path: string): string => path.replaceAll('%', '%%');

/**
 * The script of an array job; each task runs one trial. Before the time limit, Slurm signals the script,
 * which forwards the signal: the trial writes a checkpoint and exits 75, and is requeued.
 * @param job.list file with one trial id per line
 * @param job.logs folder of the trials' logs
 * @param job.command runs a trial; its id is added
 */
export function trialScript({
  list,
  logs,
  command,
  settings,
}: {
  readonly list: string;
  readonly logs: string;
  readonly command: readonly string[];
  readonly settings: SlurmSettings;
}): string {
  const { setup, maxRequeues } = settings;
  return `#!/bin/bash
# Written by fln sweep. Task K of the array runs the trial in line K + 1 of the list.
trial=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" ${shellQuoted(list)})
export FLN_SWEEP_JOB="\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}"
${[...programVariables(process.env), ...setup].join('\n')}
${command.map(shellQuoted).join(' ')} "$trial" >> ${shellQuoted(logs)}/"$trial".log 2>&1 &
child=$!

# The time limit is near (USR2), or the job is cancelled or preempted (TERM).
cancelled=no
trap 'kill -USR2 "$child"' USR2
trap 'cancelled=yes; kill -TERM "$child"' TERM
wait "$child"; code=$?
# A trap interrupts wait before the trial has ended.
while kill -0 "$child" 2> /dev/null; do wait "$child"; code=$?; done

if [ "$code" -eq 75 ] && [ "$cancelled" = no ] && [ "\${SLURM_RESTART_COUNT:-0}" -lt ${maxRequeues} ]; then
  scontrol requeue "$FLN_SWEEP_JOB"
fi
exit "$code"
`;
}

/** Exports of FLN_* variables, which --export=NONE and SBATCH_EXPORT would remove. */
function programVariables(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env)
    .filter(([name, value]) => /^FLN_\w+$/.test(name) && name !== 'FLN_SWEEP_JOB' && value)
    .map(([name, value = '']) => {
      const text = name.endsWith('_DIR') ? resolve(value) : value;
      return `export ${name}=${shellQuoted(text)}`;
    });
}
