import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../errors.js';
import { writeFileAtomic } from '../../files/atomic.js';
import { readOptional } from '../../files/read.js';
import { renderFigure } from '../../report/figure.js';
import { htmlPage, type LinkedCell, sortableTable } from '../../report/html/page.js';
import { missing } from '../../report/table.js';
import { duration, escapeHtml, grouped, plural, printable } from '../../shared/text.js';
import { type HalvingSummary, halvingSummary } from '../halving/record.js';
import { sweepPaths } from '../paths.js';
import {
  bestTrial,
  ranked,
  type SweepStatus,
  sweepStatus,
  type TrialReport,
  trialStatus,
} from '../status.js';
import { heatMap, isGridOfTwo, retiredMark } from './heat-map.js';
import { parallelFigure } from './parallel-figure.js';
import {
  budgetText,
  metricText,
  nameParameters,
  rungsTable,
  textOf,
  viewOf,
} from './sweep-view.js';

/**
 * Writes the results of a sweep: figure.svg and figure.png (a heat map of two parameters, else parallel
 * coordinates; none before a trial has completed), and report.html with a table of all trials.
 * @returns the paths written, the figure first
 * @throws UsageError when the directory does not contain a sweep, DiskError
 */
export async function writeSweepReport(
  directory: string,
  options: { readonly title?: string } = {},
): Promise<string[]> {
  const status = sweepStatus(directory);
  if (status === undefined) throw new UsageError(`${directory} does not contain a sweep`);
  const { manifest } = status;
  const view = viewOf(status);
  const title = options.title ?? printable(manifest.name);
  const drawn = view.trials.filter(({ trial }) => !trial.retired).length;
  const isGrid = isGridOfTwo(view);
  const mark = isGrid ? retiredMark : 'dashed';
  const remark =
    view.trials.length > drawn ? ` · ${mark}: retired, no longer in the sweep file` : '';
  const subtitle = `${describe(status, drawn)}${remark}`;
  const paths: string[] = [];
  let svg: string | undefined;
  if (drawn > 0) {
    const draw = isGrid ? heatMap : parallelFigure;
    const description = `${title}: ${view.metric.title} of ${plural(view.trials.length, 'trial')}`;
    const figure = await renderFigure(draw(view, { title, subtitle }), description);
    svg = figure.svg;
    paths.push(join(directory, 'figure.svg'), join(directory, 'figure.png'));
    writeFileAtomic(paths[0], figure.svg);
    writeFileAtomic(paths[1], figure.png);
  }
  const page = join(directory, 'report.html');
  writeFileAtomic(page, sweepPage(directory, status, { title, subtitle, svg }));
  return [...paths, page];
}

/** `grid of 6 trials · best validation accuracy in orange · 1 failed` */
function describe({ manifest, trials, counts }: SweepStatus, valued: number): string {
  const current = trials.filter(({ trial }) => !trial.retired).length;
  const search = { grid: 'grid', random: 'random search', halving: 'successive halving' }[
    manifest.search
  ];
  const { column, goal } = manifest.metric;
  const extreme = goal === 'maximize' ? 'highest' : 'lowest';
  return [
    `${search} of ${plural(current, 'trial')}`,
    ...(valued > 0 ? [`${extreme} ${column.replaceAll('_', ' ')} in orange`] : []),
    ...(manifest.halving ? ['each at the last rung that it reached'] : []),
    ...(counts.FAILED > 0 ? [`${counts.FAILED} failed`] : []),
    ...(current - valued - counts.FAILED > 0
      ? [`${current - valued - counts.FAILED} not done`]
      : []),
  ].join(' · ');
}

/** report.html: figure, a table of all trials, the reasons of failures, and the sweep file. */
function sweepPage(
  directory: string,
  status: SweepStatus,
  {
    title,
    subtitle,
    svg,
  }: { readonly title: string; readonly subtitle: string; readonly svg?: string },
): string {
  const { parameters, metric } = status.manifest;
  const search = halvingSummary(status);
  const paths = sweepPaths(directory);
  const best = ranked(status);
  const valued = new Set(best.map(({ trial }) => trial.id));
  const trials = [...best, ...status.trials.filter(({ trial }) => !valued.has(trial.id))];
  const names = nameParameters(parameters);
  const head = [
    'trial',
    ...parameters.map((path) => names.get(path) ?? path),
    ...(search ? ['epochs'] : []),
    metric.column.replaceAll('_', ' '),
    'train time',
    'status',
  ];
  const hasReport = (id: string) => existsSync(join(paths.trial(id), 'report.html'));
  const rows = trials.map((report) =>
    row(report, parameters, metric.column, hasReport, search !== undefined),
  );
  const bestRow = bestTrial(status) === undefined ? undefined : 0;
  const file = readOptional(paths.file);
  return htmlPage({
    title,
    subtitle,
    main: [
      svg === undefined
        ? '<p>There is no figure: no trial has completed.</p>'
        : `<div class="figure natural scroll">${svg}</div>`,
      search === undefined ? '' : rungsSection(search, metric.column),
      `<h2>Trials</h2>\n${sortableTable({ head, rows, best: bestRow })}`,
      failures(trials),
      file === undefined ? '' : `<h2>Sweep</h2>\n<pre><code>${escapeHtml(file)}</code></pre>`,
    ],
  });
}

function row(
  { trial, state, value, epoch }: TrialReport,
  parameters: readonly string[],
  column: string,
  hasReport: (id: string) => boolean,
  isHalving: boolean,
): LinkedCell[] {
  const seconds = (state.rungs?.at(-1)?.results ?? state.results ?? []).reduce(
    (sum, { wall_s = 0, seeds }) => sum + wall_s * seeds,
    0,
  );
  return [
    { text: trial.id, href: hasReport(trial.id) ? `trials/${trial.id}/report.html` : undefined },
    ...parameters.map((path): LinkedCell => {
      const setting: unknown = trial.overrides[path];
      if (setting === undefined) return { text: missing };
      return {
        text: printable(textOf(setting)),
        value: typeof setting === 'number' ? setting : undefined,
      };
    }),
    ...(isHalving ? [{ text: epoch === undefined ? missing : grouped(epoch), value: epoch }] : []),
    { text: value === undefined ? missing : metricText(column, value), value },
    seconds > 0 ? { text: duration(seconds), value: seconds } : { text: missing },
    { text: trialStatus(state).toLowerCase() + (trial.retired ? ', retired' : '') },
  ];
}

function rungsSection(search: HalvingSummary, column: string): string {
  const { head, rows } = rungsTable(search, column);
  const table = sortableTable({ head, rows: rows.map((cells) => cells.map((text) => ({ text }))) });
  return `<h2>Rungs</h2>\n${table}\n<p>${escapeHtml(budgetText(search))}.</p>`;
}

function failures(trials: readonly TrialReport[]): string {
  const items = trials
    .filter(({ state }) => state.status === 'FAILED')
    .map(({ trial, state }) => {
      const reason = printable(state.error ?? 'no reason is recorded');
      return `<li>${escapeHtml(`${trial.id}: ${reason}`)}</li>`;
    });
  return items.length === 0
    ? ''
    : `<h2>Failed</h2>\n<ul class="problems">\n${items.join('\n')}\n</ul>`;
}
