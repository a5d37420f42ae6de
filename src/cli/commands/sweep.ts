import { resolve } from 'node:path';
import type { ArgumentsCamelCase, CommandModule, InferredOptionTypes } from 'yargs';
import { ExitCode, UsageError } from '../../errors.js';
import { isFolder } from '../../files/folder.js';
import { plural } from '../../report/text.js';
import type { Launcher, LaunchOptions } from '../../sweep/launcher.js';
import type { Sweep } from '../../sweep/load.js';
import type { SweepPlanOptions } from '../../sweep/plan.js';
import type { SweepConfig } from '../../sweep/schema.js';
import { type Interruption, interruptible } from '../interrupt.js';
import { interruptedCodes, manual } from '../manual.js';
import { checkpointing, dataDir, offline } from '../options/shared.js';
import { listOf, once, oneNumber, oneOf } from '../options/values.js';
import { shortPath } from '../render/format.js';
import { progressModes, resolveMode } from '../render/mode.js';
import { note, print, printJson } from '../render/print.js';

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
    describe: 'trials at a time; default 1, or one a GPU',
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
  resume: { type: 'boolean', describe: 'go on with the trials that did not end' },
  rerun: {
    type: 'string',
    describe: 'failed: run the failed trials again; all: every trial, from its start',
    coerce: oneOf('rerun', ['failed', 'all']),
  },
  'fail-fast': { type: 'boolean', describe: 'start no more trials once one has failed' },
  'keep-going': { type: 'boolean', describe: 'run the others when trials fail (the default)' },
  'stop-after': {
    type: 'string',
    describe: 'stop when this many trials failed for the same reason',
    coerce: oneNumber('stop-after'),
  },
  status: { type: 'boolean', describe: 'say where the sweep stands; run nothing' },
  cancel: { type: 'boolean', describe: 'take the jobs of the sweep out of Slurm' },
  'dry-run': { type: 'boolean', describe: 'check everything, list the trials, write nothing' },
  'data-dir': dataDir,
  offline,
  ...checkpointing,
  json: { type: 'boolean', describe: 'print the result as JSON, and nothing else, on stdout' },
  progress: {
    type: 'string',
    default: 'auto' as const,
    describe: `${progressModes.join(', ')}; auto: a bar on a terminal, else lines`,
    coerce: oneOf('progress', progressModes),
  },
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
      .positional('overrides', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'values of the experiment to change in every trial: epochs=2',
      })
      .options(options)
      .example('$0 sweep configs/sweeps/quickstart.yaml --jobs 2', 'two trials at a time')
      .example('$0 sweep configs/sweeps/quickstart.yaml --resume', 'go on where it stopped')
      .example('$0 sweep configs/sweeps/quickstart.yaml --status', 'counts, best and failed trials')
      .example(
        '$0 sweep configs/sweeps/quickstart.yaml --launcher slurm --sbatch time=1:00:00',
        'as an array job',
      )
      .epilogue(
        manual(
          'Every trial is a run directory, trials/ID, that the other commands read; docs/sweeps.md has the sweep file.',
          {
            0: 'all trials completed, or were given to Slurm',
            1: 'some failed',
            2: 'usage or sweep file',
            4: 'the backend or Slurm is not there',
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
  if (args.status || args.cancel) return look(args);
  const { loadSweep } = await import('../../sweep/load.js');
  const { planSweep } = await import('../../sweep/plan.js');
  const sweep = loadSweep(args.sweep, args.overrides);
  const plan: SweepPlanOptions = { outDir: args.out, resume: args.resume, rerun: args.rerun };
  if (args.dryRun) {
    const { directory, due, status } = planSweep(sweep, plan);
    const { settings } = await import('../render/sweep-table.js');
    if (args.json) {
      return printJson({ directory, trials: due.map(({ id, overrides }) => ({ id, overrides })) });
    }
    const equal = sweep.duplicates > 0 ? `; ${sweep.duplicates} more equal one of them` : '';
    const kept = status.trials.length - due.length;
    print(
      [
        `${sweep.config.name}: the sweep is valid, with ${plural(sweep.trials.length, 'trial')}${equal}. Nothing was written.`,
        `Sweep: ${shortPath(directory)}`,
        `Would run ${plural(due.length, 'trial')}${kept > 0 ? `, keep ${kept}` : ''}:`,
        ...due.map(({ id, overrides }) => `  ${id}  ${settings(overrides)}`),
      ].join('\n'),
    );
    return;
  }
  await launch(args, sweep, plan);
}

async function launch(args: Args, sweep: Sweep, plan: SweepPlanOptions): Promise<void> {
  const { runSweep } = await import('../../sweep/run-sweep.js');
  const { planSweep } = await import('../../sweep/plan.js');
  const { manifestOf } = await import('../../sweep/manifest.js');
  const { createSweepProgress } = await import('../render/sweep-progress.js');
  const { formatSweep, sweepJson } = await import('../render/sweep-table.js');
  const mode = resolveMode(args.progress, args.json ?? false, process.stderr);
  const progress = createSweepProgress(mode, note, manifestOf(sweep).trials);
  if (sweep.duplicates > 0 && mode !== 'none') {
    note(`${plural(sweep.duplicates, 'trial')} left out: equal to others`);
  }
  let interruption: Interruption | undefined;
  const onFirst = (first: Interruption) => {
    interruption = first;
    progress.pause();
    note('Stopping: trials write checkpoints. Press Ctrl-C again to stop at once.');
  };
  const { dataDir, offline, checkpointEvery, keepCheckpoints } = args;
  const flags = {
    // Trials may run elsewhere.
    dataDir: dataDir === undefined ? undefined : resolve(dataDir),
    offline,
    checkpointEvery,
    keepCheckpoints,
  };
  const options: LaunchOptions = {
    jobs: args.jobs,
    failFast: args.failFast,
    stopAfter: args.stopAfter ?? sweep.config.stopAfter,
    flags,
  };
  const launcher = await launcherOf(args, sweep.config.slurm);
  if (args.launcher === 'slurm') {
    const { crossCheck } = await import('../../sweep/slurm/jobs.js');
    for (const message of await crossCheck(planSweep(sweep, { ...plan, resume: true }).directory)) {
      note(message);
    }
  }
  const result = await interruptible(onFirst, (signal) =>
    runSweep(sweep, { ...plan, ...options, signal }, launcher, progress.listen),
  ).finally(progress.pause);

  const { counts } = result.status;
  const files =
    counts.COMPLETED > 0 && result.stopped !== 'submitted' ? await draw(result.directory) : [];
  const code =
    result.stopped === 'interrupted'
      ? (interruption?.exitCode ?? ExitCode.interrupted)
      : result.stopped === 'failures' || counts.FAILED > 0
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
  const left = counts.QUEUED + counts.INTERRUPTED;
  if (result.stopped === 'submitted') {
    note(`Look at it with: fln sweep ${args.sweep} --status`);
  } else if (left > 0) {
    note(`${plural(left, 'trial')} left. The same command with --resume goes on with them`);
  } else if (counts.FAILED > 0) {
    note('The same command with --rerun failed runs the failed trials again');
  }
}

async function draw(directory: string): Promise<string[]> {
  const { writeSweepReport } = await import('../../sweep/report/write-sweep-report.js');
  return writeSweepReport(directory);
}

async function launcherOf(args: Args, settings: SweepConfig['slurm']): Promise<Launcher> {
  if (args.launcher === 'slurm') {
    if (args.gpus) {
      throw new UsageError('--gpus is of the local launcher; ask Slurm with --sbatch gres=gpu:1');
    }
    const { slurmLauncher } = await import('../../sweep/slurm/launcher.js');
    const { parseSbatch } = await import('../../sweep/slurm/options.js');
    return slurmLauncher(settings, parseSbatch(args.sbatch ?? []));
  }
  if (args.sbatch) throw new UsageError('--sbatch needs --launcher slurm');
  const { localLauncher } = await import('../../sweep/local/launcher.js');
  return localLauncher(args.gpus);
}

/** --status and --cancel, which need no sweep file when they are given its directory. */
async function look(args: Args): Promise<void> {
  const directory = await directoryOf(args);
  const { sweepStatus } = await import('../../sweep/status.js');
  const { crossCheck, cancelJobs } = await import('../../sweep/slurm/jobs.js');
  const { formatSweep, sweepJson } = await import('../render/sweep-table.js');
  if (!sweepStatus(directory)) {
    throw new UsageError(
      `${directory} holds no sweep that has begun; start it with fln sweep SWEEP`,
    );
  }
  if (args.cancel) {
    const jobs = await cancelJobs(directory);
    const what =
      jobs.length > 0 ? `Cancelled: ${jobs.join(', ')}` : 'no job of this sweep is in Slurm';
    note(what);
  }
  for (const message of await crossCheck(directory)) note(message);
  const status = sweepStatus(directory);
  if (!status) return;
  if (args.json) printJson(sweepJson(directory, status));
  else print(formatSweep(directory, status));
}

async function directoryOf(args: Args): Promise<string> {
  if (args.out !== undefined) return args.out;
  if (isFolder(args.sweep)) return args.sweep;
  const { loadSweep } = await import('../../sweep/load.js');
  const { defaultSweepDirectory } = await import('../../sweep/plan.js');
  return defaultSweepDirectory(loadSweep(args.sweep, args.overrides).config.name);
}
