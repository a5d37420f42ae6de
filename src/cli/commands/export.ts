import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import { isFolder } from '../../files/folder.js';
import type { Run } from '../../runs/run-directory.js';
import { grouped, plural, runName } from '../../shared/text.js';
import { json, manual, modelChoice, once } from '../options.js';
import { nothingFound, print, printJson, shortPath, warn } from '../render/print.js';

interface ExportArguments {
  dirs: readonly string[];
  tensorboard?: string;
  long?: string;
  onnx?: string;
  torch?: string;
  label?: string;
  seed?: number;
  best?: boolean;
  preprocessed?: boolean;
  json?: boolean;
}

/** `fln export DIR... --tensorboard FOLDER | --long FILE | --onnx FILE | --torch FILE|FOLDER` */
export const exportCommand: CommandModule<object, ExportArguments> = {
  command: 'export <dirs..>',
  describe: 'write runs in the formats of other programs',
  builder: (yargs) =>
    yargs
      .positional('dirs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'run directories, or folders that contain some',
      })
      .options({
        tensorboard: {
          type: 'string',
          describe: 'write event files of all metrics below this folder, one folder per run',
          coerce: once('tensorboard'),
        },
        long: {
          type: 'string',
          describe: 'write this CSV file with one row per measured value of all runs',
          coerce: once('long'),
        },
        onnx: {
          type: 'string',
          describe: 'write the trained network of one run as this ONNX file',
          coerce: once('onnx'),
        },
        torch: {
          type: 'string',
          describe:
            'write the trained network of one run as a PyTorch module: FILE.py, or model.py in this folder',
          coerce: once('torch'),
        },
        ...modelChoice,
        best: {
          type: 'boolean',
          describe:
            'the run with the best validation accuracy; test accuracy without a validation split',
        },
        preprocessed: {
          type: 'boolean',
          describe: 'the exported network takes preprocessed inputs, not raw pixels from 0 to 255',
        },
        json,
      })
      .example('$0 export results/mnist-mlp --tensorboard tb', 'then: tensorboard --logdir tb')
      .example('$0 export results --long metrics.csv', 'every run below results, for data frames')
      .example(
        '$0 export results/mnist-mlp --onnx mlp.onnx --label fenchel --seed 1',
        'one network',
      )
      .example(
        '$0 export results/mnist-mlp/fenchel-s1 --torch mlp.py',
        'mlp.py and mlp.safetensors',
      )
      .epilogue(
        manual(
          'Files of an earlier export are replaced. What cannot be read is named on stderr and left out.',
          { 0: 'ok', 1: 'a file cannot be written', 2: 'usage, or there is no run' },
        ),
      ) as never,
  handler: exportRuns,
};

async function exportRuns(args: ExportArguments): Promise<void> {
  const { dirs, tensorboard, long, onnx, torch, json } = args;
  if (onnx !== undefined || torch !== undefined) {
    if (tensorboard === undefined && long === undefined) return exportModel(args);
    throw new UsageError(
      'networks and curves are exported by separate commands: give --onnx and --torch, or --tensorboard and --long',
    );
  }
  if (tensorboard === undefined && long === undefined) {
    throw new UsageError(
      'Nothing to write: give --tensorboard FOLDER, --long FILE, --onnx FILE or --torch FILE. See fln export --help',
    );
  }
  // Before the runs are read.
  if (tensorboard !== undefined && existsSync(tensorboard) && !isFolder(tensorboard)) {
    throw new UsageError(`--tensorboard: ${tensorboard} is a file; give a folder`);
  }
  if (long !== undefined && isFolder(long)) {
    throw new UsageError(`--long: ${long} is a folder; give a file`);
  }
  if (long !== undefined && !isFolder(dirname(resolve(long)))) {
    throw new UsageError(`--long: the folder of ${long} does not exist`);
  }
  const { loadRuns } = await import('../../runs/run-directory.js');
  const { runs, problems } = loadRuns(dirs.map(String));
  const measured = runs.filter(({ metrics }) => metrics.rows > 0);
  if (measured.length === 0) {
    throw new UsageError(nothingFound('there is no run to export', problems));
  }
  warn(problems);
  const written = await write(measured, { tensorboard, long });
  if (json) return printJson(written);
  if (written.tensorboard) {
    const files = plural(written.tensorboard.length, 'run');
    print(`${files} written; tensorboard --logdir ${shortPath(tensorboard as string)}`);
  }
  if (written.long) print(`${shortPath(written.long.file)}: ${grouped(written.long.rows)} rows`);
}

/** The trained network of one run. */
async function exportModel(args: ExportArguments): Promise<void> {
  const { dirs, onnx, torch, label, seed, best, preprocessed, json } = args;
  if (dirs.length > 1) {
    throw new UsageError('--onnx and --torch export one network: give one run directory');
  }
  const { loadModel } = await import('../../model/find.js');
  const { writeOnnx, writeTorch } = await import('../../model/export.js');
  const model = loadModel(String(dirs[0]), { label, seed, best });
  const files = [
    ...(onnx === undefined ? [] : [writeOnnx(model, onnx, { preprocessed })]),
    ...(torch === undefined ? [] : writeTorch(model, torch, { preprocessed })),
  ];
  const { description } = model;
  const { prediction } = description;
  if (prediction.rule === 'lifted') {
    warn([
      `the exported network classifies by the forward pass; the results in ${shortPath(model.folder)}/model.json ` +
        `are those of lifted prediction with lambda ${prediction.lambda}`,
    ]);
  }
  if (json) return printJson({ label: description.label, seed: description.seed, files });
  print(`${runName(description)}: ${files.map(shortPath).join(', ')}`);
}

async function write(runs: readonly Run[], to: Pick<ExportArguments, 'tensorboard' | 'long'>) {
  const { nameRuns, writeLongTable } = await import('../../report/long-table.js');
  const { writeTensorBoard } = await import('../../report/tensorboard.js');
  const { tensorboard, long } = to;
  return {
    ...(tensorboard !== undefined && {
      tensorboard: writeTensorBoard(nameRuns(runs), tensorboard),
    }),
    ...(long !== undefined && { long: { file: long, rows: writeLongTable(runs, long) } }),
  };
}
