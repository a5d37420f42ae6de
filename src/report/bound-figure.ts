import type { TopLevelSpec } from 'vega-lite';
import { largest, smallest } from '../shared/statistics.js';
import {
  type FigureSpec,
  type FigureText,
  figureConfig,
  headingLayers,
  headingWidth,
} from './figure-spec.js';
import {
  labelFontSize,
  labelSpacing,
  type MeasureText,
  type Style,
  spreadLabels,
  style,
} from './figure-style.js';
import { textLayer } from './panel-spec.js';

/** One line of the figure: a value for each lambda. */
export interface BoundCurve {
  readonly label: string;
  readonly points: readonly { readonly lambda: number; readonly value: number }[];
}

/** Margins of the panel, except the right one with the labels. */
const [left, top, bottom] = [84, 104, 56];
const panel = { width: 620, height: 380 };

/**
 * Objectives against lambda (log scale), with a label at every line end instead of a legend.
 * @param curves each with at least one point
 * @param ceiling largest value to show: curves are clipped there
 */
export function boundFigureSpec(
  curves: readonly BoundCurve[],
  ceiling: number,
  text: FigureText,
  measureText: MeasureText,
): FigureSpec {
  const lambdas = curves.flatMap(({ points }) => points.map(({ lambda }) => lambda));
  const [least, most] = [smallest(lambdas), largest(lambdas)];
  // A range of positive length for a single lambda.
  const x = least < most ? [least, most] : [least / 2, most * 2];
  const floor = Math.min(
    0,
    smallest(curves.flatMap(({ points }) => points.map(({ value }) => value))),
  );
  const y = [floor, ceiling];
  const height = (value: number) =>
    panel.height * (1 - (Math.min(value, ceiling) - floor) / (ceiling - floor));
  const ends = curves.map(({ points }) => height(points.at(-1)!.value));
  const labels = spreadLabels(ends, labelSpacing, 0, panel.height);
  const widest = largest(curves.map(({ label }) => measureText(label, labelFontSize)));
  const right = Math.ceil(Math.max(widest + 32, headingWidth(text, measureText) - panel.width));
  const spec = {
    background: '#ffffff',
    ...panel,
    encoding: {
      x: {
        field: 'lambda',
        type: 'quantitative',
        scale: { type: 'log', domain: x, nice: false },
        axis: { title: 'lambda, log scale', grid: false, values: decades(x), format: '~g' },
      },
      y: {
        field: 'value',
        type: 'quantitative',
        scale: { domain: y, nice: false, zero: false },
        axis: { title: 'objective', domain: false, tickCount: 6 },
      },
    },
    layer: [
      ...curves.map(({ points }, i) => line(points, style(i))).reverse(),
      ...curves.map(({ label }, i) => {
        const place = { x: panel.width + 14, y: labels[i], baseline: 'middle' } as const;
        return textLayer(label, { ...place, color: style(i).textColor, fontSize: labelFontSize });
      }),
      ...headingLayers(text),
    ],
    config: figureConfig,
  };
  return {
    spec: spec as TopLevelSpec,
    width: left + panel.width + right,
    height: top + panel.height + bottom,
    padding: { left, right, top, bottom },
  };
}

function line(values: BoundCurve['points'], { color, dash, marker }: Style) {
  return {
    data: { values },
    mark: {
      type: 'line',
      clip: true,
      color,
      strokeWidth: 2,
      strokeDash: dash,
      point: { shape: marker, filled: true, size: 45, opacity: 1, color },
    },
  };
}

function decades([start, end]: readonly number[]): number[] {
  const first = Math.ceil(Math.log10(start) - 1e-9);
  const count = Math.max(0, Math.floor(Math.log10(end) + 1e-9) - first + 1);
  return Array.from({ length: count }, (_, k) => Number((10 ** (first + k)).toPrecision(1)));
}
