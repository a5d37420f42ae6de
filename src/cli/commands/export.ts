import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import { isFolder } from '../../files/folder.js';
import type { Run } from '../../runs/run-directory.js';
import { grouped, plural } from '../../shared/text.js';
import { json, manual, once } from '../options.js';
import { nothingFound, print, printJson, shortPath, warn } from '../render/print.js';

interface ExportArguments {
  dirs: readonly string[];
  tensorboard?: string;
  long?: string;
  json?: boolean;
}

/** `fln export DIR... --tensorboard FOLDER | --long FILE` */
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
        json,
      })
      .example('$0 export results/mnist-mlp --tensorboard tb', 'then: tensorboard --logdir tb')
      .example('$0 export results --long metrics.csv', 'every run below results, for data frames')
      .epilogue(
        manual(
          'Files of an earlier export are replaced. What cannot be read is named on stderr and left out.',
          { 0: 'ok', 1: 'a file cannot be written', 2: 'usage, or there is no run' },
        ),
      ) as never,
  handler: exportRuns,
};

async function exportRuns({ dirs, tensorboard, long, json }: ExportArguments): Promise<void> {
  if (tensorboard === undefined && long === undefined) {
    throw new UsageError(
      'Nothing to write: give --tensorboard FOLDER or --long FILE. See fln export --help',
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
