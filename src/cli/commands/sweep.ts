import { resolve } from 'node:path';
import type { ArgumentsCamelCase, CommandModule, InferredOptionTypes } from 'yargs';
import { ExitCode, UsageError } from '../../errors.js';
import { plural } from '../../shared/text.js';
import type { Launcher, LaunchOptions } from '../../sweep/launcher.js';
import type { Sweep } from '../../sweep/load.js';
import type { SweepPlanOptions } from '../../sweep/plan.js';
import type { SweepConfig } from '../../sweep/schema.js';
import type { SlurmOptions, SlurmPreview } from '../../sweep/slurm/launcher.js';
import { type Interruption, interruptible } from '../interrupt.js';
import {
  checkpointing,
  dataDir,
  interruptedCodes,
  json,
  listOf,
  manual,
  offline,
  once,
  oneNumber,
  oneOf,
  overridesArgument,
  progress,
  resolveMode,
} from '../options.js';
import { note, print, printJson, shortPath, warn } from '../render/print.js';
import { sweepCommandLine } from './sweep-status.js';

const launchers = ['local', 'slurm'] as const;

const options = {
  out: {
    type: 'string',
    describe: 'sweep directory; default results/sweeps/NAME',
    coerce: once('out'),
  },
  launcher: {
    type: 'string',
    default: 'local' as const,
    describe: 'local: processes on this machine; slurm: an array job',
    coerce: oneOf('launcher', launchers),
  },
  jobs: {
    type: 'string',
    describe: 'trials at a time; default 1, or one per GPU; on Slurm no limit',
    coerce: oneNumber('jobs'),
  },
  gpus: {
    type: 'string',
    describe: 'GPUs of this machine, one for each trial at a time: 0,1',
    coerce: listOf('gpus'),
  },
  sbatch: {
    type: 'string',
    describe: 'options of sbatch, beside those of the sweep file: time=2:00:00,partition=gpu',
    coerce: listOf('sbatch'),
  },
  resume: {
    type: 'boolean',
    describe: 'resume: run the trials that have not ended, from their checkpoints',
  },
  rerun: {
    type: 'string',
    describe: 'failed: run the failed trials again; all: every trial, from its start',
    coerce: oneOf('rerun', ['failed', 'all']),
  },
  resubmit: {
    type: 'boolean',
    describe: 'also resubmit trials whose Slurm job cannot be looked up, as if it had ended',
  },
  'fail-fast': { type: 'boolean', describe: 'start no more trials once one has failed' },
  'keep-going': { type: 'boolean', describe: 'run the others when trials fail (the default)' },
  'stop-after': {
    type: 'string',
    describe: 'stop when this many trials failed for the same reason',
    coerce: oneNumber('stop-after'),
  },
  status: { type: 'boolean', describe: 'print the state of the sweep; run nothing' },
  cancel: { type: 'boolean', describe: 'cancel the Slurm jobs of the sweep' },
  'dry-run': {
    type: 'boolean',
    describe: 'check everything, list the trials, for Slurm also the script; write nothing',
  },
  'data-dir': dataDir,
  offline,
  ...checkpointing,
  json,
  progress,
} as const;

type SweepArguments = InferredOptionTypes<typeof options> & { sweep: string; overrides: string[] };
type Args = ArgumentsCamelCase<SweepArguments>;

/** `fln sweep SWEEP [path=value ...]` */
export const sweepCommand: CommandModule<object, SweepArguments> = {
  command: 'sweep <sweep> [overrides..]',
  describe: 'run an experiment over a grid or random draws of settings',
  builder: (parser) =>
    parser
      .positional('sweep', {
        type: 'string',
        describe: 'YAML or JSON file; for --status and --cancel a sweep directory, too',
        demandOption: true,
      })
      .positional(
        'overrides',
        overridesArgument('values of the experiment to change in every trial: epochs=2'),
      )
      .options(options)
      .example('$0 sweep configs/sweeps/quickstart.yaml --jobs 2', 'two trials at a time')
      .example('$0 sweep configs/sweeps/quickstart.yaml --resume', 'resume after an interruption')
      .example('$0 sweep configs/sweeps/quickstart.yaml --status', 'counts, best and failed trials')
      .example(
        '$0 sweep configs/sweeps/quickstart.yaml --launcher slurm --sbatch time=1:00:00',
        'as an array job',
      )
      .epilogue(
        manual(
          'Every trial is a run directory, trials/ID, that the other commands read; docs/sweeps.md has the sweep file.',
          {
            0: 'all trials completed, or were submitted to Slurm',
            1: 'some failed, or did not end',
            2: 'usage or sweep file',
            4: 'the backend or Slurm is not available',
            5: 'data missing or damaged',
            ...interruptedCodes,
          },
        ),
      ) as never,
  handler: runHandler,
};

