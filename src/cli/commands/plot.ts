import { basename, join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { UsageError } from '../../errors.js';
import { isFolder } from '../../files/folder.js';
import type { RunDirectory } from '../../runs/run-directory.js';
import { isSweepDirectory } from '../../sweep/paths.js';
import { json, manual, once } from '../options.js';
import { nothingFound, print, printJson, warn } from '../render/print.js';

interface PlotArguments {
  dirs: string[];
  out?: string;
  title?: string;
  json?: boolean;
}

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
        coerce: once('out'),
        describe:
          'path of the figure without extension, or an existing folder [default: the run directory; for several, the current folder]',
      })
      .option('title', {
        type: 'string',
        coerce: once('title'),
        describe: 'title of the figure [default: name of the experiment]',
      })
      .option('json', json)
      .example('$0 plot results/mnist-mlp', 'redraw the figure of a run in its directory')
      .example('$0 plot results/sweeps/quickstart', 'the figure and the report of a sweep')
      .epilogue(
        manual('What cannot be read is named on stderr and left out.', {
          0: 'ok',
          1: 'a disk error',
          2: 'usage, or there is nothing to draw',
        }),
      )
      .example('$0 plot results/a results/b --out a-and-b', 'a-and-b.svg, .png and .html') as never,
  handler: plot,
};

/** Extensions of unsupported formats; other extensions may be part of a name. */
const otherFormats =
  /\.(pdf|e?ps|jpe?g|gif|webp|avif|tiff?|bmp|emf|wmf|svgz|htm|tex|pgf|tikz|docx?|pptx?|odg|csv|tsv|xlsx?|json|txt|md)$/i;

async function plot({ dirs, out, title, json }: PlotArguments): Promise<void> {
  const format = out === undefined || isFolder(out) ? undefined : otherFormats.exec(out)?.[0];
  if (format !== undefined) {
    throw new UsageError(
      `--out ${out}: cannot write figures as ${format}. Give NAME without extension, to write NAME.svg, NAME.png and NAME.html`,
    );
  }
  const [only, ...others] = dirs.map(String);
  if (others.length === 0 && out === undefined && isSweepDirectory(only)) {
    const { writeSweepReport } = await import('../../sweep/report/write-sweep-report.js');
    const files = await writeSweepReport(only, { title });
    if (json) printJson({ files, problems: [] });
    else print(files.join('\n'));
    return;
  }
  // Loaded here, so that --help does not wait for Vega.
  const { loadRuns } = await import('../../runs/run-directory.js');
  const { writeOverlay, writeReport } = await import('../../report/write-report.js');
  const { leftOut } = await import('../../report/curves.js');
  const { directories, runs, problems } = loadRuns(dirs.map(String));
  for (const problem of leftOut(runs)) problems.push(problem);
  const filled = directories.filter((directory) => directory.runs.length > 0);
  if (!runs.some(({ metrics }) => metrics.rows > 0)) {
    throw new UsageError(
      nothingFound('there is nothing to draw: no metrics.csv with a finished batch', problems),
    );
  }

  const inPlace = out === undefined && filled.length === 1;
  const files = inPlace
    ? await writeReport(filled[0], { title })
    : await writeOverlay(filled, basePath(out, filled), { title });
  if (json) {
    printJson({ files, problems });
    return;
  }
  warn(problems);
  print(files.join('\n'));
}

/** Path of an overlay without extension: `--out`, or the experiments' names in the current folder. */
function basePath(out: string | undefined, directories: readonly RunDirectory[]): string {
  const names = [
    ...new Set(directories.map(({ info, path }) => info?.name ?? basename(resolve(path)))),
  ];
  const words = names.map((name) => name.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[.-]+/, ''));
  const joined = names.length === 1 ? `${words[0]}-overlay` : words.join('-vs-');
  const name = (joined || 'overlay').slice(0, 100);
  if (out === undefined) return name;
  const goesInto = /[/\\]$/.test(out) || isFolder(out);
  return goesInto ? join(out, name) : out.replace(/\.(svg|png|html)$/i, '');
}
