import { dirname, join, resolve } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import type { CommandModule, InferredOptionTypes } from 'yargs';
import { devices } from '../../backend/backend.js';
import { UsageError } from '../../errors.js';
import { writeFileAtomic } from '../../files/atomic.js';
import { isFolder } from '../../files/folder.js';
import { plural } from '../../shared/text.js';
import { json, manual, modelChoice, modelPlugins, once, oneOf } from '../options.js';
import { note, printText, shortPath } from '../render/print.js';

const options = {
  ...modelChoice,
  plugins: modelPlugins,
  best: {
    type: 'boolean',
    describe:
      'the run with the best validation accuracy (regression: loss); of the test set without a validation split',
  },
  labels: {
    type: 'string',
    describe: 'column of a CSV file that is not an input',
    coerce: once('labels'),
  },
  out: { type: 'string', describe: 'write to this file instead of stdout', coerce: once('out') },
  backend: {
    type: 'string',
    default: 'auto',
    describe: 'auto, tensorflow, wasm, ...',
    coerce: once('backend'),
  },
  device: { type: 'string', describe: 'cpu or cuda', coerce: oneOf('device', devices) },
  json,
} as const;

type PredictArguments = InferredOptionTypes<typeof options> & { run: string; files: string[] };

/** `fln predict RUN FILES...` */
export const predictCommand: CommandModule<object, PredictArguments> = {
  command: 'predict <run> <files..>',
  describe: 'predict the classes or numbers of own images or rows with a trained network',
  builder: (parser) =>
    parser
      .positional('run', {
        type: 'string',
        demandOption: true,
        describe: 'run directory, or a folder LABEL-sSEED in one',
      })
      .positional('files', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'PNG images or folders of them, .npy, .npz, IDX, CSV with a header',
      })
      .options(options)
      .example('$0 predict results/mnist-mlp/fenchel-s1 digit.png', 'one image')
      .example('$0 predict results/mnist-mlp --best images.npy --out predictions.csv', 'an array')
      .epilogue(
        manual(
          'Inputs are raw: pixels from 0 to 255, or the numbers of the training data; the preprocessing of the ' +
            'training is applied. Columns: file, row (from 0), label, class, then p_0, p_1, ... (probabilities), ' +
            'or output_0, ... for a network trained with another loss than cross-entropy; of a regression, output_0, ... alone.',
          {
            0: 'ok',
            2: 'usage, or there is no trained network',
            4: 'the backend does not start',
            5: 'a file is missing, damaged or of another shape',
          },
        ),
      ) as never,
  handler: predictFiles,
};

async function predictFiles(args: PredictArguments): Promise<void> {
  const { run, files, label, seed, best, plugins, out, backend = 'auto', device, json } = args;
  if (out !== undefined && !isFolder(dirname(resolve(out)))) {
    throw new UsageError(`--out: the folder of ${out} does not exist`);
  }
  const { loadModel } = await import('../../model/find.js');
  const { checkInputs, predictSamples, probabilities, readInputs } = await import(
    '../../model/predict.js'
  );
  const { startBackend } = await import('../../backend/registry.js');
  const model = loadModel(String(run), { label, seed, best, plugins });
  const { classes, loss, isRegression } = model.description;
  // All files are read before the first is predicted.
  const inputs = files.map(String).map((path) => {
    const samples = readInputs(
      path,
      /\.csv$/i.test(path) ? args.labels : undefined,
      model.description,
    );
    checkInputs(path, samples, model.description);
    return { path, samples };
  });
  await startBackend(backend, device);
  const k = classes.length;
  const hasProbabilities = loss === 'cross-entropy';
  const rows: Record<string, string | number>[] = [];
  for (const { path, samples } of inputs) {
    const predicted = await predictSamples(model, samples);
    for (let row = 0; row < samples.count; row++) {
      const outputs = predicted.outputs.subarray(row * k, (row + 1) * k);
      const values = hasProbabilities ? probabilities(outputs) : outputs;
      const name = hasProbabilities ? 'p' : 'output';
      rows.push({
        file: isFolder(path) ? join(path, samples.rowName(row)) : path,
        row,
        ...(!isRegression && {
          label: predicted.classes[row],
          class: classes[predicted.classes[row]],
        }),
        ...Object.fromEntries(
          Array.from(values, (value, c) => [`${name}_${c}`, Number(value.toPrecision(7))]),
        ),
      });
    }
  }
  const text = json ? `${JSON.stringify(rows, null, 2)}\n` : stringify(rows, { header: true });
  if (out === undefined) return printText(text);
  writeFileAtomic(out, text);
  note(`${shortPath(out)}: ${plural(rows.length, 'row')}`);
}
