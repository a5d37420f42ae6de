import type { Axis, ValueAxis } from './axes.js';
import type { Curve, CurvePoint } from './curves.js';
import { labelFontSize, labelSpacing, type Style, spreadLabels, style } from './figure-style.js';

/** What one panel of the figure shows along its horizontal axis. */
export interface PanelSettings {
  /** Above the panel. */
  readonly title?: string;
  readonly axis: Axis;
  readonly axisTitle: string;
  readonly xOf: (point: CurvePoint) => number;
  /** Text at the end of a curve; absent: none. */
  readonly labelOf?: (curve: Curve) => string;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Vega-Lite unit specifications are built as plain data: their types do not narrow in a list. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Layer = any;

/**
 * One panel: curves without a label in grey; bands, partial runs, mean curves with a marker at their ends, and
 * labels beside them.
 * @param yTitle title of the vertical axis
 */
export function panelSpec(
  { labelled, others }: { readonly labelled: readonly Curve[]; readonly others: readonly Curve[] },
  y: ValueAxis,
  yTitle: string,
  size: Size,
  { title, axis: x, axisTitle, xOf, labelOf }: PanelSettings,
): Layer {
  const place = (point: CurvePoint) => ({
    x: xOf(point),
    y: y.coordinate(point.value),
    // A band may reach below what a logarithmic axis can show.
    low: aboveZero(y.coordinate(point.low)),
    high: y.coordinate(point.high),
  });
  const lowest = Math.min(...y.domain) / 2;
  const aboveZero = (value: number) => (y.type === 'log' ? Math.max(value, lowest) : value);
  // Points without a time cannot be placed on the time axis.
  const usable = (points: readonly CurvePoint[]) =>
    points
      .map(place)
      .filter((point) => Number.isFinite(point.x) && (x.type !== 'log' || point.x > 0));
  const drawn = labelled
    .map((curve, i) => ({ curve, style: style(i), points: usable(curve.points) }))
    .filter(({ points }) => points.length > 0);
  const below = drawn.toReversed(); // the first method is drawn last, on top

  const labelY = spreadLabels(
    drawn.map(({ points }) => size.height * (1 - y.position(points.at(-1)!.y))),
    labelSpacing,
    0,
    size.height,
  );
  const outside = (pixels: number) => x.value(1 + pixels / size.width);
  const markers = drawn.map(
    ({ curve, style, points }): Layer => ({
      data: { values: [{ ...points.at(-1)!, label: labelOf?.(curve) ?? curve.name }] },
      mark: endMarker(style),
    }),
  );
  const labels = drawn.flatMap(({ curve, style, points }, i): Layer[] => {
    if (labelOf === undefined) return [markers[i]];
    const end = points.at(-1)!;
    const height = y.value(1 - labelY[i] / size.height);
    const leader = [
      { x: end.x, y: end.y },
      { x: x.value(1), y: end.y },
      { x: outside(12), y: height },
    ];
    return [
      {
        data: { values: leader },
        mark: { type: 'line', color: style.color, strokeWidth: 1, strokeDash: [1, 2] },
      },
      markers[i],
      {
        data: { values: [{ x: outside(16), y: height, label: labelOf(curve) }] },
        mark: {
          type: 'text',
          align: 'left',
          baseline: 'middle',
          color: style.textColor,
          fontSize: labelFontSize,
        },
        encoding: { text: { field: 'label', type: 'nominal' } },
      },
    ];
  });

  return {
    ...size,
    encoding: {
      x: { ...channel('x', x), axis: { ...ticks(x), title: axisTitle, grid: false } },
      y: {
        ...channel('y', y),
        axis: { ...ticks(y), title: yTitle, domain: false },
      },
    },
    layer: [
      ...background(others.flatMap(({ points, partial }) => [points, ...partial].map(usable))),
      ...below.filter(({ curve }) => curve.seeds > 1).map(band),
      ...below.flatMap(({ curve, style }) =>
        curve.partial.map(usable).flatMap((points) => cutOff(points, style.color)),
      ),
      ...below
        .filter(({ curve }) => curve.hasMarkers)
        .map(({ points, style }) => ({ data: { values: points }, mark: endMarker(style) })),
      ...below.map(({ points, style }) => ({
        data: { values: points },
        mark: {
          type: 'line',
          clip: true,
          color: style.color,
          strokeWidth: 2,
          strokeDash: style.dash,
          strokeJoin: 'round',
        },
      })),
      ...labels,
      ...(title === undefined
        ? []
        : [textLayer(title, { x: 0, y: -18, fontSize: 14, color: '#222222' })]),
    ],
  };
}

/** The marker at the end of a curve. */
export const endMarker = ({ marker, color }: Style) => ({
  type: 'point',
  shape: marker,
  filled: true,
  size: 55,
  opacity: 1,
  color,
  stroke: '#ffffff',
  strokeWidth: 1,
});

interface Placed {
  readonly x: number;
  readonly y: number;
}

/** Around a single point, where an area has no width, a bar. */
function band({ points, style }: { points: readonly Placed[]; style: { color: string } }): Layer {
  const area = { type: 'area', clip: true, color: style.color, opacity: 0.18 };
  const bar = { type: 'rule', clip: true, color: style.color, opacity: 0.5, strokeWidth: 2 };
  return {
    data: { values: points },
    mark: points.length > 1 ? area : bar,
    encoding: { y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' } },
  };
}

/** Curves for comparison only: one layer for all, since Vega's time grows with the square of their number. */
function background(curves: readonly (readonly Placed[])[]): Layer[] {
  if (curves.length === 0) return [];
  const values = curves.flatMap((points, curve) => {
    const stride = Math.ceil(points.length / 60);
    return points
      .filter((_, i) => i % stride === 0 || i === points.length - 1)
      .map(({ x, y }) => ({ x, y, curve }));
  });
  return [
    {
      data: { values },
      mark: { type: 'line', clip: true, color: '#bdbdbd', strokeWidth: 0.8 },
      encoding: { detail: { field: 'curve', type: 'nominal' } },
    },
  ];
}

/** A run that stopped early: a thin line that ends in a cross. */
function cutOff(points: readonly Placed[], color: string): Layer[] {
  return [
    { data: { values: points }, mark: { type: 'line', clip: true, color, strokeWidth: 0.8 } },
    {
      data: { values: points.slice(-1) },
      mark: { type: 'point', shape: 'M-1,-1L1,1M-1,1L1,-1', color, size: 45, strokeWidth: 2 },
    },
  ];
}

/** A text at a fixed place: pixels from the panel's upper left corner. */
export function textLayer(
  text: string,
  {
    x,
    y,
    ...style
  }: {
    x: number;
    y: number;
    fontSize: number;
    color: string;
    fontWeight?: 'bold';
    baseline?: 'middle';
  },
): Layer {
  return {
    data: { values: [{ text }] },
    mark: { type: 'text', align: 'left', baseline: 'alphabetic', ...style },
    encoding: { x: { value: x }, y: { value: y }, text: { field: 'text', type: 'nominal' } },
  };
}

const channel = (field: string, { type, domain }: Axis) => ({
  field,
  type: 'quantitative',
  scale: { type, domain, nice: false, zero: false },
});

/** Ticks at given values with given labels. */
function ticks({ ticks, labels }: Axis) {
  const labelExpr = `${JSON.stringify(labels)}[indexof(${JSON.stringify(ticks)}, datum.value)]`;
  return { values: ticks, labelExpr, labelOverlap: false, labelFlush: false };
}
