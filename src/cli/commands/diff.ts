import type { CommandModule } from 'yargs';
import { json, manual } from '../options.js';
import { print, printJson, warn } from '../render/print.js';

interface DiffArguments {
  a: string;
  b: string;
  json?: boolean;
}

/** `fln diff A B` */
export const diffCommand: CommandModule<object, DiffArguments> = {
  command: 'diff <a> <b>',
  describe: 'differences between two runs: settings, provenance, results, first differing batch',
  builder: (yargs) =>
    yargs
      .positional('a', { type: 'string', demandOption: true, describe: 'a run directory' })
      .positional('b', { type: 'string', demandOption: true, describe: 'another run directory' })
      .option('json', json)
      .example('$0 diff results/a results/b', 'two runs')
      .example('$0 diff results/a results/b --json', 'for programs: .identical, .settings, .runs')
      .epilogue(
        manual(
          'Runs are paired by label and seed. Training times are printed, but do not count as differences, ' +
            'nor are the columns wall_s and step_ms.',
          { 0: 'ok, also when they differ', 2: 'usage, or one of them is not a run directory' },
        ),
      ) as never,
  handler: diff,
};

async function diff({ a, b, json }: DiffArguments): Promise<void> {
  const { diffRuns } = await import('../../report/diff.js');
  const result = diffRuns(String(a), String(b));
  if (json) return printJson(result);
  const { formatDiff } = await import('../render/diff.js');
  warn(result.problems);
  print(formatDiff(result).trimEnd());
}
