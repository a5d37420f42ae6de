import { resolve } from 'node:path';
import { UsageError } from '../../errors.js';
import { shellQuoted } from '../../shared/text.js';
import type { SweepConfig } from '../schema.js';

export type SlurmSettings = SweepConfig['slurm'];
export type SbatchOptions = SlurmSettings['options'];

/** What the launcher itself says to sbatch, and what would keep it from submitting or from returning. */
const own = [
  ...['array', 'output', 'error', 'open-mode', 'signal', 'requeue', 'no-requeue', 'job-name'],
  ...['parsable', 'wrap', 'wait', 'test-only', 'help', 'usage', 'version'],
];

/**
 * `time=2:00:00`, `exclusive` as options of sbatch.
 * @throws UsageError for what is none, and for what the launcher sets itself
 */
export function parseSbatch(given: readonly string[]): SbatchOptions {
  return Object.fromEntries(
    given.map((text) => {
      const [, name, value] = /^-{0,2}([a-z][a-z0-9-]*)(?:=(.+))?$/s.exec(text) ?? [];
      if (name === undefined) {
        throw new UsageError(`--sbatch: "${text}" is not an option of sbatch; write time=2:00:00`);
      }
      return [name, value ?? true] as const;
    }),
  );
}

/** @throws UsageError for options that would break how trials are run and found */
export function checkSbatch(options: SbatchOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (own.includes(name)) {
      throw new UsageError(`the option ${name} of sbatch is set by the sweep itself: leave it out`);
    }
    if (name === 'dependency' && String(value).includes('?')) {
      throw new UsageError(
        'the option dependency of sbatch: separate conditions by commas, as the sweep adds its own',
      );
    }
    if (/[\r\n]/.test(String(value))) {
      throw new UsageError(`the option ${name} of sbatch has a line break in it`);
    }
  }
}

export interface ArrayJob {
  readonly name: string;
  /** Number of trials; task k runs line k + 1 of the list. */
  readonly tasks: number;
  /** Tasks at a time. */
  readonly throttle?: number;
  /** Ids of jobs that have to end before this one begins. */
  readonly after?: readonly string[];
  /** File for what Slurm itself and the script print, with %A for the job and %a for the task. */
  readonly output: string;
  readonly settings: SlurmSettings;
  readonly options: SbatchOptions;
}

/**
 * Arguments of sbatch. A script can carry them, too, but loses to SBATCH_TIMELIMIT and its like in
 * somebody's environment; arguments win over both.
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

/** A path in which Slurm replaces nothing. */
export const literalPath = (path: string): string => path.replaceAll('%', '%%');

export interface TrialScript {
  /** File with one trial id a line. */
  readonly list: string;
  /** Folder of the trials' logs. */
  readonly logs: string;
  /** Runs a trial, once its id is added. */
  readonly command: readonly string[];
  readonly settings: SlurmSettings;
}

/**
 * The script of an array job. Each task runs one trial. Before the time limit, Slurm signals the
 * script, which hands the signal on: the trial writes a checkpoint and exits 75, and is queued again.
 */
export function trialScript({ list, logs, command, settings }: TrialScript): string {
  const { setup, maxRequeues } = settings;
  return `#!/bin/bash
# Written by fln sweep; task K of the array runs the trial of line K + 1 of the list.
trial=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" ${shellQuoted(list)})
export FLN_SWEEP_JOB="\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}"
${[...ownVariables(process.env), ...setup].join('\n')}
${command.map(shellQuoted).join(' ')} "$trial" >> ${shellQuoted(logs)}/"$trial".log 2>&1 &
child=$!

# The time limit is near (USR2), or the job is cancelled or preempted (TERM).
cancelled=no
trap 'kill -USR2 "$child"' USR2
trap 'cancelled=yes; kill -TERM "$child"' TERM
wait "$child"; code=$?
# A trap ends the wait before the trial has ended.
while kill -0 "$child" 2> /dev/null; do wait "$child"; code=$?; done

if [ "$code" -eq 75 ] && [ "$cancelled" = no ] && [ "\${SLURM_RESTART_COUNT:-0}" -lt ${maxRequeues} ]; then
  scontrol requeue "$FLN_SWEEP_JOB"
fi
exit "$code"
`;
}

/** The program's own variables, which --export=NONE and SBATCH_EXPORT keep from a job. */
function ownVariables(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env)
    .filter(([name, value]) => /^FLN_\w+$/.test(name) && name !== 'FLN_SWEEP_JOB' && value)
    .map(([name, value = '']) => {
      const text = name.endsWith('_DIR') ? resolve(value) : value;
      return `export ${name}=${shellQuoted(text)}`;
    });
}
