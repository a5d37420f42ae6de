import { htmlPage, type LinkedCell, sortableTable } from '../../report/html/page.js';
import { missing } from '../../report/table.js';
import { duration, escapeHtml, printable } from '../../shared/text.js';
import type { SweepStatus, TrialReport } from '../status.js';
import { metricText, nameParameters, textOf } from './sweep-view.js';

export interface SweepPage {
  readonly title: string;
  readonly subtitle: string;
  /** The figure; absent while no trial has a value. */
  readonly svg?: string;
  readonly status: SweepStatus;
  /** Of the best trial, which is the first. */
  readonly best?: string;
  /** Trials, the best first, then those without a value. */
  readonly trials: readonly TrialReport[];
  /** Trials that have a report of their own. */
  readonly hasReport: (id: string) => boolean;
  /** Text of the sweep file, where there is one. */
  readonly file?: string;
}

/** report.html of a sweep: figure, a table of all trials, what failed, and the sweep file. */
export function sweepPage({
  title,
  subtitle,
  svg,
  status,
  best,
  trials,
  hasReport,
  file,
}: SweepPage): string {
  const { parameters, metric } = status.manifest;
  const names = nameParameters(parameters);
  const head = [
    'trial',
    ...parameters.map((path) => names.get(path) ?? path),
    metric.column.replaceAll('_', ' '),
    'train time',
    'status',
  ];
  const rows = trials.map((report) => row(report, parameters, metric.column, hasReport));
  return htmlPage({
    title,
    subtitle,
    main: [
      svg === undefined
        ? '<p>There is no figure: no trial has completed.</p>'
        : `<div class="figure natural scroll">${svg}</div>`,
      `<h2>Trials</h2>\n${sortableTable({ head, rows, best: best === undefined ? undefined : 0 })}`,
      failures(trials),
      file === undefined ? '' : `<h2>Sweep</h2>\n<pre><code>${escapeHtml(file)}</code></pre>`,
    ],
  });
}

function row(
  { trial, state, value }: TrialReport,
  parameters: readonly string[],
  column: string,
  hasReport: (id: string) => boolean,
): LinkedCell[] {
  const seconds = (state.results ?? []).reduce(
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
    { text: value === undefined ? missing : metricText(column, value), value },
    seconds > 0 ? { text: duration(seconds), value: seconds } : { text: missing },
    { text: state.status.toLowerCase() + (trial.retired ? ', retired' : '') },
  ];
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
