import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { ArgumentsCamelCase, CommandModule, InferredOptionTypes } from 'yargs';
import { devices } from '../../backend/backend.js';
import type { Experiment } from '../../config/experiment.js';
import { ExitCode, UsageError } from '../../errors.js';
import type { PlanOptions } from '../../experiment/plan.js';
import type { ExperimentOptions } from '../../experiment/run.js';
import { plural } from '../../shared/text.js';
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
  oneNumber,
  oneOf,
  overridesArgument,
  type ProgressMode,
  progress,
  resolveMode,
  saving,
  seedsOf,
} from '../options.js';
import { note, print, printJson, printText, warn } from '../render/print.js';

const options = {
  out: {
    type: 'string',
    describe: 'run directory; default results/NAME/CONFIG-HASH',
    coerce: once('out'),
  },
  'data-dir': dataDir,
  backend: {
    type: 'string',
    describe: "auto, tensorflow, wasm, ... (see fln backend list), instead of the config's",
    coerce: once('backend'),
  },
  device: {
    type: 'string',
    describe: "cpu or cuda, instead of the config's; cuda without a usable GPU is an error",
    coerce: oneOf('device', devices),
  },
  only: { type: 'string', describe: 'train only these methods: LABEL,...', coerce: listOf('only') },
  seeds: {
    type: 'string',
    describe: "train only these of the config's seeds: 1,3-5",
    coerce: seedsOf('seeds'),
  },
  resume: {
    type: 'boolean',
    describe:
      'keep the completed runs of the run directory, resume the others from their last checkpoint',
  },
  rerun: {
    type: 'string',
    describe:
      'failed: train failed runs again from the start; with --resume, also resume the others',
    coerce: oneOf('rerun', ['failed']),
  },
  overwrite: {
    type: 'boolean',
    describe: 'train everything again, replacing the results in the run directory',
  },
  ...saving,
  extend: {
    type: 'string',
    describe:
      'continue the completed runs of CONFIG to more epochs, in a directory of their own: epochs=20',
    coerce: once('extend'),
  },
  'stop-at-epoch': {
    type: 'string',
    describe:
      'pause each run after this epoch, with a checkpoint; --resume continues, with the same results as without a pause',
    coerce: oneNumber('stop-at-epoch'),
  },
  'fail-fast': { type: 'boolean', describe: 'stop at the first run that fails' },
  offline,
  'dry-run': {
    type: 'boolean',
    describe: 'check everything, print what would be trained, write nothing',
  },
  'print-config': {
    type: 'boolean',
    describe: 'print the resolved config, with the origin of each value',
  },
  json,
  progress,
} as const;

type RunArguments = InferredOptionTypes<typeof options> & {
  config: string;
  overrides: string[];
};

/** `fln run CONFIG [path=value ...]` */
export const runCommand: CommandModule<object, RunArguments> = {
  command: 'run <config> [overrides..]',
  describe: 'train the methods of an experiment, write CSVs, draw the figure',
  builder: (parser) =>
    parser
      .positional('config', configArgument)
      .positional(
        'overrides',
        overridesArgument('values to change: epochs=2 methods.adam.learningRate=0.01'),
      )
      .options(options)
      .example('$0 run configs/quickstart.yaml', 'train and draw in under a minute, no download')
      .example(
        '$0 run configs/mnist-mlp.yaml epochs=2 methods.adam.learningRate=0.01',
        'change values',
      )
      .example('$0 run configs/mnist-mlp.yaml --only fenchel --seeds 1', 'one method, one seed')
      .example(
        '$0 run configs/mnist-mlp.yaml --resume',
        'resume after an interruption, kill -9 included',
      )
      .example('$0 run configs/mnist-mlp.yaml --extend epochs=20', 'continue completed runs')
      .example('$0 run configs/mnist-mlp.yaml --dry-run', 'check everything, train nothing')
      .epilogue(
        manual(
          'Lists are written as in YAML: seeds=[1,2]. See docs/checkpoints.md for stopping and resuming.',
          {
            0: 'every run completed',
            1: 'a run failed, or a disk error',
            2: 'usage or config',
            4: 'the backend does not start',
            5: 'data missing or damaged',
            ...interruptedCodes,
            76: 'paused at --stop-at-epoch',
          },
        ),
      ) as never,
  handler: runHandler,
};

