import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import { manual, type TableFormArguments, tableFormOf, tableFormOptions } from '../options.js';
import { nothingFound, printText, warn } from '../render/print.js';

interface CompareArguments extends TableFormArguments {
  dirs: string[];
}

/** `fln compare DIR...` */
export const compareCommand: CommandModule<object, CompareArguments> = {
  command: 'compare <dirs..>',
  describe: 'final accuracy per method: mean and 95 % interval over seeds, compared with the paper',
  builder: (yargs) =>
    yargs
      .positional('dirs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'run directories, or folders that contain some',
      })
      .options(tableFormOptions)
      .example('$0 compare results/reference/mnist-mlp', 'one run, a line per method')
      .example('$0 compare results/a results/b', 'two runs, one below the other')
      .example('$0 compare results --csv > results.csv', 'every run below a folder')
      .epilogue(
        manual(
          'Test accuracy after the last batch, or validation accuracy for runs with `evaluate.test: never`; the loss ' +
            'of a regression. ' +
            "The paper's value is `expect.LABEL.paper` of the run's config.yaml.\n" +
            'What cannot be read is named on stderr and left out.',
          { 0: 'ok', 2: 'usage, or no run has a final accuracy' },
        ),
      ) as never,
  handler: compare,
};

async function compare({ dirs, ...forms }: CompareArguments): Promise<void> {
  const form = tableFormOf(forms, 'compare');
  const { loadRuns } = await import('../../runs/run-directory.js');
  const { compareRuns } = await import('../../report/comparison.js');
  const { comparisonFormats } = await import('../render/comparison.js');

  const { directories, problems: unread } = loadRuns(dirs.map(String), 'last row');
  const comparison = compareRuns(directories);
  const problems = [...unread, ...comparison.problems];
  if (!comparison.rows.some(({ accuracy, loss }) => accuracy ?? loss)) {
    throw new UsageError(
      nothingFound('there is nothing to compare: no run with a final accuracy', problems),
    );
  }

  warn(problems);
  printText(comparisonFormats[form](comparison, problems));
}
