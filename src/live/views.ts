import type { Comparison } from '../report/comparison.js';
import { compareRuns } from '../report/comparison.js';
import { curvesOf, describeRuns, experimentName, summariseRuns } from '../report/content.js';
import { leftOut } from '../report/curves.js';
import { diffDirectories, type RunsDiff } from '../report/diff.js';
import { type Charts, drawCharts } from '../report/html/charts.js';
import { drawLayers, type LayerPanels } from '../report/html/layers.js';
import {
  drawingHtml,
  type HtmlTable,
  type LinkedCell,
  sortableTable,
} from '../report/html/page.js';
import { failuresHtml, resultsHtml, sourceHtml } from '../report/html/run-report.js';
import { accuracy, lossText, missing, type Table } from '../report/table.js';
import { shownStatus } from '../runs/run-directory.js';
import {
  duration,
  escapeHtml,
  grouped,
  inPercent,
  plural,
  runName,
  significant,
} from '../shared/text.js';
import type { Snapshot } from './follow.js';
import type { ProgressMeter, RunProgress } from './progress.js';

/** What a page shows, in parts that are replaced by themselves. */
export interface View {
  readonly title: string;
  readonly subtitle: string;
  /** By name. */
  readonly parts: Readonly<Record<string, Part>>;
}

/** HTML, in which text is escaped, or what a script of the page draws. */
export type Part = string | Charts | LayerPanels;

export const partHtml = (part: Part): string =>
  typeof part === 'string' ? part : drawingHtml(part);

/** A run directory, and the name by which requests ask for it: its path in the folder that is shown. */
export interface NamedSnapshot extends Snapshot {
  readonly name: string;
}

/** The texts that the commands print. */
export interface Texts {
  readonly comparison: (comparison: Comparison) => Table;
  /** Number of columns of the comparison, from the first, that are text. */
  readonly words: (table: Table) => number;
  readonly diff: (diff: RunsDiff) => string;
}

/** Every run directory in the folder, one row each. */
export function listView(root: string, snapshots: readonly NamedSnapshot[]): View {
  const rows = snapshots.map((snapshot) => [startOf(snapshot), listRow(snapshot)] as const);
  const newestFirst = rows.toSorted(([a], [b]) => b - a).map(([, row]) => row);
  const problems = snapshots.flatMap(({ directory }) => directory.problems);
  const table: HtmlTable = {
    head: ['run', 'experiment', 'status', 'final result', 'started', 'train time'],
    rows: newestFirst,
    words: 4,
  };
  const list =
    snapshots.length === 0
      ? '<p>No run was found yet. <code>fln run</code> writes one; it then appears here.</p>'
      : sortableTable(table);
  return {
    title: 'Runs',
    subtitle: `${plural(snapshots.length, 'run directory').replace('directorys', 'directories')} in ${root}`,
    parts: { list, problems: problemsHtml(problems) },
  };
}

function startOf({ directory }: Snapshot): number {
  const starts = directory.runs.flatMap(({ startedAt }) => Date.parse(startedAt ?? '') || []);
  return starts.length > 0 ? Math.max(...starts) : 0;
}

/** Rows of directories that have not changed. */
const listRows = new WeakMap<Snapshot['directory'], readonly LinkedCell[]>();

function listRow(snapshot: NamedSnapshot): readonly LinkedCell[] {
  const { directory, name } = snapshot;
  const known = listRows.get(directory);
  if (known !== undefined) return known;
  const { rows } = compareRuns([directory]);
  const finals = rows.map(
    (row) => `${row.method} ${row.loss ? `loss ${lossText(row.loss)}` : accuracy(row.accuracy)}`,
  );
  const shown = finals.slice(0, 4).join(', ');
  const seconds = rows.flatMap(({ trainSeconds, completed }) =>
    trainSeconds === undefined ? [] : trainSeconds.mean * completed,
  );
  const time = seconds.reduce((sum, each) => sum + each, 0);
  const start = startOf(snapshot);
  const row: LinkedCell[] = [
    { text: name, href: 'run', query: { dir: name }, choice: { name: 'dir', value: name } },
    { text: experimentName(directory) },
    { text: statusOf(snapshot) },
    { text: finals.length > 4 ? `${shown} and ${finals.length - 4} more` : shown },
    start > 0 ? { text: timeText(start), value: start } : { text: missing },
    seconds.length > 0 ? { text: duration(time), value: time } : { text: missing },
  ];
  listRows.set(directory, row);
  return row;
}

const timeText = (ms: number) => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** `completed`, `running (1 of 3 completed)`: the status that needs attention most. */
function statusOf({ directory: { runs }, broken }: Snapshot): string {
  if (broken !== undefined || runs.length === 0) return 'unreadable';
  const order = ['RUNNING', 'FAILED', 'INTERRUPTED', 'QUEUED', 'PAUSED', 'COMPLETED'] as const;
  const worst = order
    .find((status) => runs.some((run) => shownStatus(run) === status))!
    .toLowerCase();
  const done = runs.filter(({ status }) => status === 'COMPLETED').length;
  return done === runs.length || runs.length === 1
    ? worst
    : `${worst} (${done} of ${runs.length} completed)`;
}

