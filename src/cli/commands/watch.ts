import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandModule } from 'yargs';
import { ExitCode, UsageError } from '../../errors.js';
import type { Progress } from '../../live/progress.js';
import { json, manual, secondsOf } from '../options.js';
import { nothingFound, print, printText } from '../render/print.js';
import type { ProgressPrinter } from '../render/watch.js';

interface WatchArguments {
  dirs: string[];
  every?: number;
  once: boolean;
  json?: boolean;
}

/** `fln watch DIR...` */
export const watchCommand: CommandModule<object, WatchArguments> = {
  command: 'watch <dirs..>',
  describe: 'follow runs while another process trains them',
  builder: (yargs) =>
    yargs
      .positional('dirs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'run directories, sweeps, or folders that contain some',
      })
      .options({
        every: {
          type: 'string',
          describe: 'seconds between updates [default: 2]',
          coerce: secondsOf('every', 0.1),
        },
        once: { type: 'boolean', default: false, describe: 'print the present state, and end' },
        json: { ...json, describe: 'print one JSON object a line whenever something has changed' },
      })
      .example('$0 watch results/quickstart', 'the runs of one experiment')
      .example('$0 watch results/sweeps/quickstart --every 10', 'a sweep')
      .example('$0 watch results --once --json', 'the state of every run, for programs')
      .epilogue(
        manual(
          'A table is redrawn on a terminal; elsewhere a line is printed for each run that has changed. ' +
            'Nothing is written, and no lock is taken. It ends when nothing is being trained any more.',
          {
            0: 'ok: all runs have completed, or are paused; with --once: they were read',
            1: 'a run failed, was interrupted or not started',
            2: 'usage, or there is no run',
            130: 'Ctrl-C',
          },
        ),
      ) as never,
  handler: watch,
};

async function watch({ dirs, every = 2, once, json }: WatchArguments): Promise<void> {
  const { ProgressReader } = await import('../../live/progress.js');
  const { linePrinter, progressTable, tablePrinter } = await import('../render/watch.js');
  const paths = dirs.map(String);
  const reader = new ProgressReader(paths);
  const isTerminal = process.stdout.isTTY === true && process.env.TERM !== 'dumb';
  const printer = json
    ? jsonPrinter()
    : once
      ? { print: (progress: Progress) => printText(`${progressTable(progress).join('\n')}\n`) }
      : isTerminal
        ? tablePrinter(process.stdout)
        : linePrinter(print);
  const controller = new AbortController();
  const { signal } = controller;
  const stop = () => controller.abort();
  process.once('SIGINT', stop);
  try {
    for (;;) {
      const progress = await reader.read();
      if (progress.runs.length + progress.sweeps.length === 0) {
        const { loadRuns } = await import('../../runs/run-directory.js');
        const problems = [...progress.problems, ...loadRuns(paths, 'last row').problems];
        const writers = '"fln run" or "fln sweep" has';
        throw new UsageError(nothingFound('there are no runs to watch', problems, writers));
      }
      if (!signal.aborted) printer.print(progress);
      if (once) return;
      if (progress.ended && !signal.aborted) {
        if (!isComplete(progress)) process.exitCode = ExitCode.runFailed;
        return;
      }
      await sleep(1000 * every, undefined, { signal }).catch(() => {});
      if (signal.aborted) {
        process.exitCode = ExitCode.interrupted;
        return;
      }
    }
  } finally {
    process.off('SIGINT', stop);
  }
}

function isComplete({ runs, sweeps }: Progress): boolean {
  return (
    runs.every(({ status }) => status === 'COMPLETED' || status === 'PAUSED') &&
    sweeps.every(({ trials }) => trials.FAILED + trials.INTERRUPTED + trials.QUEUED === 0)
  );
}

/** One line a state; what only depends on the time of day does not make another one. */
function jsonPrinter(): ProgressPrinter {
  let last = '';
  return {
    print(progress) {
      const runs = progress.runs.map(({ secondsLeft: _, ...run }) => run);
      const state = JSON.stringify({ ...progress, runs, at: undefined });
      if (state === last) return;
      last = state;
      print(JSON.stringify(progress));
    },
  };
}
