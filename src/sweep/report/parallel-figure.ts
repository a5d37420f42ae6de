import type { TopLevelSpec } from 'vega-lite';
import {
  type FigureSpec,
  type FigureText,
  figureConfig,
  headingLayers,
} from '../../report/figure-spec.js';
import { measureText } from '../../report/figure-style.js';
import { largest } from '../../shared/statistics.js';
import type { SweepView } from './sweep-view.js';

const height = 400;
/** Minimum distance between axes. */
const leastSpacing = 170;
const titleSize = 13;

/**
 * Parallel coordinates: a vertical axis for each parameter and the metric, a line for each trial, darker
 * where it is better; the best is bold.
 */
export function parallelFigure(
  { trials, parameters, metric, goal }: SweepView,
  text: FigureText,
): FigureSpec {
  const axes = [...parameters, metric];
  const widest = largest(axes.map(({ title }) => measureText(title, titleSize)));
  const spacing = Math.max(leastSpacing, Math.ceil(widest) + 24);
  // The titles of the outer axes are centred on them.
  const padding = { left: Math.max(84, spacing / 2), right: spacing / 2, top: 132, bottom: 28 };
  const width = Math.max(620, spacing * (axes.length - 1));
  const x = (i: number) => (axes.length === 1 ? width / 2 : (i * width) / (axes.length - 1));
  const lines = trials.toReversed().map(({ trial, value }) => ({
    id: trial.id,
    isRetired: trial.retired,
    value,
    points: axes.flatMap((axis, i) => {
      const at = axis.position(axis === metric ? value : trial.overrides[axis.path]);
      return at === undefined ? [] : [{ x: x(i), y: at }];
    }),
  }));
  const valuesOf = (retired: boolean) =>
    lines
      .filter(({ isRetired }) => isRetired === retired)
      .flatMap(({ id, value, points }) => points.map((point) => ({ ...point, id, value })));
  const trialLayer = (values: ReturnType<typeof valuesOf>, style: object = {}) => ({
    data: { values },
    mark: {
      type: 'line',
      strokeWidth: 1.6,
      opacity: trials.length > 60 ? 0.55 : 0.85,
      ...style,
    },
    encoding: {
      detail: { field: 'id', type: 'nominal' },
      // Drawn in the order of the data: the best on top.
      color: {
        field: 'value',
        type: 'quantitative',
        scale: { scheme: 'viridis', reverse: goal === 'maximize' },
        legend: null,
      },
    },
  });
  const retired = valuesOf(true);
  const spec = {
    background: '#ffffff',
    width,
    height,
    encoding: {
      x: {
        field: 'x',
        type: 'quantitative',
        scale: { domain: [0, width], nice: false },
        axis: null,
      },
      y: { field: 'y', type: 'quantitative', scale: { domain: [0, 1], nice: false }, axis: null },
    },
    layer: [
      ...(retired.length > 0 ? [trialLayer(retired, { strokeDash: [5, 4] })] : []),
      trialLayer(valuesOf(false)),
      {
        data: { values: lines.at(-1)?.points ?? [] },
        mark: {
          type: 'line',
          color: '#D55E00',
          strokeWidth: 3.5,
          point: { size: 60, filled: true, color: '#D55E00' },
        },
      },
      ...axes.flatMap((axis, i) => axisLayers(axis.title, axis.ticks, x(i))),
      ...headingLayers(text),
    ],
    config: figureConfig,
  };
  return {
    spec: spec as unknown as TopLevelSpec,
    width: padding.left + width + padding.right,
    height: padding.top + height + padding.bottom,
    padding,
  };
}

function axisLayers(
  title: string,
  ticks: readonly { readonly at: number; readonly label: string }[],
  x: number,
) {
  const label = { type: 'text', fontSize: 12, color: '#333333' };
  // Labels cross lines: a white halo keeps them readable.
  const halo = { ...label, align: 'right', baseline: 'middle', dx: -6 };
  const values = ticks.map(({ at, label }) => ({ x, y: at, label }));
  const text = { text: { field: 'label', type: 'nominal' } };
  return [
    {
      data: { values: [{ x, y: 0, y2: 1 }] },
      mark: { type: 'rule', color: '#595959', strokeWidth: 1 },
      encoding: { y2: { field: 'y2' } },
    },
    {
      data: { values },
      mark: { ...halo, stroke: '#ffffff', strokeWidth: 4, strokeJoin: 'round' },
      encoding: text,
    },
    { data: { values }, mark: halo, encoding: text },
    {
      data: { values: [{ x, y: 1, label: title }] },
      mark: { ...label, fontSize: titleSize, align: 'center', baseline: 'bottom', dy: -12 },
      encoding: text,
    },
  ];
}
