import type { ArgumentsCamelCase, CommandModule, InferredOptionTypes } from 'yargs';
import { devices } from '../../backend/backend.js';
import { splits } from '../../core/dataset.js';
import { ExitCode, UsageError } from '../../errors.js';
import {
  dataDir,
  json,
  manual,
  modelChoice,
  modelPlugins,
  offline,
  once,
  oneOf,
} from '../options.js';
import { note, printText, shortPath } from '../render/print.js';

const options = {
  ...modelChoice,
  plugins: modelPlugins,
  split: {
    type: 'string',
    describe: 'test, validation or train; default: the one whose results were reported',
    coerce: oneOf('split', splits),
  },
  dataset: {
    type: 'string',
    describe: "another data set of fln, of the same shape; the preprocessing is the model's",
    coerce: once('dataset'),
  },
  flips: {
    type: 'boolean',
    describe:
      'measure the accuracy also by the mean of the outputs for an image and its mirror image',
  },
  'data-dir': dataDir,
  offline,
  backend: {
    type: 'string',
    describe: 'instead of the backend of the training; the last digits may then differ',
    coerce: once('backend'),
  },
  device: { type: 'string', describe: 'cpu or cuda', coerce: oneOf('device', devices) },
  json,
  csv: { type: 'boolean', describe: 'print CSV: a row per run and true class' },
} as const;

type EvaluateArguments = InferredOptionTypes<typeof options> & {
  run: string;
  file?: string;
  labels?: string;
};

/** `fln evaluate RUN [FILE [LABELS]]` */
export const evaluateCommand: CommandModule<object, EvaluateArguments> = {
  command: 'evaluate <run> [file] [labels]',
  describe: 'evaluate trained networks again: accuracy, confusion matrix',
  builder: (parser) =>
    parser
      .positional('run', {
        type: 'string',
        demandOption: true,
        describe: 'run directory, or a folder LABEL-sSEED in one',
      })
      .positional('file', {
        type: 'string',
        describe: 'own data instead of a data set: .npz, .npy, IDX, CSV, folder of PNG images',
      })
      .positional('labels', {
        type: 'string',
        describe: 'labels of an .npy or IDX file; column of the labels of a CSV file',
      })
      .options(options)
      .example('$0 evaluate results/mnist-mlp', 'every run: repeats the reported results')
      .example('$0 evaluate results/mnist-mlp/fenchel-s1', 'one run, with its confusion matrix')
      .example('$0 evaluate results/mnist-mlp --label fenchel --split train', 'training images')
      .example('$0 evaluate results/mnist-mlp/fenchel-s1 images.npy labels.npy', 'own data')
      .epilogue(
        manual('See docs/model.md.', {
          0: 'ok',
          2: 'usage, or there is no trained network',
          3: 'a result differs from the reported one, on the same backend and images',
          4: 'the backend does not start',
          5: 'data missing, damaged or of another shape',
        }),
      ) as never,
  handler: evaluate,
};

async function evaluate(args: ArgumentsCamelCase<EvaluateArguments>): Promise<void> {
  const { run, label, seed, plugins, file, labels, json, csv } = args;
  if (json && csv) throw new UsageError('--json and --csv are given together: choose one');
  if (file !== undefined && (args.dataset !== undefined || args.split !== undefined)) {
    throw new UsageError('a file replaces the data set: leave out --dataset and --split');
  }
  const { loadModels } = await import('../../model/find.js');
  const { evaluateModels } = await import('../../model/evaluate.js');
  const { evaluationCsv, evaluationText } = await import('../render/evaluation.js');
  const models = loadModels(String(run), { label, seed, plugins });
  const { dataset, split, flips, dataDir, offline, backend, device } = args;
  const found = await evaluateModels(models, {
    ...{ dataset, split, flips, dataDir, offline, backend, device },
    ...(file !== undefined && {
      file: { path: String(file), ...(labels !== undefined && { labels: String(labels) }) },
    }),
    onWarning: (message) => note(`warning: ${message}`),
  });
  if (json) printText(`${JSON.stringify({ runs: found }, null, 2)}\n`);
  else printText(csv ? evaluationCsv(found) : evaluationText(found));
  const wrong = found.filter(({ agrees, otherBackend }) => agrees === false && !otherBackend);
  for (const { folder } of wrong) {
    note(`${shortPath(folder)}: the results differ from the reported ones`);
  }
  if (wrong.length > 0) process.exitCode = ExitCode.regression;
}
