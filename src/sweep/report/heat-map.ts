import type { TopLevelSpec } from 'vega-lite';
import {
  type FigureSpec,
  type FigureText,
  figureConfig,
  headingLayers,
} from '../../report/figure-spec.js';
import { average, largest, smallest } from '../../shared/statistics.js';
import type { SweepView } from './sweep-view.js';
import { metricText, textOf } from './sweep-view.js';

const padding = { left: 120, right: 60, top: 104, bottom: 60 };
const cell = { width: 92, height: 44 };
/** Maximum number of values of each parameter. */
const mostValues = 14;

/** Whether a sweep has two parameters, and trials for at least 70 % of the pairs of values. */
export function isGridOfTwo({ parameters, trials }: SweepView): boolean {
  if (parameters.length !== 2) return false;
  const [columns, rows] = parameters.map(({ path }) => valuesOf(trials, path).length);
  if (Math.max(columns, rows) > mostValues) return false;
  const cells = new Set(trials.map(({ trial }) => cellOf(trial.overrides, parameters)));
  return cells.size >= 0.7 * columns * rows;
}

/** Marks cells whose trials are all retired. */
export const retiredMark = '†';

/** The metric over two parameters: a cell for each pair of values, darker where it is better. */
export function heatMap(
  { trials, parameters, metric, goal }: SweepView,
  text: FigureText,
): FigureSpec {
  const [across, down] = parameters;
  const [columns, rows] = [valuesOf(trials, across.path), valuesOf(trials, down.path)];
  const groups = new Map<string, SweepView['trials'][number][]>();
  for (const report of trials) {
    const key = cellOf(report.trial.overrides, parameters);
    groups.set(key, [...(groups.get(key) ?? []), report]);
  }
  const best = trials[0].trial.overrides;
  const all = trials.map(({ value }) => value);
  const [least, most] = [smallest(all), largest(all)];
  const cells = [...groups.values()].map((group) => {
    const { overrides } = group[0].trial;
    const current = group.filter(({ trial }) => !trial.retired);
    const value = average((current.length > 0 ? current : group).map((trial) => trial.value));
    const share = most > least ? (value - least) / (most - least) : 1;
    return {
      x: textOf(overrides[across.path]),
      y: textOf(overrides[down.path]),
      value,
      label: `${metricText(metric.path, value)}${current.length > 0 ? '' : ` ${retiredMark}`}`,
      isDark: (goal === 'maximize' ? share : 1 - share) > 0.45,
      isBest: cellOf(overrides, parameters) === cellOf(best, parameters),
    };
  });
  const size = {
    width: Math.max(480, columns.length * cell.width),
    height: Math.max(160, rows.length * cell.height),
  };
  const spec = {
    background: '#ffffff',
    ...size,
    data: { values: cells },
    encoding: {
      x: {
        field: 'x',
        type: 'ordinal',
        sort: columns,
        axis: { title: across.title, labelAngle: 0, domain: false, ticks: false },
      },
      y: {
        field: 'y',
        type: 'ordinal',
        sort: rows.toReversed(),
        axis: { title: down.title, domain: false, ticks: false },
      },
    },
    layer: [
      {
        mark: { type: 'rect', stroke: '#ffffff', strokeWidth: 2 },
        encoding: {
          color: {
            field: 'value',
            type: 'quantitative',
            scale: { scheme: 'viridis', reverse: goal === 'maximize' },
            legend: null,
          },
        },
      },
      {
        transform: [{ filter: 'datum.isBest' }],
        mark: { type: 'rect', filled: false, stroke: '#D55E00', strokeWidth: 3.5 },
      },
      {
        mark: { type: 'text', fontSize: 13 },
        encoding: {
          text: { field: 'label', type: 'nominal' },
          color: { condition: { test: 'datum.isDark', value: '#ffffff' }, value: '#222222' },
        },
      },
      ...headingLayers(text),
    ],
    config: figureConfig,
  };
  return {
    spec: spec as unknown as TopLevelSpec,
    width: padding.left + size.width + padding.right,
    height: padding.top + size.height + padding.bottom,
    padding,
  };
}

function valuesOf(trials: SweepView['trials'], path: string): string[] {
  const values = [
    ...new Map(
      trials.map(({ trial }) => [textOf(trial.overrides[path]), trial.overrides[path]]),
    ).values(),
  ];
  const isNumeric = values.every((value) => typeof value === 'number');
  return (isNumeric ? (values as number[]).sort((a, b) => a - b) : values).map(textOf);
}

const cellOf = (
  overrides: Readonly<Record<string, unknown>>,
  parameters: SweepView['parameters'],
) => JSON.stringify(parameters.map(({ path }) => overrides[path]));
