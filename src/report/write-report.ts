import { dirname, join } from 'node:path';
import { writeFileAtomic } from '../files/atomic.js';
import { makeFolder } from '../files/folder.js';
import { loadRunDirectory, type RunDirectory } from '../runs/run-directory.js';
import { summaryCsv, summaryJson } from '../runs/summary.js';
import { curvesOf, describeRuns, experimentName, summariseRuns } from './content.js';
import { leftOut } from './curves.js';
import { drawFigure } from './figure.js';
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
