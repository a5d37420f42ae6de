import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import type { Problem } from '../../runs/run-directory.js';
import { manual, type TableFormArguments, tableFormOf, tableFormOptions } from '../options.js';
import { printText, warn } from '../render/print.js';

interface CompareArguments extends TableFormArguments {
  dirs: string[];
}

/** `fln compare DIR...` */
export const compareCommand: CommandModule<object, CompareArguments> = {
  command: 'compare <dirs..>',
  describe: 'final accuracy per method: mean and interval over seeds, beside the paper',
  builder: (yargs) =>
    yargs
      .positional('dirs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'run directories, or folders that hold some',
      })
      .options(tableFormOptions)
      .example('$0 compare results/reference/mnist-mlp', 'one run, a line per method')
      .example('$0 compare results/a results/b', 'two runs, one below the other')
      .example('$0 compare results --csv > results.csv', 'every run below a folder')
      .epilogue(
        manual(
          'Accuracies are those after the last batch: test accuracy, or validation accuracy where the ' +
            "test set was left alone. The paper's value is `expect.LABEL.paper` of the run's config.yaml.\n" +
            'What cannot be read is named on stderr and left out.',
          { 0: 'something can be shown', 2: 'usage, or nothing can be shown' },
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
  if (!comparison.rows.some(({ accuracy }) => accuracy)) throw new UsageError(nothing(problems));

  warn(problems);
  printText(comparisonFormats[form](comparison, problems));
}

function nothing(problems: readonly Problem[]): string {
  const reasons = problems.map(({ message }) => `\n  ${message}`).join('');
  return (
    `there is nothing to compare: no run with a final accuracy.${reasons}\n` +
    'Give a directory that "fln run" has written: its path is printed at the start and end of a run.'
  );
}
