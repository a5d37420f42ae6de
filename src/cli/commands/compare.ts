import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import type { Comparison } from '../../report/comparison.js';
import type { PairedComparison } from '../../report/paired-comparison.js';
import type { Problem, RunDirectory } from '../../runs/run-directory.js';
import {
  listOf,
  manual,
  once,
  type TableForm,
  type TableFormArguments,
  tableFormOf,
  tableFormOptions,
} from '../options.js';
import { note, nothingFound, printText, warn } from '../render/print.js';

interface CompareArguments extends TableFormArguments {
  dirs: string[];
  against?: string;
  threshold?: number[];
  simultaneous?: boolean;
}

/** `fln compare DIR... [--against LABEL]` */
export const compareCommand: CommandModule<object, CompareArguments> = {
  command: 'compare <dirs..>',
  describe:
    'final accuracy per method: mean and 95 % interval over seeds, compared with the paper or, paired by seed, with another method',
  builder: (yargs) =>
    yargs
      .positional('dirs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'run directories, or folders that contain some',
      })
      .option('against', {
        type: 'string',
        coerce: once('against'),
        describe:
          'compare every other method with this one, paired by seed: LABEL, or DIR/LABEL where several have it',
      })
      .option('threshold', {
        type: 'string',
        coerce: thresholdsOf,
        describe:
          'with --against: accuracies to reach, 0.97,0.98 or 97%,98% [default: the two highest round ones that LABEL reaches with every seed]',
      })
      .option('simultaneous', {
        type: 'boolean',
        describe: 'with --against: intervals that hold simultaneously (Bonferroni)',
      })
      .options(tableFormOptions)
      .example('$0 compare results/reference/mnist-mlp', 'one run, a line per method')
      .example('$0 compare results/a results/b', 'two runs, one below the other')
      .example('$0 compare results --csv > results.csv', 'every run below a folder')
      .example(
        '$0 compare results/reference/mnist-mlp --against adam-tuned',
        'differences and times to accuracy, with intervals',
      )
      .example(
        '$0 compare results/a results/b --against results/a/adam --threshold 0.6 --markdown',
        'methods of two runs on the same data',
      )
      .epilogue(
        manual(
          'Test accuracy after the last batch, or validation accuracy for runs with `evaluate.test: never`; the loss ' +
            'of a regression. ' +
            "The paper's value is `expect.LABEL.paper` of the run's config.yaml.\n" +
            'With --against: per pair of seeds, the difference of the final accuracies, and the ratio of the batches and of the ' +
            'training times until an accuracy is first measured; each with its 95 % interval, and "not separated" where ' +
            'this contains no difference. LABEL may be in another run directory of the same data set.\n' +
            'What cannot be read or paired is named on stderr and left out.',
          { 0: 'ok', 2: 'usage, no run has a final accuracy, or nothing can be paired' },
        ),
      ) as never,
  handler: compare,
};

async function compare(args: CompareArguments): Promise<void> {
  const form = tableFormOf(args, 'compare');
  if (args.against !== undefined) return compareAgainst(args, args.against, form);
  for (const option of ['threshold', 'simultaneous'] as const) {
    if (args[option]) throw new UsageError(`--${option} needs --against LABEL`);
  }
  const { loadRuns } = await import('../../runs/run-directory.js');
  const { compareRuns } = await import('../../report/comparison.js');
  const { comparisonFormats } = await import('../render/comparison.js');

  const { directories, problems: unread } = loadRuns(args.dirs.map(String), 'last row');
  const comparison = compareRuns(directories);
  const problems = [...unread, ...comparison.problems];
  refuseEmpty(comparison, problems);
  warn(problems);
  printText(comparisonFormats[form](comparison, problems));
}

async function compareAgainst(
  { dirs, threshold: thresholds, simultaneous }: CompareArguments,
  against: string,
  form: TableForm,
): Promise<void> {
  const { loadRuns } = await import('../../runs/run-directory.js');
  const { compareRuns } = await import('../../report/comparison.js');
  const { comparePaired } = await import('../../report/paired-comparison.js');
  const { pairedFormats } = await import('../render/paired-comparison.js');

  const { directories, problems: unread } = loadRuns(dirs.map(String), 'all rows');
  const comparison = compareRuns(directories);
  refuseEmpty(comparison, [...unread, ...comparison.problems]);
  const paired = comparePaired(directories, against, { thresholds, simultaneous });
  // Runs without a result are named in the comparison itself.
  const problems = [...unread, ...paired.problems];
  warn(problems);
  if (form === 'table' || form === 'markdown') {
    const differences = await settingDifferences(directories, paired.comparisons);
    if (differences !== undefined) note(differences);
  }
  printText(pairedFormats[form](paired.comparisons, comparison, problems));
}

/** @throws UsageError when no run has a final result */
function refuseEmpty({ rows }: Comparison, problems: readonly Problem[]): void {
  if (rows.some(({ accuracy, loss }) => accuracy ?? loss)) return;
  throw new UsageError(
    nothingFound('there is nothing to compare: no run with a final accuracy', problems),
  );
}

/** What differs between run directories whose methods are compared with each other; undefined for one directory. */
async function settingDifferences(
  directories: readonly RunDirectory[],
  comparisons: readonly PairedComparison[],
): Promise<string | undefined> {
  const { differencesBetween, readSettingsOf } = await import('../../report/overlay.js');
  const { formatDifferences } = await import('../render/diff.js');
  const texts = comparisons.flatMap(({ reference, methods }) => {
    const paths = new Set([reference, ...methods].map(({ directory }) => directory));
    if (paths.size < 2) return [];
    const compared = directories.filter(({ path }) => paths.has(path));
    const settings = readSettingsOf(compared, []);
    const runs = compared.flatMap((directory) => directory.runs);
    const unknown = compared.filter(({ path }) => settings.get(path)?.size === 0);
    return formatDifferences(
      differencesBetween(settings, runs),
      unknown.map(({ path }) => path),
    );
  });
  return texts.length > 0 ? texts.join('\n') : undefined;
}

/** `0.97,0.98`, or `97%,98%`, as accuracies in (0, 1]. */
function thresholdsOf(value: string | string[] | undefined): number[] | undefined {
  return listOf('threshold')(value)?.map((part) => {
    const [, number, sign] = /^(\d*\.?\d+)( ?%)?$/.exec(part) ?? [];
    const share = Number(number) / (sign ? 100 : 1);
    if (share > 0 && share <= 1) return Number(share.toPrecision(12));
    const hint = share > 1 && share <= 100 ? `; did you mean "${share}%"?` : '';
    throw new UsageError(`--threshold: expected an accuracy from 0 to 1, got "${part}"${hint}`);
  });
}
