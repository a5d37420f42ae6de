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
  saving,
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
    describe: 'trials that run at the same time; default 1, or one per GPU; no limit on Slurm',
    coerce: oneNumber('jobs'),
  },
  gpus: {
    type: 'string',
    describe: 'GPUs of this machine, each for one trial at a time: 0,1',
    coerce: listOf('gpus'),
  },
  sbatch: {
    type: 'string',
    describe: 'sbatch options, in addition to those of the sweep file: time=2:00:00,partition=gpu',
    coerce: listOf('sbatch'),
  },
  resume: {
    type: 'boolean',
    describe: 'run the unfinished trials, from their checkpoints',
  },
  rerun: {
    type: 'string',
    describe: 'failed: run the failed trials again; all: start all trials over',
    coerce: oneOf('rerun', ['failed', 'all']),
  },
  resubmit: {
    type: 'boolean',
    describe: 'also resubmit trials whose Slurm job is in an unknown state',
  },
  'fail-fast': { type: 'boolean', describe: 'start no more trials once one has failed' },
  'keep-going': { type: 'boolean', describe: 'run the other trials when some fail (the default)' },
  'stop-after': {
    type: 'string',
    describe: 'stop when this many trials failed for the same reason',
    coerce: oneNumber('stop-after'),
  },
  status: { type: 'boolean', describe: 'print the state of the sweep and run nothing' },
  cancel: { type: 'boolean', describe: 'cancel the Slurm jobs of the sweep' },
  'dry-run': {
    type: 'boolean',
    describe: 'check everything and list the trials, on Slurm also the script; write nothing',
  },
  'data-dir': dataDir,
  offline,
  ...saving,
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
        describe: 'YAML or JSON file; with --status and --cancel also a sweep directory',
        demandOption: true,
      })
      .positional('overrides', overridesArgument('overrides for every trial: epochs=2'))
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
          'Every trial has a run directory, trials/ID, for the other commands. Sweep files: docs/sweeps.md.',
          {
            0: 'all trials completed, or were submitted to Slurm',
            1: 'some failed or are unfinished',
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
    throw new UsageError('--fail-fast and --keep-going exclude each other');
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
  const { openTrials } = await import('../../sweep/halving/record.js');
  const { planSweep } = await import('../../sweep/plan.js');
  const { writeSweepReport } = await import('../../sweep/report/write-sweep-report.js');
  const { createSweepProgress, formatSweep, sweepJson } = await import('../render/sweep.js');
  const mode = resolveMode(args.progress, args.json ?? false, process.stderr);
  const progress = createSweepProgress(mode, note, sweep.trials);
  if (sweep.duplicates > 0 && mode !== 'none') {
    note(`${plural(sweep.duplicates, 'duplicate')} left out`);
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
  const { halving } = result.status.manifest;
  const open = halving ? openTrials(result.status) : [];
  const left = halving
    ? open.filter(({ state }) => state.status !== 'RUNNING').length
    : counts.QUEUED + counts.INTERRUPTED;
  // --rerun does not run unfinished trials, and Slurm reports its own.
  const isAll = args.resume || args.rerun === undefined;
  const isIncomplete = args.launcher === 'local' && isAll && left + counts.RUNNING > 0;
  const files =
    counts.COMPLETED + counts.PAUSED > 0 && result.stopped !== 'submitted'
      ? await writeSweepReport(result.directory)
      : [];
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
    if (halving) {
      note(
        `When trials have ended, submit those that their results promote with: ${commandLine(args, ['--resume'])}`,
      );
    }
  } else if (left > 0) {
    note(`${plural(left, 'trial')} unfinished. Resume with: ${commandLine(args, ['--resume'])}`);
  } else if (isIncomplete) {
    note(
      `${plural(counts.RUNNING, 'trial')} still running in other processes. When these have ended, resume with: ` +
        commandLine(args, ['--resume']),
    );
  } else if (counts.FAILED > 0) {
    note(`Run the failed trials again with: ${commandLine(args, ['--rerun', 'failed'])}`);
  }
}

/** Options that follow-up commands repeat. */
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
      // Trials may run in another directory.
      dataDir: dataDir === undefined ? undefined : resolve(dataDir),
      offline,
      checkpointEvery,
      keepCheckpoints,
      model: !args.noModel,
    },
  };
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
