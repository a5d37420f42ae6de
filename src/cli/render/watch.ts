import { clearScreenDown, cursorTo, moveCursor } from 'node:readline';
import {
  curveLength,
  type Progress,
  type RunCurve,
  type RunProgress,
  type SweepProgress,
} from '../../live/progress.js';
import { alignTable, missing } from '../../report/table.js';
import {
  duration,
  grouped,
  inPercent,
  plural,
  printable,
  runName,
  significant,
  withoutControls,
} from '../../shared/text.js';
import { describeCounts } from '../../sweep/plan.js';
import { shortPath } from './print.js';

/** Statuses in the order of their interest where not all runs fit on the screen. */
const byInterest: readonly RunProgress['status'][] = [
  'RUNNING',
  'FAILED',
  'INTERRUPTED',
  'QUEUED',
  'PAUSED',
  'COMPLETED',
];

/** The state of all runs as lines of a table, no more than `rows`. */
export function progressTable(progress: Progress, rows = Number.POSITIVE_INFINITY): string[] {
  const { runs, sweeps } = progress;
  const messages = messagesOf(progress);
  const few = messages.slice(0, 4);
  if (few.length < messages.length) few.push(`... and ${messages.length - few.length} more`);
  const summary = runs.length > 0 ? [summaryLine(progress)] : [];
  const end = [...sweeps.map(sweepLine), ...summary, ...few];
  // The head of the table and its rule, and a line for what is left out.
  const free = Math.max(1, rows - end.length - 3);
  const shown = new Set(
    [...runs]
      .sort((a, b) => byInterest.indexOf(a.status) - byInterest.indexOf(b.status))
      .slice(0, free),
  );
  const listed = runs.filter((run) => shown.has(run));
  const several = new Set(runs.map(({ directory }) => directory)).size > 1;
  const head = [
    ...(several ? ['directory'] : []),
    ...['run', 'status', 'batch', 'epoch', 'loss', 'eval. loss', 'accuracy', 'batches/s', 'left'],
    'curve'.padEnd(curveLength),
  ];
  const cells = listed.map((run) => [
    ...(several ? [printable(shortPath(run.directory))] : []),
    runName({ label: run.method, seed: run.seed }),
    run.status.toLowerCase(),
    batchText(run),
    text(run.epoch, String),
    text(run.trainLoss, significant),
    text(run.testLoss ?? run.validationLoss, significant),
    text(run.testAccuracy ?? run.validationAccuracy, inPercent),
    text(run.batchesPerSecond, significant),
    text(run.secondsLeft, duration),
    run.curve === undefined ? '' : sparkline(run.curve),
  ]);
  const rest = runs.length - listed.length;
  return [
    ...(listed.length > 0 ? alignTable({ head, rows: cells }, several ? 3 : 2) : []),
    ...(rest > 0 ? [`... and ${plural(rest, 'other run')}`] : []),
    ...end,
  ];
}

const text = (value: number | undefined, show: (value: number) => string) =>
  value === undefined ? missing : show(value);

function batchText({ batch, totalBatches }: RunProgress): string {
  return totalBatches === undefined ? grouped(batch) : `${grouped(batch)}/${grouped(totalBatches)}`;
}

const blocks = '▁▂▃▄▅▆▇█';

const sparkline = ({ values }: RunCurve): string =>
  values
    .map((value) => blocks[Math.round(value * (blocks.length - 1))])
    .join('')
    .padEnd(curveLength);

function summaryLine({ runs }: Progress): string {
  const counts = { QUEUED: 0, RUNNING: 0, COMPLETED: 0, FAILED: 0, INTERRUPTED: 0, PAUSED: 0 };
  for (const { status } of runs) counts[status]++;
  return `${plural(runs.length, 'run')}: ${describeCounts(counts)}`;
}

const sweepLine = ({ directory, name, trials }: SweepProgress): string => {
  const count = Object.values(trials).reduce((sum, each) => sum + each, 0);
  const states = describeCounts(trials);
  return `sweep ${printable(name)} in ${printable(shortPath(directory))}: ${plural(count, 'trial')}: ${states}`;
};