/** One run directory, or several over one another. */
export function runView(
  snapshots: readonly NamedSnapshot[],
  meter: ProgressMeter,
  texts: Texts,
): View {
  const directories = snapshots.map(({ directory }) => directory);
  const runs = directories.flatMap((directory) => directory.runs);
  const curves = curvesOf(runs);
  const summaries = summariseRuns(runs);
  const several = directories.length > 1;
  const comparison = compareRuns(snapshots.map(named));
  const hasResults = comparison.rows.some((row) => (row.accuracy ?? row.loss) !== undefined);
  const isCompared = several || comparison.rows.some(({ paper }) => paper !== undefined);
  const ended = summaries.filter(({ status }) => status !== 'RUNNING' && status !== 'QUEUED');
  const problems = [...directories.flatMap(({ problems }) => problems), ...leftOut(runs)];
  const progress = snapshots.flatMap(({ name, directory }) => {
    const shown = directory.runs.filter(({ status }) => !several || status !== 'COMPLETED');
    return shown.map((run) => ({
      of: several ? `${name}: ` : '',
      run: meter.of(directory, run),
    }));
  });
  return {
    title: [...new Set(directories.map(experimentName))].join(', '),
    subtitle: [describeRuns(directories), ...(several ? [] : [snapshots[0].name])].join(' · '),
    parts: {
      figure:
        curves === undefined
          ? '<p>There is no figure yet: no run has recorded anything.</p>'
          : drawCharts(curves.curves, curves.measure),
      progress: progress.length > 0 ? progressHtml(progress) : '',
      results: hasResults && !several ? resultsHtml(summaries) : '',
      comparison: hasResults && isCompared ? comparisonHtml(comparison, texts) : '',
      problems: failuresHtml({
        summaries: ended,
        problems: problems.map(({ message }) => message),
      }),
      layers: drawLayers(runs) ?? '',
      sources: several ? linksTo(snapshots) : sourceOf(snapshots[0]),
    },
  };
}

function comparisonHtml(comparison: Comparison, texts: Texts): string {
  const table = texts.comparison(comparison);
  return `<h2>Comparison</h2>\n${sortableTable({ ...withValues(table), words: texts.words(table) })}`;
}

const sourceOf = ({ name, directory: { info, config } }: NamedSnapshot): string =>
  sourceHtml({ name, provenance: info?.json, config }, false);

function linksTo(snapshots: readonly NamedSnapshot[]): string {
  const link = (path: string, query: [string, string][], text: string) =>
    `<li><a href="${path}?${escapeHtml(`${new URLSearchParams(query)}`)}">${escapeHtml(text)}</a></li>`;
  const [a, b] = snapshots;
  const items = [
    ...snapshots.map(({ name }) => link('run', [['dir', name]], name)),
    ...(snapshots.length === 2
      ? [
          link(
            'diff',
            [
              ['a', a.name],
              ['b', b.name],
            ],
            'differences between the two',
          ),
        ]
      : []),
  ];
  return `<h2>Runs</h2>\n<ul>\n${items.join('\n')}\n</ul>`;
}

/** The numbers in the cells of a table, by which it is sorted. */
const withValues = ({ head, rows }: Table): HtmlTable => ({
  head,
  rows: rows.map((cells) => cells.map((text) => ({ text, ...shownValue(text) }))),
});

/** The number that a cell shows; times in seconds. */
function shownValue(text: string): { value?: number } {
  const [, number, unit] = /^([-+]?\d+(?:\.\d+)?)(?: ±[^%]*)?(?: (%|s|min|h))?$/.exec(text) ?? [];
  if (number === undefined) return {};
  return { value: Number(number) * (unit === 'min' ? 60 : unit === 'h' ? 3600 : 1) };
}

function progressHtml(
  progress: readonly { readonly of: string; readonly run: RunProgress }[],
): string {
  const cell = (value: number | undefined, show: (value: number) => string): LinkedCell =>
    value === undefined ? { text: missing } : { text: show(value), value };
  const rows = progress.map(({ of, run }): LinkedCell[] => [
    { text: `${of}${runName({ label: run.method, seed: run.seed })}` },
    { text: run.status.toLowerCase() },
    {
      text: [run.batch, run.totalBatches]
        .flatMap((count) => (count === undefined ? [] : grouped(count)))
        .join('/'),
      value: run.batch,
    },
    cell(run.epoch, String),
    cell(run.trainLoss, significant),
    cell(run.testLoss ?? run.validationLoss, significant),
    cell(run.testAccuracy ?? run.validationAccuracy, inPercent),
    cell(run.batchesPerSecond, significant),
    cell(run.secondsLeft, duration),
  ]);
  const head = ['run', 'status', 'batch', 'epoch', 'loss', 'eval. loss', 'accuracy', 'batches/s'];
  return `<h2>Progress</h2>\n${sortableTable({ head: [...head, 'left'], rows, words: 2 })}`;
}

/** The directory under the name that pages show. */
const named = ({ name, directory }: NamedSnapshot) => ({ ...directory, path: name });

/** What differs between two runs, as `fln diff` prints it. */
export function diffView(a: NamedSnapshot, b: NamedSnapshot, texts: Texts): View {
  const diff = diffDirectories(named(a), named(b));
  return {
    title: 'Differences',
    subtitle: `${a.name} and ${b.name}`,
    parts: {
      diff: `<pre><code>${escapeHtml(texts.diff(diff))}</code></pre>`,
      problems: problemsHtml(diff.problems),
    },
  };
}

function problemsHtml(problems: readonly { readonly message: string }[]): string {
  if (problems.length === 0) return '';
  const most = 50;
  const items = problems.slice(0, most).map(({ message }) => `<li>${escapeHtml(message)}</li>`);
  if (problems.length > most) items.push(`<li>... and ${problems.length - most} more</li>`);
  return `<h2>Problems</h2>\n<ul class="problems">\n${items.join('\n')}\n</ul>`;
}
