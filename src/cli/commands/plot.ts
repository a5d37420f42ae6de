import { basename, join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import type { Band, Measure } from '../../report/curves.js';
import type { FigureSize, Length } from '../../report/figure-sized.js';
import type { PanelName } from '../../report/figure-spec.js';
import type { FigureOptions } from '../../report/write-report.js';
import { commonColumns } from '../../runs/metrics.js';
import type { Run, RunDirectory } from '../../runs/run-directory.js';
import { didYouMean } from '../../shared/suggest.js';
import { isSweepDirectory } from '../../sweep/paths.js';
import { json, listOf, manual, numbersOf, once, oneNumber, oneOf } from '../options.js';
import { fontSizeOf, formats, lengthOf, outsOf, targets } from '../plot-options.js';
import { note, nothingFound, print, printJson, warn } from '../render/print.js';

interface PlotArguments {
  dirs: string[];
  out?: string[];
  title?: string;
  noTitle?: boolean;
  y?: string;
  against?: string;
  layer?: number[];
  only?: string[];
  panel?: (typeof panels)[number];
  log?: boolean;
  noLog?: boolean;
  smooth?: number;
  band?: (typeof bands)[number];
  width?: Length;
  height?: Length;
  fontSize?: number;
  font?: string;
  pdf?: boolean;
  csv?: boolean;
  json?: boolean;
}

const panels = ['batches', 'time', 'epochs'] as const satisfies readonly PanelName[];
const bands = ['range', 'interval', 'none'] as const satisfies readonly Band[];

const columns = commonColumns.filter(
  (name) => !['method', 'seed', 'batch', 'epoch'].includes(name),
);

export const plotCommand: CommandModule<object, PlotArguments> = {
  command: 'plot <dirs..>',
  describe: 'redraw figures and report from the CSVs of one or more run directories',
  builder: (yargs) =>
    yargs
      .positional('dirs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'run directories, or folders that contain some; several are overlaid',
      })
      .option('out', {
        type: 'string',
        coerce: outsOf,
        describe: `FILE.EXT (${formats.join(', ')}), or NAME for NAME.svg, .png and .html, or an existing folder; may be repeated [default: in the run directory; for several, in the current folder]`,
      })
      .option('y', {
        type: 'string',
        coerce: Object.assign(once('y'), { words: columns }),
        describe:
          'column of metrics.csv or layers.csv to draw [default: test_accuracy, or what the runs have]',
      })
      .option('against', {
        type: 'string',
        coerce: once('against'),
        describe:
          'final values against a setting of the methods: targetStep, learningRate [default: over time]',
      })
      .option('layer', {
        type: 'string',
        coerce: numbersOf('layer'),
        describe: 'with a column of layers.csv: only these layers, from 1 [default: all]',
      })
      .option('only', {
        type: 'string',
        coerce: listOf('only'),
        describe: 'draw only these methods: LABEL,...',
      })
      .option('panel', {
        type: 'string',
        coerce: oneOf('panel', panels),
        describe: `one panel: ${panels.join(', ')} [default: batches and time]`,
      })
      .option('log', { type: 'boolean', describe: 'logarithmic vertical axis' })
      .option('no-log', {
        type: 'boolean',
        describe: 'linear vertical axis for accuracies [default: logarithmic in the error]',
      })
      .option('smooth', {
        type: 'string',
        coerce: oneNumber('smooth'),
        describe: 'moving average: the mean of each row and the N - 1 before it',
      })
      .option('band', {
        type: 'string',
        coerce: oneOf('band', bands),
        describe:
          'around a mean over seeds: range, interval (95 %) or none [default: range; with --against: interval]',
      })
      .option('width', {
        type: 'string',
        coerce: lengthOf('width'),
        describe: 'width of the figure with unit: 84mm, 3.3in, 240pt, 600px',
      })
      .option('height', {
        type: 'string',
        coerce: lengthOf('height'),
        describe: 'height, with --width [default: what the panels need]',
      })
      .option('font-size', {
        type: 'string',
        coerce: fontSizeOf,
        describe: 'size of all text in points, with --width [default: 8; widths in px: 9.75]',
      })
      .option('font', {
        type: 'string',
        coerce: once('font'),
        describe: 'an installed family, or a TTF or OTF file [default: DejaVu Sans, bundled]',
      })
      .option('title', {
        type: 'string',
        coerce: once('title'),
        describe: 'title of the figure [default: name of the experiment]',
      })
      .option('no-title', { type: 'boolean', describe: 'neither title nor subtitle' })
      .option('pdf', { type: 'boolean', describe: 'also write a PDF, with its fonts embedded' })
      .option('csv', { type: 'boolean', describe: 'also write the drawn points as CSV' })
      .option('json', json)
      .example('$0 plot results/mnist-mlp', 'redraw the figure of a run in its directory')
      .example('$0 plot results/sweeps/quickstart', 'the figure and the report of a sweep')
      .example('$0 plot results/a results/b --out a-and-b', 'a-and-b.svg, .png and .html')
      .example(
        '$0 plot results/a --y test_loss --log --panel epochs --width 84mm --no-title --out a.pdf',
        'a figure for a paper',
      )
      .epilogue(
        manual(
          'Figures that are drawn with options, and without --out, are named figure-COLUMN in the run directory.\n' +
            'What cannot be read is named on stderr and left out.',
          { 0: 'ok', 1: 'a disk error', 2: 'usage, or there is nothing to draw' },
        ),
      ) as never,
  handler: plot,
};

