import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../../shared/provenance.js';
import { escapeHtml } from '../../shared/text.js';
import type { Cell } from '../table.js';

export interface PageContent {
  readonly title: string;
  readonly subtitle: string;
  /** HTML; text in it is escaped. */
  readonly main: readonly string[];
  readonly styles?: readonly string[];
  readonly scripts?: readonly string[];
  /** Served by `fln serve`: the page may fetch data from its server, and has forms. */
  readonly isServed?: boolean;
  /** The page starts a worker from its own text, which compiles WebAssembly. */
  readonly hasWorker?: boolean;
}

const codeOf = ({ scripts = [] }: PageContent) =>
  [pageAssets.tables(), ...scripts].map((code) => `\n${code}\n`);

/** The content security policy of a page. */
export function contentPolicy(page: PageContent): string {
  const hashes = codeOf(page).map(
    (code) => `'sha256-${createHash('sha256').update(code).digest('base64')}'`,
  );
  const server = page.isServed ? "; connect-src 'self'; form-action 'self'; base-uri 'none'" : '';
  const wasm = page.hasWorker ? " 'wasm-unsafe-eval'; worker-src blob:; connect-src blob:" : '';
  return `default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src ${hashes.join(' ')}${wasm}${server}`;
}

/**
 * One HTML page without external requests. The browser runs only its own scripts, which the policy lists by
 * their hashes, so that even an error in escaping could not run a script in a label.
 */
export function htmlPage(page: PageContent): string {
  const { title, subtitle, main, styles = [] } = page;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${contentPolicy(page)}">
<title>${escapeHtml(title)}</title>
<style>
${[...styles, pageAssets.style()].join('\n')}
</style>
</head>
<body>
<header>
<h1>${escapeHtml(title)}</h1>
<p class="subtitle">${escapeHtml(subtitle)}</p>
</header>
<main>
${main.filter((part) => part !== '').join('\n')}
</main>
${codeOf(page)
  .map((code) => `<script>${code}</script>`)
  .join('\n')}
</body>
</html>
`;
}

/** A cell with a link. It is sorted by its value, if it has one. */
export interface LinkedCell extends Cell {
  /** A relative path. */
  readonly href?: string;
  /** Query of the link. */
  readonly query?: Readonly<Record<string, string>>;
  /** A checkbox of a form, before the text. */
  readonly choice?: { readonly name: string; readonly value: string };
}

export interface HtmlTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly LinkedCell[])[];
  /** Number of columns, from the first, that hold text and are aligned to the left. */
  readonly words?: number;
  /** Row to highlight. */
  readonly best?: number;
}

/** A table that is sorted by a column on a click on its head, where scripts run. */
export function sortableTable({ head, rows, words = 1, best }: HtmlTable): string {
  const align = (column: number) => (column < words ? ' class="words"' : '');
  const heads = head.map((text, i) => `<th scope="col"${align(i)}>${escapeHtml(text)}</th>`);
  const lines = rows.map((cells, row) => {
    const tds = cells.map((cell, i) => `<td${align(i)}${sortValue(cell)}>${content(cell)}</td>`);
    return `<tr${row === best ? ' class="best"' : ''}>${tds.join('')}</tr>`;
  });
  return `<div class="scroll"><table class="sortable">
<thead><tr>${heads.join('')}</tr></thead>
<tbody>
${lines.join('\n')}
</tbody>
</table></div>`;
}

const sortValue = ({ value }: Cell) => (value === undefined ? '' : ` data-value="${value}"`);

function content({ text, href, query, choice }: LinkedCell): string {
  const box =
    choice === undefined
      ? ''
      : `<input type="checkbox" name="${escapeHtml(choice.name)}" value="${escapeHtml(choice.value)}" aria-label="select ${escapeHtml(text)}"> `;
  if (href === undefined) return box + escapeHtml(text);
  const path = href.split('/').map(encodeURIComponent).join('/');
  const url = query === undefined ? path : `${path}?${new URLSearchParams(query)}`;
  return `${box}<a href="${escapeHtml(url)}">${escapeHtml(text)}</a>`;
}

/** A part of a page that one of its scripts draws: HTML, with the numbers in an element of their own. */
export interface Drawing<Kind extends string, Data> {
  readonly kind: Kind;
  /** The HTML before and after the numbers. */
  readonly frame: readonly [string, string];
  readonly data: Data;
}

/** @returns the HTML of a drawing; empty where there is none */
export const drawingHtml = (drawing: Drawing<string, unknown> | undefined): string =>
  drawing === undefined ? '' : drawing.frame.join(json(drawing.data));

/** JSON that cannot end its script element. */
export const json = (value: unknown): string =>
  JSON.stringify(value, shortNumber).replaceAll('<', '\\u003c');

/** Six digits are enough for a screen. */
const shortNumber = (_: string, value: unknown) =>
  typeof value === 'number' ? Number(value.toPrecision(6)) : value;

const require = createRequire(import.meta.url);

const own = (name: string) =>
  readFileSync(join(packageRoot, 'assets', 'report', name), 'utf8').trim();
const uPlot = (name: string) => readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8').trim();

/** Files that are embedded in pages. */
export const pageAssets = {
  style: () => own('style.css'),
  tables: () => own('tables.js'),
  /** What draws the interactive figure and the panels of layers, and their scripts. */
  chartStyle: () => uPlot('uPlot.min.css'),
  uPlot: () => uPlot('uPlot.iife.min.js'),
  charts: () => own('charts.js'),
  layers: () => own('layers.js'),
  /** Keeps a page of `fln serve` up to date. */
  live: () => own('live.js'),
} as const;
