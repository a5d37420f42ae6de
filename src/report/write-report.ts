import { basename, dirname, join } from 'node:path';
import { writeFileAtomic } from '../files/atomic.js';
import { makeFolder } from '../files/folder.js';
import { loadRunDirectory, type Run, type RunDirectory } from '../runs/run-directory.js';
import type { RunSummary } from '../runs/run-json.js';
import { summarise, summaryCsv, summaryJson } from '../runs/summary.js';
import { plural } from '../shared/text.js';
import { groupRuns, leftOut } from './curves.js';
import { curvesOf, drawFigure } from './figure.js';
import { chartsHtml } from './html/charts.js';
import { reportHtml } from './html/run-report.js';

/**
 * Writes the files that follow from a run directory's CSVs and run.json: figure.svg, figure.png,
 * report.html, summary.csv and summary.json, each atomically. Without any accuracy there is no figure.
 * Files that cannot be read are named in the report.
 * @param source path of the run directory, or what `loadRunDirectory` read
 * @returns the paths written, the figure first
 * @throws DiskError when the directory cannot be written to
 */
export async function writeReport(
  source: string | RunDirectory,
  options: { readonly title?: string } = {},
): Promise<string[]> {
  const directory = typeof source === 'string' ? loadRunDirectory(source) : source;
  const file = (name: string) => join(directory.path, name);
  const { html, paths } = await writeFigure([directory], file('figure'), options.title);
  const summaries = summariseRuns(directory.runs);
  const files: [string, string][] = [
    [file('report.html'), html],
    [file('summary.csv'), summaryCsv(summaries)],
    [file('summary.json'), summaryJson(experimentName(directory), summaries)],
  ];
  for (const [path, content] of files) writeFileAtomic(path, content);
  return [...paths, ...files.map(([path]) => path)];
}

/**
 * One figure of several run directories, with its page: BASE.svg, BASE.png and BASE.html.
 * @param base path without extension; its folder is made
 * @returns the paths written
 * @throws DiskError when the files cannot be written
 */
export async function writeOverlay(
  directories: readonly RunDirectory[],
  base: string,
  options: { readonly title?: string } = {},
): Promise<string[]> {
  makeFolder(dirname(base));
  const { html, paths } = await writeFigure(directories, base, options.title);
  writeFileAtomic(`${base}.html`, html);
  return [...paths, `${base}.html`];
}

/** Summaries of runs, with their names in the figure. */
function summariseRuns(runs: readonly Run[]): RunSummary[] {
  return groupRuns(runs).flatMap(({ name, runs }) =>
    runs.map(({ metrics, status, error, variant }) => ({
      ...summarise(metrics, status, error),
      method: name,
      variant,
    })),
  );
}

async function writeFigure(
  directories: readonly RunDirectory[],
  base: string,
  wantedTitle: string | undefined,
): Promise<{ paths: string[]; html: string }> {
  const runs = directories.flatMap((directory) => directory.runs);
  const title = wantedTitle ?? [...new Set(directories.map(experimentName))].join(', ');
  const subtitle = describeRuns(directories);
  const curves = curvesOf(runs);
  const figure = curves && (await drawFigure(curves, { title, subtitle }));
  const paths: string[] = [];
  if (figure) {
    paths.push(`${base}.svg`, `${base}.png`);
    writeFileAtomic(paths[0], figure.svg);
    writeFileAtomic(paths[1], figure.png);
  }
  const html = reportHtml({
    title,
    subtitle,
    figure: curves &&
      figure && { charts: chartsHtml(curves.curves, curves.measure), svg: figure.svg },
    summaries: summariseRuns(runs),
    problems: [...directories.flatMap(({ problems }) => problems), ...leftOut(runs)].map(
      ({ message }) => message,
    ),
    sources: directories.map((directory) => ({
      name: experimentName(directory),
      provenance: directory.info?.json,
      config: directory.config,
    })),
  });
  return { paths, html };
}

function experimentName({ info, path, runs }: RunDirectory): string {
  return info?.name ?? runs[0]?.experiment ?? basename(path);
}

/** e.g. `mnist · 784-300-10, relu · wasm · mean and range of 3 seeds`; values that differ are omitted. */
function describeRuns(directories: readonly RunDirectory[]): string {
  const shared = (read: (directory: RunDirectory) => string | undefined) => {
    const values = new Set(directories.map(read));
    return values.size === 1 ? [...values][0] : undefined;
  };
  const seeds = new Set(directories.flatMap(({ runs }) => runs.map(({ seed }) => seed))).size;
  return [
    shared(({ info }) => info?.dataset),
    shared(({ info }) => {
      if (info?.layers === undefined) return undefined;
      return [info.layers, ...new Set(info.activations)].join(', ');
    }),
    shared(({ info }) => info?.backend && `${info.backend} backend`),
    seeds > 1 ? `mean and range of ${plural(seeds, 'seed')}` : plural(seeds, 'seed'),
  ]
    .filter((part) => part !== undefined && part !== '')
    .join(' · ');
}