async function runHandler(args: Args): Promise<void> {
  if (args.failFast && args.keepGoing) {
    throw new UsageError('--fail-fast and --keep-going contradict each other: give one of them');
  }
  if (args.status || args.cancel) {
    const { showSweep } = await import('./sweep-status.js');
    return showSweep(args, commandLine);
  }
  const { loadSweep } = await import('../../sweep/load.js');
  const sweep = loadSweep(args.sweep, args.overrides);
  warn(sweep.warnings);
  const plan: SweepPlanOptions = { outDir: args.out, resume: args.resume, rerun: args.rerun };
  if (args.dryRun) return dryRun(args, sweep, plan);
  await launch(args, sweep, plan);
}

async function dryRun(args: Args, sweep: Sweep, options: SweepPlanOptions): Promise<void> {
  const { checkSweep } = await import('../../sweep/run-sweep.js');
  const { failingText } = await import('../../sweep/check.js');
  const { formatSweepDryRun, sweepDryRunJson } = await import('../render/sweep.js');
  const slurmOptions = await launcherOptions(args, sweep.config.slurm);
  const { plan, check } = await checkSweep(sweep, {
    ...options,
    ...launchOptions(args, sweep),
    dryRun: true,
  });
  let slurm: SlurmPreview | undefined;
  if (slurmOptions) {
    const { crossCheck } = await import('../../sweep/slurm/cross-check.js');
    const { previewSlurm } = await import('../../sweep/slurm/launcher.js');
    const { resubmit } = args;
    const checks = { resubmit, readOnly: true, resume: commandLine(args, ['--resume']) };
    slurm = await previewSlurm(slurmOptions, plan, launchOptions(args, sweep));
    for (const message of await crossCheck(plan.directory, checks)) note(message);
    for (const message of slurm.messages) note(`warning: ${message}`);
  }
  if (args.json) printJson(sweepDryRunJson(plan, check, slurm));
  else print(formatSweepDryRun(sweep, plan, check, slurm));
  if (check === undefined) return;
  for (const message of check.warnings) note(`warning: ${message}`);
  for (const message of failingText(check, plan.due.length)) note(message);
  if (check.failing.length > 0) process.exitCode = ExitCode.runFailed;
}

