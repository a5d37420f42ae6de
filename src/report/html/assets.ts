import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../../shared/provenance.js';

const require = createRequire(import.meta.url);

const own = (name: string) =>
  readFileSync(join(packageRoot, 'assets', 'report', name), 'utf8').trim();
const uPlot = (name: string) => readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8').trim();

/** Files that become part of every page; pages request nothing. */
export const pageAssets = {
  style: () => own('style.css'),
  tables: () => own('tables.js'),
  /** The style and the scripts of the interactive figure. */
  chartStyle: () => uPlot('uPlot.min.css'),
  charts: () => [uPlot('uPlot.iife.min.js'), own('charts.js')],
} as const;
