import type { RunSummary } from '../../runs/run-json.js';
import { aggregate } from '../../runs/summary.js';
import { escapeHtml, runName } from '../../shared/text.js';
import type { PairedComparison } from '../paired-comparison.js';
import { comparisonNotes, readingNotes } from '../paired-notes.js';
import { differenceTable, methodName, ratioTable } from '../paired-tables.js';
import { resultTable, tableNote } from '../table.js';
import type { Charts } from './charts.js';
import type { LayerPanels } from './layers.js';
import { drawingHtml, htmlPage, pageAssets, sortableTable } from './page.js';

export interface ReportContent {
  readonly title: string;
  readonly subtitle: string;
  readonly summaries: readonly RunSummary[];
  /** The methods compared with the first, of one run directory with several seeds. */
  readonly paired?: PairedComparison;
  /** The figure with scripts, and without; absent when there is nothing to draw. */
  readonly figure?: { readonly charts: Charts; readonly svg: string };
  /** The panels of the layers, where there are any. */
  readonly layers?: LayerPanels;
  /** Images of first-layer filters and of hidden activations; empty where there are none. */
  readonly images: string;
  /** What could not be read, as sentences. */
  readonly problems: readonly string[];
  /** One per run directory. */
  readonly sources: readonly ReportSource[];
}

export interface ReportSource {
  readonly name: string;
  /** Content of run.json. */
  readonly provenance?: unknown;
  /** Text of config.yaml. */
  readonly config?: string;
}

/**
 * The report as one HTML page without external requests: figure, tables, failures, layers, provenance
 * and config.
 * All text is escaped.
 */
export function reportHtml(content: ReportContent): string {
  const { title, subtitle, figure, layers, images, sources } = content;
  const drawn = [
    ...(figure ? [pageAssets.charts()] : []),
    ...(layers ? [pageAssets.layers()] : []),
  ];
  const several = sources.length > 1;
  return htmlPage({
    title,
    subtitle,
    main: [
      figure === undefined
        ? '<p>There is no figure: no run has recorded an accuracy.</p>'
        : `${drawingHtml(figure.charts)}\n<div class="figure static scroll">${figure.svg}</div>`,
      resultsHtml(content.summaries),
      pairedHtml(content.paired),
      failuresHtml(content),
      drawingHtml(layers),
      images,
      ...sources.map((source) => sourceHtml(source, several)),
    ],
    ...(drawn.length > 0 && {
      styles: [pageAssets.chartStyle()],
      scripts: [pageAssets.uPlot(), ...drawn],
    }),
  });
}

export function resultsHtml(summaries: readonly RunSummary[]): string {
  return `<h2>Results</h2>
${sortableTable(resultTable(aggregate(summaries)))}
<p class="note">${escapeHtml(tableNote)}.</p>`;
}

function pairedHtml(comparison: PairedComparison | undefined): string {
  if (comparison === undefined) return '';
  const ratios = ratioTable(comparison);
  const notes = [...comparisonNotes(comparison), ...readingNotes([comparison])];
  return [
    '<h2>Paired differences</h2>',
    `<p>Each method compared with ${escapeHtml(methodName(comparison.reference))}, seed by seed. <code>fln compare --against LABEL</code> compares with another one.</p>`,
    sortableTable(differenceTable(comparison)),
    ...(ratios
      ? [
          `<p>Training until a ${comparison.curve} accuracy is first reached:</p>`,
          sortableTable(ratios),
        ]
      : []),
    `<ul class="note">\n${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('\n')}\n</ul>`,
  ].join('\n');
}

export function failuresHtml({
  summaries,
  problems,
}: Pick<ReportContent, 'summaries' | 'problems'>): string {
  const unfinished = summaries
    .filter(({ status }) => status !== 'COMPLETED')
    .map(({ method, seed, status, error, batches }) => {
      const reached = batches > 0 ? ` after batch ${batches}` : '';
      const run = `${runName({ label: method, seed })}: `;
      // Reasons often start with the name of the run.
      const reason = error?.startsWith(run) ? error.slice(run.length) : error;
      return `${run}${status.toLowerCase()}${reached}${reason ? ` – ${reason}` : ''}`;
    });
  const lines = [...unfinished, ...problems];
  if (lines.length === 0) return '';
  const items = lines.map((text) => `<li>${escapeHtml(text)}</li>`).join('\n');
  return `<h2>Not complete</h2>\n<ul class="problems">\n${items}\n</ul>`;
}

export function sourceHtml({ name, provenance, config }: ReportSource, several: boolean): string {
  const of = several ? ` of ${escapeHtml(name)}` : '';
  const parts: string[] = [];
  if (provenance !== undefined) {
    const entries = flatten(provenance)
      .map(([key, value]) => `<dt>${escapeHtml(key)}</dt><dd>${escapeHtml(value)}</dd>`)
      .join('\n');
    parts.push(`<h2>Provenance${of}</h2>\n<dl>\n${entries}\n</dl>`);
  }
  if (config !== undefined) {
    parts.push(`<h2>Config${of}</h2>\n<pre><code>${escapeHtml(config)}</code></pre>`);
  }
  return parts.join('\n');
}

/** run.json as pairs of path and value, without its list of runs, which the table shows. */
function flatten(value: unknown, path = '', depth = 0): [string, string][] {
  if (typeof value !== 'object' || value === null) return [[path, String(value ?? 'none')]];
  const entries = Object.entries(value).filter(([key]) => depth > 0 || key !== 'runs');
  const plain = Array.isArray(value) && value.every((item) => typeof item !== 'object');
  if (plain || depth >= 4) {
    return [[path, plain ? value.join(', ') : JSON.stringify(value)]];
  }
  return entries.flatMap(([key, item]) =>
    flatten(item, path === '' ? key : `${path}.${key}`, depth + 1),
  );
}
