import { resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import type { SweepRanking } from '../../report/listing.js';
import { isSweepDirectory, sweepPaths } from '../../sweep/paths.js';
import type { TrialReport } from '../../sweep/status.js';
import {
  listOf,
  manual,
  once,
  onceOrBare,
  oneNumber,
  type TableFormArguments,
  tableFormOf,
  tableFormOptions,
} from '../options.js';
import { note, nothingFound, printText, warn } from '../render/print.js';

interface LsArguments extends TableFormArguments {
  dirs: string[];
  where?: string[];
  sort?: string;
  best?: string;
  limit?: number;
  columns?: string[];
}

/** `fln ls [DIR...]` */
export const lsCommand: CommandModule<object, LsArguments> = {
  command: 'ls [dirs..]',
  describe: 'list runs: filter, sort and rank by results and settings',
  builder: (yargs) =>
    yargs
      .positional('dirs', {
        type: 'string',
        array: true,
        default: ['results'],
        describe: 'run directories, sweeps, or folders that contain some',
      })
      .options({
        where: {
          type: 'string',
          describe: 'a condition, such as "test_accuracy>=98%"; several must all hold',
          coerce: (value: string | string[]) => [value].flat(),
        },
        sort: {
          type: 'string',
          describe: 'field or setting to sort by; -NAME: descending [default: started]',
          coerce: once('sort'),
        },
        best: {
          type: 'string',
          describe:
            'rank completed runs by a field, best first [default: validation_accuracy; for a sweep, its metric]',
          coerce: onceOrBare('best'),
        },
        limit: { type: 'string', describe: 'list at most this many', coerce: oneNumber('limit') },
        columns: {
          type: 'string',
          describe: 'fields and settings to show: method,learningRate,test_accuracy',
          coerce: listOf('columns'),
        },
        ...tableFormOptions,
      })
      .example('$0 ls', 'every run below results')
      .example(
        '$0 ls --where method=fenchel --where "test_accuracy>=98%"',
        'runs that satisfy all conditions',
      )
      .example('$0 ls results/sweeps/quickstart --best --limit 1', 'the best trial of a sweep')
      .example(
        '$0 ls --where status=FAILED --columns directory,error',
        'failed runs, with the reasons',
      )
      .example('$0 ls --columns directory,method,learningRate --csv', 'results and settings as CSV')
      .epilogue(
        manual(
          'Conditions: NAME=VALUE, !=, <, <=, >, >= and ~ (contains). Names are fields (directory, ' +
            'experiment, method, seed, status, batches, validation_accuracy, test_accuracy, test_loss, train_loss, ' +
            'train_s, step_ms, dataset, network, backend, started, ...), settings of the method (learningRate) ' +
            'and paths of the config (dataset.limit).\n' +
            'What cannot be read is named on stderr and left out.',
          { 0: 'ok, also if no run matches', 2: 'usage, or there is no run' },
        ),
      ) as never,
  handler: ls,
};

async function ls(args: LsArguments): Promise<void> {
  const form = tableFormOf(args, 'ls');
  if (args.sort !== undefined && args.best !== undefined) {
    throw new UsageError('--sort and --best are given together: choose one. See fln ls --help');
  }
  const { listRuns, sweepParameters } = await import('../../report/listing.js');
  const { defaultColumns, formatListing } = await import('../render/listing.js');
  const { where = [], sort, columns } = args;
  const listing = listRuns(args.dirs.map(String), {
    where,
    sort,
    best: args.best === '' ? true : args.best,
    limit: args.limit,
    columns,
    sweep: await rankingOf(args.dirs.map(String)),
  });
  if (listing.all.length === 0) {
    const writers = '"fln run" or "fln sweep" has';
    throw new UsageError(nothingFound('there are no runs to list', listing.problems, writers));
  }
  warn(listing.problems);
  if (listing.runs.length === 0 && form === 'table') {
    note(`none of ${listing.all.length} runs matches`);
    return;
  }
  if (args.best === '' && listing.rankedBy === 'test_accuracy') {
    note(
      'note: no run has a validation accuracy; ranked by test accuracy, which is optimistic for the best run',
    );
  }
  const retired = listing.runs.some(({ fields }) => fields.retired) ? ['retired'] : [];
  const mentioned = [...sweepParameters(listing.runs), ...listing.names, ...retired];
  const shown = columns ?? defaultColumns(listing.runs, mentioned);
  printText(formatListing(listing, shown, form));
}

/** The ranking of a sweep, if a single sweep is listed. */
async function rankingOf(dirs: readonly string[]): Promise<SweepRanking | undefined> {
  if (dirs.length !== 1 || !isSweepDirectory(dirs[0])) return undefined;
  const { ranked, sweepStatus } = await import('../../sweep/status.js');
  try {
    const status = sweepStatus(dirs[0])!;
    const { column, method } = status.manifest.metric;
    const pathOf = ({ trial }: TrialReport) => resolve(sweepPaths(dirs[0]).trial(trial.id));
    const retired = status.trials.filter(({ trial }) => trial.retired).map(pathOf);
    return { column, method, ranked: ranked(status).map(pathOf), retired: new Set(retired) };
  } catch (error) {
    // Damaged manifest: list the runs without ranking.
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}