/** Failures with their reasons, and what could not be read, one line each. */
function messagesOf({ runs, problems }: Progress): string[] {
  const failed = runs.flatMap((run) => (run.error === undefined ? [] : [errorLine(run)]));
  return [...failed, ...problems.map(({ message }) => `warning: ${printable(message)}`)];
}

function errorLine({ method, seed, error = '' }: RunProgress): string {
  const name = runName({ label: method, seed });
  const reason = printable(error.split('\n')[0]);
  return reason.startsWith(name) ? reason : `${name}: ${reason}`;
}

/** One line of a log for one run. */
export function progressLine(run: RunProgress, isAlone: boolean): string {
  const place = isAlone ? '' : `${printable(shortPath(run.directory))}: `;
  const { status, totalBatches, batch, epoch, trainLoss, testLoss, validationLoss, error } = run;
  const share = totalBatches ? ` (${Math.round((100 * batch) / totalBatches)} %)` : '';
  const accuracy = run.testAccuracy ?? run.validationAccuracy;
  const split = run.testAccuracy === undefined ? 'validation' : 'test';
  const parts = [
    status.toLowerCase(),
    batch > 0 && `batch ${batchText(run)}${share}`,
    epoch !== undefined && `epoch ${epoch}`,
    trainLoss !== undefined && `loss ${significant(trainLoss)}`,
    testLoss !== undefined && `test loss ${significant(testLoss)}`,
    testLoss === undefined &&
      validationLoss !== undefined &&
      `validation loss ${significant(validationLoss)}`,
    accuracy !== undefined && `${split} accuracy ${inPercent(accuracy)}`,
    run.batchesPerSecond !== undefined && `${significant(run.batchesPerSecond)} batches/s`,
    run.secondsLeft !== undefined && `${duration(run.secondsLeft)} left`,
    error !== undefined && errorLine(run),
  ];
  const name = runName({ label: run.method, seed: run.seed });
  return `${place}${name}: ${parts.filter((part) => part !== false).join(', ')}`;
}

/** Prints progress, each time anew. */
export interface ProgressPrinter {
  print(progress: Progress): void;
}

/** Draws a table over the previous one. Nothing of the terminal is changed that would have to be undone. */
export function tablePrinter(stream: NodeJS.WriteStream): ProgressPrinter {
  let drawn = 0;
  return {
    print(progress) {
      const [columns = 80, rows = 24] = [stream.columns, stream.rows];
      // A line that is wrapped would take two, and be drawn over in part.
      const lines = progressTable(progress, rows - 1).map((line) =>
        withoutControls([...line].slice(0, columns - 1).join('')),
      );
      moveCursor(stream, 0, -drawn);
      cursorTo(stream, 0);
      clearScreenDown(stream);
      stream.write(`${lines.join('\n')}\n`);
      drawn = lines.length;
    },
  };
}

/** Prints a line for each run that has changed, and messages once. */
export function linePrinter(print: (line: string) => void): ProgressPrinter {
  const printed = new Map<string, string>();
  return {
    print(progress) {
      const { runs, sweeps } = progress;
      const isAlone = new Set(runs.map(({ directory }) => directory)).size === 1;
      const once = (key: string, state: string, line: string) => {
        if (printed.get(key) === state) return;
        printed.set(key, state);
        print(line);
      };
      for (const run of runs) {
        const key = JSON.stringify([run.directory, run.method, run.seed]);
        const state = JSON.stringify([run.status, run.batch, run.error]);
        once(key, state, progressLine(run, isAlone));
      }
      for (const sweep of sweeps) once(sweep.directory, sweepLine(sweep), sweepLine(sweep));
      for (const { message } of progress.problems) {
        once(message, message, `warning: ${printable(message)}`);
      }
      if (progress.ended && runs.length > 0) print(summaryLine(progress));
    },
  };
}
