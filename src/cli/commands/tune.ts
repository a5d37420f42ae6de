import { resolve } from 'node:path';
import type { ArgumentsCamelCase, CommandModule, InferredOptionTypes } from 'yargs';
import { ExitCode, UsageError } from '../../errors.js';
import { plural, shellCommand } from '../../shared/text.js';
import type { Tuning } from '../../sweep/tune/plan.js';
import type { TuningOptions } from '../../sweep/tune/run-tuning.js';
import { type Interruption, interruptible } from '../interrupt.js';
import {
  configArgument,
  dataDir,
  interruptedCodes,
  json,
  listOf,
  manual,
  offline,
  once,
  onceOrBare,
  oneNumber,
  oneOf,
  overridesArgument,
  progress,
  resolveMode,
  saving,
  seedsOf,
} from '../options.js';
import { note, print, printJson, warn } from '../render/print.js';

const options = {
  trials: {
    type: 'string',
    default: '12',
    describe: 'trials of each method; the first has the settings of the experiment',
    coerce: oneNumber('trials'),
  },
  only: { type: 'string', describe: 'tune only these methods: LABEL,...', coerce: listOf('only') },
  epochs: {
    type: 'string',
    describe: "epochs of each trial, instead of the config's; schedules are as long",
    coerce: oneNumber('epochs'),
  },
  halving: {
    type: 'string',
    describe: 'stop early what is not among the best 1/ETA (docs/sweeps.md); 3 without a number',
    coerce: onceOrBare('halving'),
  },
  seeds: {
    type: 'string',
    describe: "seeds of each trial, instead of the config's: 1,3-5",
    coerce: seedsOf('seeds'),
  },
  validation: {
    type: 'string',
    describe:
      "training images to hold out, instead of the config's; default a tenth, at most 5,000",
    coerce: oneNumber('validation'),
  },
  space: {
    type: 'string',
    describe: 'file of search spaces, LABEL: { FIELD: VALUES }, that replace or add fields',
    coerce: once('space'),
  },
  out: {
    type: 'string',
    describe: 'tuning directory; default results/tune/NAME',
    coerce: once('out'),
  },
  jobs: {
    type: 'string',
    describe: 'trials that run at the same time; default 1',
    coerce: oneNumber('jobs'),
  },
  resume: {
    type: 'boolean',
    describe: 'train the unfinished trials, from their checkpoints; with more --trials, add some',
  },
  rerun: {
    type: 'string',
    describe: 'failed: train the failed trials again',
    coerce: oneOf('rerun', ['failed']),
  },
  'dry-run': {
    type: 'boolean',
    describe: 'check everything and list the trials; write nothing',
  },
  'data-dir': dataDir,
  offline,
  'checkpoint-every': saving['checkpoint-every'],
  json,
  progress,
} as const;

type TuneArguments = InferredOptionTypes<typeof options> & { config: string; overrides: string[] };
type Args = ArgumentsCamelCase<TuneArguments>;

/** `fln tune CONFIG [path=value ...]` */
export const tuneCommand: CommandModule<object, TuneArguments> = {
  command: 'tune <config> [overrides..]',
  describe:
    'search the settings of each method, with the same number of trials on a validation split',
  builder: (parser) =>
    parser
      .positional('config', configArgument)
      .positional('overrides', overridesArgument('values to change, also in the tuned experiment'))
      .options(options)
      .example('$0 tune configs/quickstart.yaml --trials 4', 'four trials of each method')
      .example('$0 tune configs/mnist-mlp.yaml --only adam,sgd --epochs 3 --seeds 1', 'shorter')
      .example('$0 tune configs/mnist-mlp.yaml --trials 27 --halving', 'stopping trials early')
      .example('$0 tune configs/quickstart.yaml --trials 4 --resume', 'after an interruption')
      .epilogue(
        manual(
          'The result is results/tune/NAME/tuned.yaml, for fln run. The test set is not used.\nSearch spaces: fln explain methods.NAME. See docs/tuning.md.',
          {
            0: 'the search of every method has ended',
            1: 'trials are unfinished, or all trials of a method failed',
            2: 'usage, config or search space',
            4: 'the backend does not start',
            5: 'data missing or damaged',
            ...interruptedCodes,
          },
        ),
      ) as never,
  handler: runHandler,
};

async function runHandler(args: Args): Promise<void> {
  const { planTuning } = await import('../../sweep/tune/plan.js');
  const eta = etaOf(args.halving);
  const chosen: TuningOptions = {
    trials: args.trials ?? 12,
    only: args.only,
    epochs: args.epochs,
    seeds: args.seeds,
    validation: args.validation,
    eta,
    space: args.space,
    outDir: args.out,
    jobs: args.jobs,
    resume: args.resume,
    rerun: args.rerun,
    flags: {
      // Trials may run in another directory.
      dataDir: args.dataDir === undefined ? undefined : resolve(args.dataDir),
      offline: args.offline,
      checkpointEvery: args.checkpointEvery,
      model: false,
    },
  };
  const tuning = planTuning(args.config, args.overrides, chosen);
  warn(tuning.warnings);
  if (args.dryRun) return dryRun(args, tuning, chosen);
  await tune(args, tuning, chosen);
}