async function launch(args: Args, sweep: Sweep, plan: SweepPlanOptions): Promise<void> {
  const { runSweep } = await import('../../sweep/run-sweep.js');
  const { planSweep } = await import('../../sweep/plan.js');
  const { manifestOf } = await import('../../sweep/manifest.js');
  const { createSweepProgress } = await import('../render/sweep.js');
  const { formatSweep, sweepJson } = await import('../render/sweep.js');
  const mode = resolveMode(args.progress, args.json ?? false, process.stderr);
  const progress = createSweepProgress(mode, note, manifestOf(sweep).trials);
  if (sweep.duplicates > 0 && mode !== 'none') {
    note(`${plural(sweep.duplicates, 'trial')} left out: equal to others`);
  }
  let interruption: Interruption | undefined;
  const onFirst = (first: Interruption) => {
    interruption = first;
    progress.pause();
    note(
      first.by === 'SIGINT'
        ? 'Stopping: trials write checkpoints. Press Ctrl-C again to stop at once.'
        : `${first.message}: stopping; trials write checkpoints.`,
    );
  };
  const launcher = await launcherOf(args, sweep.config.slurm);
  if (args.launcher === 'slurm') {
    const { crossCheck } = await import('../../sweep/slurm/cross-check.js');
    const { directory } = planSweep(sweep, { ...plan, resume: true });
    const checks = { resubmit: args.resubmit, resume: commandLine(args, ['--resume']) };
    for (const message of await crossCheck(directory, checks)) note(message);
  }
  const result = await interruptible(onFirst, (signal) =>
    runSweep(sweep, { ...plan, ...launchOptions(args, sweep), signal }, launcher, progress.listen),
  ).finally(progress.pause);

  const { counts } = result.status;
  const left = counts.QUEUED + counts.INTERRUPTED;
  // What --rerun leaves out was not asked for, and Slurm says itself what runs in it.
  const isAll = args.resume || args.rerun === undefined;
  const isIncomplete = args.launcher === 'local' && isAll && left + counts.RUNNING > 0;
  const files =
    counts.COMPLETED > 0 && result.stopped !== 'submitted' ? await draw(result.directory) : [];
  const code =
    result.stopped === 'interrupted'
      ? (interruption?.exitCode ?? ExitCode.interrupted)
      : result.stopped === 'failures' || counts.FAILED > 0 || isIncomplete
        ? ExitCode.runFailed
        : ExitCode.ok;
  process.exitCode = code;
  if (args.json) {
    printJson({ ...sweepJson(result.directory, result.status), files, exitCode: code });
  } else {
    print(formatSweep(result.directory, result.status));
    const report = files.at(-1);
    if (report !== undefined) print(`\nReport: ${shortPath(report)}`);
  }
  if (result.stopped === 'submitted') {
    note(`Print its state with: ${sweepCommandLine(args, { out: options.out }, ['--status'])}`);
  } else if (left > 0) {
    note(`${plural(left, 'trial')} left. Resume with: ${commandLine(args, ['--resume'])}`);
  } else if (isIncomplete) {
    note(
      `${plural(counts.RUNNING, 'trial')} still running in other processes. Once these have ended, resume with: ` +
        commandLine(args, ['--resume']),
    );
  } else if (counts.FAILED > 0) {
    note(`Run the failed trials again with: ${commandLine(args, ['--rerun', 'failed'])}`);
  }
}

/** Options that say how a sweep runs, not what one command does with it. */
const kept = (({ resume, rerun, resubmit, status, cancel, json, 'dry-run': _, ...rest }) => rest)(
  options,
);

const commandLine = (args: Args, added: readonly string[]): string =>
  sweepCommandLine(args, kept, added);

function launchOptions(args: Args, sweep: Sweep): LaunchOptions {
  const { dataDir, offline, checkpointEvery, keepCheckpoints } = args;
  return {
    jobs: args.jobs,
    failFast: args.failFast,
    stopAfter: args.stopAfter ?? sweep.config.stopAfter,
    gpus: args.gpus,
    elsewhere: args.launcher === 'slurm',
    flags: {
      // Trials may run elsewhere.
      dataDir: dataDir === undefined ? undefined : resolve(dataDir),
      offline,
      checkpointEvery,
      keepCheckpoints,
    },
  };
}

async function draw(directory: string): Promise<string[]> {
  const { writeSweepReport } = await import('../../sweep/report/write-sweep-report.js');
  return writeSweepReport(directory);
}

async function launcherOf(args: Args, settings: SweepConfig['slurm']): Promise<Launcher> {
  const slurm = await launcherOptions(args, settings);
  if (slurm) {
    const { slurmLauncher } = await import('../../sweep/slurm/launcher.js');
    return slurmLauncher(slurm);
  }
  const { localLauncher } = await import('../../sweep/local/launcher.js');
  return localLauncher;
}

/** @returns undefined for the local launcher */
async function launcherOptions(
  args: Args,
  settings: SweepConfig['slurm'],
): Promise<SlurmOptions | undefined> {
  if (args.launcher === 'slurm') {
    if (args.gpus) {
      throw new UsageError(
        '--gpus is for the local launcher; on Slurm, request GPUs with --sbatch gres=gpu:1',
      );
    }
    const { parseSbatch } = await import('../../sweep/slurm/script.js');
    return { settings, given: parseSbatch(args.sbatch ?? []), resubmit: args.resubmit };
  }
  for (const name of ['sbatch', 'resubmit'] as const) {
    if (args[name]) throw new UsageError(`--${name} needs --launcher slurm`);
  }
  return undefined;
}