async function plot(args: PlotArguments): Promise<void> {
  const { dirs, out, title, only, json, pdf, csv } = args;
  const styled = stylingOptions(args);
  const isPlain = out === undefined && styled.length === 0;
  const [first, ...others] = dirs.map(String);
  if (isPlain && !pdf && !csv && others.length === 0 && isSweepDirectory(first)) {
    const { writeSweepReport } = await import('../../sweep/report/write-sweep-report.js');
    const files = await writeSweepReport(first, { title });
    if (json) printJson({ files, problems: [] });
    else print(files.join('\n'));
    return;
  }
  checkOptions(args, styled);
  // Loaded here, so that --help does not wait for Vega.
  const { loadRuns } = await import('../../runs/run-directory.js');
  const { writeFigures, writeReport } = await import('../../report/write-report.js');
  const { chooseMeasure, leftOut } = await import('../../report/curves.js');
  const { differencesBetween, readSettingsOf } = await import('../../report/overlay.js');
  const { directories: found, problems } = loadRuns(dirs.map(String));
  const chosen = onlyLabels(found, only).filter(({ runs }) => runs.length > 0);
  const directories = await ofLayers(chosen, args);
  const runs = directories.flatMap((directory) => directory.runs);
  if (!runs.some(({ metrics }) => metrics.rows > 0)) {
    throw new UsageError(
      nothingFound('there is nothing to draw: no metrics.csv with a finished batch', problems),
    );
  }
  const chosenColumn = args.y === undefined ? chooseMeasure(runs) : await columnOf(runs, args);
  const measure = chosenColumn && { ...chosenColumn, against: args.against };
  const options = await figureOptions(args, measure);
  for (const problem of leftOut(runs, measure)) problems.push(problem);
  const several = directories.length > 1;
  const settings = several || args.against ? readSettingsOf(directories, problems) : new Map();
  if (args.against !== undefined) {
    const { withoutFinal } = await import('../../report/setting-curves.js');
    for (const problem of withoutFinal(runs, settings)) problems.push(problem);
  }
  const inPlace = out === undefined && !several;
  const files: string[] = [];
  // The report of a run directory, with the summaries.
  if (isPlain && inPlace) files.push(...(await writeReport(directories[0], options)));
  const column = measure?.column ?? 'figure';
  const name = inPlace
    ? join(
        directories[0].path,
        isPlain
          ? 'figure'
          : ['figure', column, args.panel ?? args.against].filter(Boolean).join('-'),
      )
    : overlayName(directories);
  const wanted = targets(out ?? [name], name, {
    usual: isPlain && inPlace ? [] : styled.length > 0 ? ['svg', 'png'] : ['svg', 'png', 'html'],
    more: [...(pdf ? ['pdf'] : []), ...(csv ? ['csv'] : [])],
  });
  if (wanted.length > 0) {
    const { paths, remarks } = await writeFigures(directories, wanted, options, settings);
    files.push(...paths);
    for (const message of remarks) problems.push({ path: '', message });
  }
  const differences = several ? differencesBetween(settings, runs) : undefined;
  if (json) {
    printJson({ files, problems, ...(differences && { differences }) });
    return;
  }
  warn(problems);
  if (differences) {
    const { formatDifferences } = await import('../render/diff.js');
    const unknown = directories.filter(({ path }) => settings.get(path)?.size === 0);
    note(
      formatDifferences(
        differences,
        unknown.map(({ path }) => path),
      ),
    );
  }
  print(files.join('\n'));
}

