import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../errors.js';
import { writeFileAtomic } from '../../files/atomic.js';
import { readOptional } from '../../files/read.js';
import { renderFigure } from '../../report/figure.js';
import { plural, printable } from '../../shared/text.js';
import { sweepPaths } from '../paths.js';
import { bestTrial, ranked, type SweepStatus, sweepStatus } from '../status.js';
import { heatMap, isGridOfTwo, retiredMark } from './heat-map.js';
import { parallelFigure } from './parallel-figure.js';
import { sweepPage } from './sweep-page.js';
import { viewOf } from './sweep-view.js';

/**
 * Draws what a sweep found: figure.svg and figure.png (a heat map of two parameters, else parallel
 * coordinates; none before a trial has completed), and report.html with a table of all trials.
 * @returns the paths written, the figure first
 * @throws UsageError when the directory holds no sweep, DiskError when it cannot be written to
 */
export async function writeSweepReport(
  directory: string,
  options: { readonly title?: string } = {},
): Promise<string[]> {
  const status = sweepStatus(directory);
  if (status === undefined) throw new UsageError(`${directory} holds no sweep`);
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
  const best = ranked(status);
  const valued = new Set(best.map(({ trial }) => trial.id));
  const html = sweepPage({
    title,
    subtitle,
    svg,
    status,
    best: bestTrial(status)?.trial.id,
    trials: [...best, ...status.trials.filter(({ trial }) => !valued.has(trial.id))],
    hasReport: (id) => existsSync(join(sweepPaths(directory).trial(id), 'report.html')),
    file: readOptional(sweepPaths(directory).file),
  });
  const page = join(directory, 'report.html');
  writeFileAtomic(page, html);
  return [...paths, page];
}

/** `grid of 6 trials · best validation accuracy in orange · 1 failed` */
function describe({ manifest, trials, counts }: SweepStatus, valued: number): string {
  const current = trials.filter(({ trial }) => !trial.retired).length;
  const { column, goal } = manifest.metric;
  const word = goal === 'maximize' ? 'highest' : 'lowest';
  return [
    `${manifest.search === 'grid' ? 'grid' : 'random search'} of ${plural(current, 'trial')}`,
    ...(valued > 0 ? [`${word} ${column.replaceAll('_', ' ')} in orange`] : []),
    ...(counts.FAILED > 0 ? [`${counts.FAILED} failed`] : []),
    ...(current - valued - counts.FAILED > 0
      ? [`${current - valued - counts.FAILED} not done`]
      : []),
  ].join(' · ');
}
