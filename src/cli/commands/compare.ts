import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import type { Problem } from '../../report/run-directory.js';

interface CompareArguments {
  dirs: string[];
  json: boolean;
  csv: boolean;
  markdown: boolean;
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
      .options({
        json: {
          type: 'boolean',
          default: false,
          describe: 'print JSON, and nothing else, on stdout',
        },
        csv: { type: 'boolean', default: false, describe: 'print CSV; accuracies are shares' },
        markdown: { type: 'boolean', default: false, describe: 'print a Markdown table' },
      })
      .example('$0 compare results/reference/mnist-mlp', 'one run, a line per method')
      .example('$0 compare results/a results/b', 'two runs, one below the other')
      .example('$0 compare results --csv > results.csv', 'every run below a folder')
      .epilogue(
        'Accuracies are those after the last batch: test accuracy, or validation accuracy where the ' +
          "test set was left alone. The paper's value is `expect.LABEL.paper` of the run's config.yaml.\n" +
          'What cannot be read is named on stderr and left out; exit 2 only when nothing can be shown.',
      ) as never,
  handler: compare,
};

async function compare({ dirs, json, csv, markdown }: CompareArguments): Promise<void> {
  const chosen = Object.entries({ json, csv, markdown }).filter(([, given]) => given);
  if (chosen.length > 1) {
    const names = chosen.map(([name]) => `--${name}`).join(' and ');
    throw new UsageError(`${names} are given together: choose one. See fln compare --help`);
  }
  const { loadRuns } = await import('../../report/run-directory.js');
  const { compareRuns } = await import('../../report/comparison.js');
  const { comparisonFormats } = await import('../render/comparison.js');

  const { directories, problems: unread } = loadRuns(dirs.map(String));
  const comparison = compareRuns(directories);
  const problems = [...unread, ...comparison.problems];
  if (!comparison.rows.some(({ accuracy }) => accuracy)) throw new UsageError(nothing(problems));

  for (const { message } of problems) process.stderr.write(`warning: ${message}\n`);
  const format = (chosen[0]?.[0] ?? 'table') as keyof typeof comparisonFormats;
  process.stdout.write(comparisonFormats[format](comparison, problems));
}

function nothing(problems: readonly Problem[]): string {
  const reasons = problems.map(({ message }) => `\n  ${message}`).join('');
  return (
    `there is nothing to compare: no run with a final accuracy.${reasons}\n` +
    'Give a directory that "fln run" has written: its path is printed at the start and end of a run.'
  );
}