/** Options that change what the figure shows, as they are written. */
function stylingOptions(args: PlotArguments): string[] {
  const names = {
    y: '--y',
    against: '--against',
    only: '--only',
    panel: '--panel',
    log: '--log',
    noLog: '--no-log',
    smooth: '--smooth',
    band: '--band',
    width: '--width',
    font: '--font',
    noTitle: '--no-title',
  } as const;
  return Object.entries(names).flatMap(([key, option]) =>
    args[key as keyof typeof names] === undefined ? [] : [option],
  );
}

function checkOptions(args: PlotArguments, styled: readonly string[]): void {
  if (args.log && args.noLog) throw new UsageError('--log and --no-log are given together');
  if (args.title !== undefined && args.noTitle) {
    throw new UsageError('--title and --no-title are given together');
  }
  for (const name of ['height', 'fontSize'] as const) {
    if (args[name] === undefined || args.width !== undefined) continue;
    const option = name === 'fontSize' ? '--font-size' : '--height';
    throw new UsageError(`${option} needs --width, as in --width 84mm`);
  }
  if (args.smooth !== undefined && args.y === undefined) {
    throw new UsageError('--smooth needs --y, the column to smooth, as in --y train_loss');
  }
  if (args.against !== undefined) {
    const other =
      args.panel !== undefined ? '--panel' : args.smooth !== undefined ? '--smooth' : '';
    if (other)
      throw new UsageError(`--against draws final values, and cannot be combined with ${other}`);
  }
  const page = args.out?.find((path) => /\.html$/i.test(path));
  if (page !== undefined && styled.some((option) => option !== '--only')) {
    const options = styled.filter((option) => option !== '--only').join(', ');
    throw new UsageError(
      `--out ${page}: the report has the figure of "fln plot" without options, and cannot be combined with ${options}`,
    );
  }
}

/** Directories with the runs of some methods. @throws UsageError for a label that no run has */
function onlyLabels(
  directories: readonly RunDirectory[],
  only: readonly string[] | undefined,
): readonly RunDirectory[] {
  if (only === undefined) return directories;
  const labels = [...new Set(directories.flatMap(({ runs }) => runs.map(({ label }) => label)))];
  const unknown = only.find((label) => !labels.includes(label));
  if (unknown !== undefined && labels.length > 0) {
    const hint = didYouMean(unknown, labels) || '.';
    throw new UsageError(
      `--only: no run is labelled "${unknown}"${hint} Labels: ${labels.join(', ')}`,
    );
  }
  return directories.map((directory) => {
    return { ...directory, runs: directory.runs.filter(({ label }) => only.includes(label)) };
  });
}