async function runHandler(args: ArgumentsCamelCase<RunArguments>): Promise<void> {
  const { loadExperiment } = await import('../../config/load.js');
  const { printConfig } = await import('../../config/print.js');
  const backend = args.backend === undefined ? [] : [await backendOverride(args.backend)];
  const device = args.device === undefined ? [] : [`device=${args.device}`];
  const overrides = [...args.overrides, ...backend, ...device];
  const longer = args.extend === undefined ? [] : [lengthOf(args.extend)];
  const loaded = loadExperiment(args.config, [...overrides, ...longer]);
  warn(loaded.warnings);
  if (args.printConfig) {
    const { resolved } = loaded.experiment;
    if (args.json) printJson(resolved);
    else print(printConfig(loaded).trimEnd());
    return;
  }

  const plan: { -readonly [K in keyof PlanOptions]: PlanOptions[K] } = {
    outDir: args.out,
    only: args.only,
    seeds: args.seeds,
    resume: args.resume,
    rerun: args.rerun,
    overwrite: args.overwrite,
  };
  if (args.extend !== undefined) {
    const base = loadExperiment(args.config, overrides).experiment;
    const begun = await extend(base, loaded.experiment, args);
    if (args.dryRun) return;
    Object.assign(plan, begun);
  }
  const data = { dataDir: args.dataDir, offline: args.offline, stopAtEpoch: args.stopAtEpoch };
  if (args.dryRun) {
    const { checkExperiment } = await import('../../experiment/check.js');
    const { formatCheck } = await import('../render/run.js');
    const check = await checkExperiment(loaded.experiment, { ...plan, ...data });
    for (const warning of check.warnings) note(warning);
    if (args.json) printJson(check);
    else print(formatCheck(check));
    return;
  }
  const all: ExperimentOptions = {
    ...plan,
    ...data,
    failFast: args.failFast,
    checkpointEvery: args.checkpointEvery,
    keepCheckpoints: args.keepCheckpoints,
    model: !args.noModel,
  };
  process.exitCode = await trainAndPrint(loaded.experiment, all, args);
}

/** `epochs=20`, or that of one method. */
function lengthOf(override: string): string {
  if (/^(methods\.[^.=]+\.)?epochs=\d+$/.test(override)) return override;
  throw new UsageError(`--extend: expected epochs=N or methods.LABEL.epochs=N, got "${override}"`);
}

/**
 * Makes the completed runs of `base` interrupted ones of `extended`, in its directory; a dry run prints which.
 * @returns how to plan their end
 */
async function extend(
  base: Experiment,
  extended: Experiment,
  args: ArgumentsCamelCase<RunArguments>,
): Promise<Pick<PlanOptions, 'outDir' | 'resume'>> {
  const { config, out, only, seeds, resume, rerun, overwrite, dryRun, json } = args;
  if (rerun !== undefined || overwrite) {
    throw new UsageError(
      `--extend continues completed runs, and --${overwrite ? 'overwrite' : 'rerun'} trains runs from the start: use only one of the two`,
    );
  }
  const { extendRuns } = await import('../../experiment/extend.js');
  const { defaultDirectory } = await import('../../experiment/plan.js');
  const directory = out ?? defaultDirectory(extended);
  // An extension that was interrupted is resumed; one that ended is refused by the plan.
  if (existsSync(join(directory, 'run.json'))) return { outDir: directory, resume };
  const beside = dirname(resolve(config));
  const from = existsSync(join(beside, 'run.json')) ? beside : undefined;
  const extension = { base, from, extended, outDir: out, only, seeds };
  const { runs } = await extendRuns(extension, note, dryRun);
  if (dryRun && json) printJson({ directory: resolve(directory), runs });
  else if (dryRun) {
    print(`Would extend ${plural(runs.length, 'run')} in ${directory}:`);
    for (const { label, seed, batch, epochs } of runs) {
      print(
        `  ${label}, seed ${seed}: from batch ${batch}, epoch ${epochs.from}, to epoch ${epochs.to}`,
      );
    }
  }
  return { outDir: directory, resume: true };
}

/** The backend becomes part of the config, and so of config.yaml and of the hash. */
async function backendOverride(name: string): Promise<string> {
  const { backendNames } = await import('../../backend/registry.js');
  const names = ['auto', ...backendNames];
  if (names.includes(name)) return `backend=${name}`;
  throw new UsageError(`--backend: expected one of ${names.join(', ')}, got "${name}"`);
}

/**
 * Runs an experiment with progress on stderr, and its result on stdout.
 * @returns the exit code
 */
async function trainAndPrint(
  experiment: Experiment,
  options: ExperimentOptions,
  { progress, json = false }: { readonly progress: ProgressMode; readonly json?: boolean },
): Promise<ExitCode> {
  const { runExperiment } = await import('../../experiment/run.js');
  const { createProgress } = await import('../render/progress.js');
  const { formatResult, notes, resultJson } = await import('../render/run.js');
  const labels = experiment.methods.map(({ label }) => label);
  const renderer = createProgress(resolveMode(progress, json, process.stderr), note, labels);
  let interruption: Interruption | undefined;
  const onFirst = (first: Interruption) => {
    interruption = first;
    renderer.pause();
    note(
      first.by === 'SIGINT'
        ? 'Stopping after this batch, with a checkpoint; press Ctrl-C again to stop at once.'
        : `${first.message}: stopping after this batch, with a checkpoint.`,
    );
  };
  try {
    const result = await interruptible(onFirst, (signal) =>
      runExperiment(experiment, { ...options, signal }, renderer.listen),
    );
    renderer.pause();
    const code = {
      completed: ExitCode.ok,
      failed: ExitCode.runFailed,
      interrupted: interruption?.exitCode ?? ExitCode.interrupted,
      paused: ExitCode.paused,
    }[result.status];
    printText(json ? resultJson(result, code) : formatResult(result));
    for (const text of notes(result)) note(text);
    return code;
  } finally {
    renderer.pause();
  }
}
