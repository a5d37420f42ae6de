import { basename, resolve } from 'node:path';
import type { Run, RunDirectory } from '../runs/run-directory.js';
import type { RunSummary } from '../runs/run-json.js';
import { summarise } from '../runs/summary.js';
import { plural, printable } from '../shared/text.js';
import {
  type Band,
  buildCurve,
  type Curve,
  chooseMeasure,
  groupRuns,
  type Measure,
  measuredRows,
} from './curves.js';
import type { Settings } from './overlay.js';
import { settingCurves } from './setting-curves.js';
import { withVariant } from './table.js';

/** The content of a figure of runs. */
export interface Curves {
  readonly curves: readonly Curve[];
  readonly measure: Measure;
}

/**
 * The learning curves of runs, one a method. Runs without a single value are left out.
 * @param options.measure by default what {@link chooseMeasure} finds
 * @param options.settings of the run directories, for the names of curves
 * @returns undefined when no run holds any value
 */
export function curvesOf(
  runs: readonly Run[],
  options: {
    readonly measure?: Measure;
    readonly band?: Band;
    readonly settings?: Settings;
  } = {},
): Curves | undefined {
  const { measure = chooseMeasure(runs), band, settings } = options;
  if (measure === undefined) return undefined;
  const { against } = measure;
  if (against !== undefined) {
    const curves = settingCurves(runs, { ...measure, against }, settings ?? new Map(), band);
    return { curves, measure };
  }
  const drawn = runs.filter((run) => measuredRows(run, measure.column).length > 0);
  const curves = groupRuns(drawn, settings).map(({ name, runs }) =>
    buildCurve(withVariant(name, runs[0].variant), runs, measure, band),
  );
  return { curves, measure };
}

/** Summaries of runs, with their names in the figure. */
export function summariseRuns(runs: readonly Run[], settings?: Settings): RunSummary[] {
  return groupRuns(runs, settings).flatMap(({ name, runs }) =>
    runs.map(({ metrics, status, error, variant }) => ({
      ...summarise(metrics, status, error),
      method: name,
      variant,
    })),
  );
}

/** From run.json, else the name of the directory. */
export function experimentName({ info, path, runs }: RunDirectory): string {
  return info?.name ?? runs[0]?.experiment ?? printable(basename(resolve(path)));
}

/** e.g. `mnist · 784-300-10, relu · wasm · mean and range of 3 seeds`; values that differ are omitted. */
export function describeRuns(directories: readonly RunDirectory[], band: Band = 'range'): string {
  const shared = (read: (directory: RunDirectory) => string | undefined) => {
    const values = new Set(directories.map(read));
    return values.size === 1 ? [...values][0] : undefined;
  };
  const seedsOf = new Map<string, Set<number>>();
  // A run that never began is not in the figures.
  const begun = directories.flatMap(({ runs }) => runs.filter(({ metrics }) => metrics.rows > 0));
  for (const { label, seed } of begun) {
    seedsOf.set(label, (seedsOf.get(label) ?? new Set()).add(seed));
  }
  const counts = [...seedsOf.values()].map(({ size }) => size);
  const most = Math.max(0, ...counts);
  const fewest = Math.min(most, ...counts);
  const seeds = fewest < most ? `${fewest} to ${plural(most, 'seed')}` : plural(most, 'seed');
  return [
    shared(({ info }) => info?.dataset),
    shared(({ info }) => {
      if (info?.layers === undefined) return undefined;
      return [info.layers, ...new Set(info.activations)].join(', ');
    }),
    shared(({ info }) => info?.backend && `${info.backend} backend`),
    most > 1 ? `${bandNames[band]} of ${seeds}` : seeds,
  ]
    .filter((part) => part !== undefined && part !== '')
    .join(' · ');
}

const bandNames: Readonly<Record<Band, string>> = {
  range: 'mean and range',
  interval: 'mean and 95 % interval',
  none: 'mean',
};