function etaOf(halving: string | undefined): number | undefined {
  if (halving === undefined) return undefined;
  if (halving === '') return 3;
  if (/^[1-9]\d*$/.test(halving) && Number(halving) >= 2) return Number(halving);
  throw new UsageError(`--halving: expected an integer of at least 2, got "${halving}"`);
}

async function dryRun(args: Args, tuning: Tuning, options: TuningOptions): Promise<void> {
  const { checkEarlier, sweepOptions } = await import('../../sweep/tune/run-tuning.js');
  const { checkSweep } = await import('../../sweep/run-sweep.js');
  const { failingText } = await import('../../sweep/check.js');
  const { formatSweepDryRun, sweepDryRunJson } = await import('../render/sweep.js');
  const { splitText } = await import('../render/tune.js');
  checkEarlier(tuning, options);
  const checks: object[] = [];
  if (!args.json) print(splitText(tuning));
  for (const method of tuning.methods) {
    const { sweep } = method;
    const checked = { ...sweepOptions(method, options), dryRun: true };
    const { plan, check } = await checkSweep(sweep, checked);
    if (args.json) checks.push({ label: method.label, ...sweepDryRunJson(plan, check) });
    else print(`\n${formatSweepDryRun(sweep, plan, check)}`);
    if (check === undefined) continue;
    for (const message of check.warnings) note(`warning: ${message}`);
    for (const message of failingText(check, plan.due.length)) note(message);
    if (check.failing.length > 0) process.exitCode = ExitCode.runFailed;
  }
  if (args.json) printJson({ directory: tuning.directory, split: tuning.split, methods: checks });
}

async function tune(args: Args, tuning: Tuning, options: TuningOptions): Promise<void> {
  const { checkEarlier, runTuning } = await import('../../sweep/tune/run-tuning.js');
  const { writeTuning } = await import('../../sweep/tune/record.js');
  const { createSweepProgress } = await import('../render/sweep.js');
  const { formatTuning, splitText, tuningJson } = await import('../render/tune.js');
  const mode = resolveMode(args.progress, args.json ?? false, process.stderr);
  checkEarlier(tuning, options);
  if (mode !== 'none') note(splitText(tuning));
  let shown = createSweepProgress(mode, note, []);
  let interruption: Interruption | undefined;
  const onFirst = (first: Interruption) => {
    interruption = first;
    shown.pause();
    note(
      first.by === 'SIGINT'
        ? 'Stopping: trials write checkpoints. Press Ctrl-C again to stop at once.'
        : `${first.message}: stopping; trials write checkpoints.`,
    );
  };
  const { stopped } = await interruptible(onFirst, (signal) =>
    runTuning(tuning, { ...options, signal }, (event) => {
      if (event.type !== 'method') return shown.listen(event);
      shown.pause();
      shown = createSweepProgress(mode, note, event.method.sweep.trials);
    }),
  ).finally(() => shown.pause());
  const { methods, files } = writeTuning(tuning);
  const own = tuning.methods.flatMap(({ label }) => methods.filter((one) => one.label === label));
  const left = own.reduce((sum, { open }) => sum + open, 0) + missingTrials(tuning, own.length);
  const hasNone = own.some(({ open, best }) => open === 0 && best === undefined);
  const code =
    stopped === 'interrupted'
      ? (interruption?.exitCode ?? ExitCode.interrupted)
      : left > 0 || hasNone
        ? ExitCode.runFailed
        : ExitCode.ok;
  process.exitCode = code;
  if (args.json) printJson({ ...tuningJson(tuning, own, files), exitCode: code });
  else print(formatTuning(tuning, own, files));
  if (left > 0) {
    note(`${plural(left, 'trial')} unfinished. Resume with: ${commandLine(args, '--resume')}`);
  } else if (own.some(({ trials }) => trials.some(({ status }) => status === 'FAILED'))) {
    note(`To train the failed trials again: ${commandLine(args, '--rerun', 'failed')}`);
  }
}

/** Trials of methods that were not begun. */
const missingTrials = ({ methods, trials }: Tuning, begun: number): number =>
  (methods.length - begun) * trials;

/** A follow-up command with the same options. */
function commandLine(args: Args, ...added: string[]): string {
  const { resume: _, rerun: __, json: ___, 'dry-run': ____, ...kept } = options;
  const repeated = Object.entries(kept).flatMap(([name, option]) => {
    const value = args[name];
    if (value === undefined || value === (option as { default?: unknown }).default) return [];
    if (value === true || value === '') return [`--${name}`];
    return [`--${name}`, [value].flat().join(',')];
  });
  return shellCommand(['fln', 'tune', args.config, ...args.overrides, ...repeated, ...added]);
}