/**
 * Directories with a run for each layer, where the column is one of layers.csv.
 * @throws UsageError when there is no such column or layer
 */
async function ofLayers(
  directories: readonly RunDirectory[],
  { y, layer }: PlotArguments,
): Promise<readonly RunDirectory[]> {
  const { layerColumnsOf, layersOf, runsByLayer } = await import('../../report/layer-runs.js');
  const { measuredColumns } = await import('../../report/curves.js');
  const runs = directories.flatMap((directory) => directory.runs);
  const columns = layerColumnsOf(runs);
  if (layer === undefined && (y === undefined || !columns.includes(y))) return directories;
  if (layer === undefined && measuredColumns(runs).includes(y!)) return directories;
  if (y === undefined || !columns.includes(y)) {
    const known = columns.length > 0 ? columns.join(', ') : 'none, they have no layers.csv';
    throw new UsageError(
      `--layer needs --y with a column of layers.csv${didYouMean(y ?? '', columns) || '.'} Columns with values: ${known}`,
    );
  }
  const layers = layersOf(runs);
  const unknown = layer?.find((number) => !layers.includes(number));
  if (unknown !== undefined) {
    throw new UsageError(`--layer: no run has a layer ${unknown}. Layers: ${layers.join(', ')}`);
  }
  // The output layer has no penalty, for example.
  const hasValue = (run: Run) => measuredColumns([run]).includes(y);
  const split = directories.map((directory) => {
    const parts = runsByLayer(directory.runs, layer ?? layers);
    return { ...directory, runs: parts.filter(hasValue) };
  });
  if (split.some((directory) => directory.runs.length > 0)) return split;
  throw new UsageError(
    `--layer: "${y}" has no value in these layers. Layers: ${layers.join(', ')}`,
  );
}

/** The column of --y. @throws UsageError when no run has a value in it */
async function columnOf(runs: readonly Run[], { y = '', smooth }: PlotArguments): Promise<Measure> {
  const { measuredColumns, measureOf } = await import('../../report/curves.js');
  const { layerColumnsOf } = await import('../../report/layer-runs.js');
  const byLayer = layerColumnsOf(runs);
  const ofLayers = byLayer.length > 0 ? `; of layers.csv: ${byLayer.join(', ')}` : '';
  const measured = measuredColumns(runs);
  if (measured.includes(y)) return measureOf(y, smooth);
  const exists = runs.some(({ metrics }) => Object.hasOwn(metrics.columns, y));
  const reason = exists
    ? 'is empty in all of these runs.'
    : `is no column of their metrics.csv${didYouMean(y, [...measured, ...byLayer]) || '.'}`;
  throw new UsageError(
    `--y: "${y}" ${reason} Columns with values: ${measured.join(', ')}${ofLayers}`,
  );
}

async function figureOptions(
  { panel, log, noLog, band, width, height, fontSize, font, title, noTitle }: PlotArguments,
  measure: Measure | undefined,
): Promise<FigureOptions> {
  const size: FigureSize | undefined = width && {
    width,
    height,
    // Pixels are for screens, where the text of the usual figure has 13 of them.
    fontSize: fontSize ?? (width.unit === 'px' ? 9.75 : 8),
  };
  const loaded =
    font === undefined ? undefined : (await import('../../report/find-font.js')).loadFont(font);
  return {
    measure,
    band,
    log: noLog ? false : log,
    size,
    font: loaded,
    panels: panel && [panel],
    title: noTitle ? '' : title,
  };
}

/** Name of an overlay: the experiments' names. */
function overlayName(directories: readonly RunDirectory[]): string {
  const names = [
    ...new Set(directories.map(({ info, path }) => info?.name ?? basename(resolve(path)))),
  ];
  const words = names.map((name) => name.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[.-]+/, ''));
  const joined = names.length === 1 ? `${words[0]}-overlay` : words.join('-vs-');
  return (joined || 'overlay').slice(0, 100);
}
