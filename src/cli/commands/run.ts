import type { ArgumentsCamelCase, CommandModule, InferredOptionTypes } from 'yargs';
import { devices } from '../../backend/backend.js';
import { UsageError } from '../../errors.js';
import type { PlanOptions } from '../../experiment/plan.js';
import type { ExperimentOptions } from '../../experiment/run.js';
import { interruptedCodes, manual } from '../manual.js';
import { checkpointing, dataDir, offline } from '../options/shared.js';
import { listOf, once, oneOf, seedsOf } from '../options/values.js';
import { progressModes } from '../render/mode.js';
import { note, print, printJson, warn } from '../render/print.js';

const options = {
  out: {
    type: 'string',
    describe: 'run directory; default results/NAME/CONFIG-HASH',
    coerce: once('out'),
  },
  'data-dir': dataDir,
  backend: {
    type: 'string',
    describe: 'auto, tensorflow, wasm, ...; replaces the one in the config (fln backend list)',
    coerce: once('backend'),
  },
  device: {
    type: 'string',
    describe: 'cpu or cuda; replaces the one in the config. cuda without a usable GPU is an error',
    coerce: oneOf('device', devices),
  },
  only: { type: 'string', describe: 'train these methods only: LABEL,...', coerce: listOf('only') },
  seeds: {
    type: 'string',
    describe: "train these of the config's seeds only: 1,3-5",
    coerce: seedsOf('seeds'),
  },
  resume: {
    type: 'boolean',
    describe:
      'keep the completed runs of the run directory, resume the others from their last checkpoint',
  },
  rerun: {
    type: 'string',
    describe: 'failed: train anew the runs that failed, and with --resume the unfinished ones too',
    coerce: oneOf('rerun', ['failed']),
  },
  overwrite: { type: 'boolean', describe: 'train anew what the run directory already holds' },
  ...checkpointing,
  'fail-fast': { type: 'boolean', describe: 'stop at the first run that fails' },
  offline,
  'dry-run': { type: 'boolean', describe: 'check everything, say what would run, write nothing' },
  'print-config': {
    type: 'boolean',
    describe: 'print the resolved config, with the origin of each value',
  },
  json: { type: 'boolean', describe: 'print the result as JSON, and nothing else, on stdout' },
  progress: {
    type: 'string',
    default: 'auto' as const,
    describe: `${progressModes.join(', ')}; auto: bars on a terminal, else lines`,
    coerce: oneOf('progress', progressModes),
  },
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
      .positional('config', { type: 'string', describe: 'YAML or JSON file', demandOption: true })
      .positional('overrides', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'values to change: epochs=2 methods.adam.learningRate=0.01',
      })
      .options(options)
      .example('$0 run configs/quickstart.yaml', 'train and draw in under a minute, no download')
      .example(
        '$0 run configs/mnist-mlp.yaml epochs=2 methods.adam.learningRate=0.01',
        'change values',
      )
      .example('$0 run configs/mnist-mlp.yaml --only fenchel --seeds 1', 'one method, one seed')
      .example('$0 run configs/mnist-mlp.yaml --resume', 'go on where it stopped, kill -9 included')
      .example('$0 run configs/mnist-mlp.yaml --dry-run', 'check everything, train nothing')
      .epilogue(
        manual(
          'Lists are written as in YAML: seeds=[1,2]. docs/checkpoints.md has how runs are stopped and resumed.',
          {
            0: 'every run completed',
            1: 'a run failed, or the disk did',
            2: 'usage or config',
            4: 'the backend does not start',
            5: 'data missing or damaged',
            ...interruptedCodes,
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
  const loaded = loadExperiment(args.config, [...args.overrides, ...backend, ...device]);
  warn(loaded.warnings);
  if (args.printConfig) {
    const { resolved } = loaded.experiment;
    if (args.json) printJson(resolved);
    else print(printConfig(loaded).trimEnd());
    return;
  }

  const plan: PlanOptions = {
    outDir: args.out,
    only: args.only,
    seeds: args.seeds,
    resume: args.resume,
    rerun: args.rerun,
    overwrite: args.overwrite,
  };
  const data = { dataDir: args.dataDir, offline: args.offline };
  if (args.dryRun) {
    const { checkExperiment } = await import('../../experiment/check.js');
    const { formatCheck } = await import('../render/dry-run.js');
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
  };
  const { trainAndPrint } = await import('../train-and-print.js');
  process.exitCode = await trainAndPrint(loaded.experiment, all, args);
}

/** The backend belongs to the config, so that config.yaml and the run directory tell it. */
async function backendOverride(name: string): Promise<string> {
  const { backendNames } = await import('../../backend/registry.js');
  const names = ['auto', ...backendNames];
  if (names.includes(name)) return `backend=${name}`;
  throw new UsageError(
    `--backend: there is no backend "${name}"; choose one of ${names.join(', ')}`,
  );
}
