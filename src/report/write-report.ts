import { dirname, join } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import { UsageError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import { makeFolder } from '../files/folder.js';
import { loadRunDirectory, type RunDirectory } from '../runs/run-directory.js';
import { summaryCsv, summaryJson } from '../runs/summary.js';
import { plural } from '../shared/text.js';
import { type Curves, curvesOf, describeRuns, experimentName, summariseRuns } from './content.js';
import {
  type Band,
  type CurvePoint,
  isAccuracy,
  leftOut,
  type Measure,
  onlyPositive,
} from './curves.js';
import { drawFigure, type Figure, type FigureStyle } from './figure.js';
import type { FigureText } from './figure-spec.js';
import { drawCharts } from './html/charts.js';
import { imagesHtml } from './html/images.js';
import { drawLayers } from './html/layers.js';
import { reportHtml } from './html/run-report.js';
import type { Settings } from './overlay.js';
import { compareWithFirst } from './paired-comparison.js';

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
  const figure = ['figure.svg', 'figure.png', 'report.html'].map(file);
  const { paths } = await writeFigures([directory], figure, options, new Map());
  const summaries = summariseRuns(directory.runs);
  const files: [string, string][] = [
    [file('summary.csv'), summaryCsv(summaries)],
    [file('summary.json'), summaryJson(experimentName(directory), summaries)],
  ];
  for (const [path, content] of files) writeFileAtomic(path, content);
  return [...paths, ...files.map(([path]) => path)];
}

/** What {@link writeFigures} draws, and how. */
export interface FigureOptions extends Omit<FigureStyle, 'pdf'> {
  /** By default the names of the experiments; empty: neither title nor subtitle. */
  readonly title?: string;
  /** By default what {@link chooseMeasure} finds. */
  readonly measure?: Measure;
  readonly band?: Band;
}

/** The formats of figures, by the extensions of their files. `html` is the whole report, `csv` the drawn points. */
export const figureFormats = ['svg', 'png', 'pdf', 'html', 'csv'] as const;
export type FigureFormat = (typeof figureFormats)[number];

export const formatOf = (path: string): FigureFormat | undefined =>
  figureFormats.find((format) => path.toLowerCase().endsWith(`.${format}`));

/**
 * Writes one figure of run directories into files, in the formats of their extensions. Their folders are made.
 * @param settings of the directories, for the names of curves
 * @returns the paths written, and remarks about what the figure does not show
 * @throws DiskError when the files cannot be written
 * @throws UsageError when there is nothing to draw, or too little space
 */
export async function writeFigures(
  directories: readonly RunDirectory[],
  files: readonly string[],
  options: FigureOptions,
  settings: Settings,
): Promise<{ paths: string[]; remarks: string[] }> {
  const runs = directories.flatMap((directory) => directory.runs);
  const { measure, band } = options;
  const all = curvesOf(runs, { measure, band, settings });
  const { curves, dropped } = isPositiveOnly(all, options)
    ? onlyPositive(all!.curves)
    : { curves: all?.curves ?? [], dropped: 0 };
  const { title, subtitle } = textOf(directories, options);
  const formats = new Set(files.map(formatOf));
  const drawn = all && curves.length > 0 ? { ...all, curves } : undefined;
  if (all && !drawn) {
    throw new UsageError(`--log: ${all.measure.column} has no positive value in these runs`);
  }
  const draws = formats.has('svg') || formats.has('png') || formats.has('pdf');
  const figure =
    drawn && (draws || formats.has('html'))
      ? await drawFigure(drawn, { title, subtitle }, { ...options, pdf: formats.has('pdf') })
      : undefined;
  const paths: string[] = [];
  for (const path of files) {
    const format = formatOf(path)!;
    const content =
      format === 'html'
        ? pageOf(directories, { title, subtitle }, drawn, figure, settings)
        : format === 'csv'
          ? drawn && curvesCsv(drawn)
          : figure?.[format];
    if (content === undefined) continue;
    makeFolder(dirname(path));
    writeFileAtomic(path, content);
    paths.push(path);
  }
  const values = plural(dropped, 'value');
  const remarks =
    dropped > 0 ? [`${values} that are not positive are left out of the logarithmic axis`] : [];
  return { paths, remarks };
}

/** Accuracies on a logarithmic axis are drawn by their errors, which may be 0. */
const isPositiveOnly = (all: Curves | undefined, { log }: FigureOptions): boolean =>
  log === true && all !== undefined && !isAccuracy(all.measure);

/** The points of a figure as CSV, a line for each curve and batch. */
function curvesCsv({ curves, measure }: Curves): string {
  if (measure.against !== undefined) {
    const head = ['curve', 'y', 'setting', 'value', 'seeds', 'mean', 'low', 'high'];
    const rows = curves.flatMap(({ name, points, seeds }) =>
      points.map(({ batch, value, low, high }) => {
        return [name, measure.column, measure.against!, batch, seeds, value, low, high];
      }),
    );
    return stringify([head, ...rows.map((cells) => cells.map(cellText))]);
  }
  const rows = curves.flatMap(({ name, points, partial, seeds }) => {
    const row = (kind: string, count: number) => (point: CurvePoint) => {
      const { batch, epoch, seconds, value, low, high } = point;
      return [name, measure.column, kind, count, batch, epoch, seconds, value, low, high];
    };
    return [
      ...points.map(row('mean', seeds)),
      ...partial.flatMap((points) => points.map(row('stopped', 1))),
    ];
  });
  const head = ['curve', 'y', 'kind', 'seeds', 'batch', 'epoch', 'seconds', 'mean', 'low', 'high'];
  return stringify([head, ...rows.map((cells) => cells.map(cellText))]);
}

const cellText = (cell: string | number): string =>
  typeof cell === 'string' ? cell : Number.isNaN(cell) ? '' : String(Number(cell.toPrecision(9)));

function textOf(
  directories: readonly RunDirectory[],
  { title, measure, band = measure?.against === undefined ? 'range' : 'interval' }: FigureOptions,
): FigureText {
  if (title === '') return { title, subtitle: '' };
  const names = [...new Set(directories.map(experimentName))].join(', ');
  return { title: title ?? names, subtitle: describeRuns(directories, band) };
}

function pageOf(
  directories: readonly RunDirectory[],
  text: FigureText,
  drawn: Curves | undefined,
  figure: Figure | undefined,
  settings?: Settings,
): string {
  const runs = directories.flatMap((directory) => directory.runs);
  return reportHtml({
    ...text,
    figure: drawn && figure && { charts: drawCharts(drawn.curves, drawn.measure), svg: figure.svg },
    layers: drawLayers(runs, settings),
    images: imagesHtml(runs, settings),
    summaries: summariseRuns(runs, settings),
    paired: directories.length === 1 ? compareWithFirst(directories[0]) : undefined,
    problems: [...directories.flatMap(({ problems }) => problems), ...leftOut(runs)].map(
      ({ message }) => message,
    ),
    sources: directories.map((directory) => ({
      name: experimentName(directory),
      provenance: directory.info?.json,
      config: directory.config,
    })),
  });
}
