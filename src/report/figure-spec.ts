import type { TopLevelSpec } from 'vega-lite';
import { largest } from '../shared/statistics.js';
import { duration, grouped, percent } from '../shared/text.js';
import { type Axis, batchAxis, errorAxis, timeAxis } from './axes.js';
import type { Curve, Measure } from './curves.js';
import { fontFamily, labelFontSize, labelSpacing, type MeasureText } from './figure-style.js';
import { type PanelSettings, panelSpec, textLayer } from './panel-spec.js';

export interface FigureText {
  readonly title: string;
  readonly subtitle: string;
}

/** A Vega-Lite specification and the size in pixels of what it draws, margins included. */
export interface FigureSpec {
  readonly spec: TopLevelSpec;
  readonly width: number;
  readonly height: number;
  readonly padding: Margins;
}

interface Margins {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** More curves cannot be distinguished: five dashes and seven colours make 35 styles. */
export const mostLabelled = 50;

/** The curves that a figure labels: all, or those with the highest final accuracy, in the order given. */
export function labelledCurves(curves: readonly Curve[]): {
  readonly labelled: readonly Curve[];
  /** Drawn in grey, without a label. */
  readonly others: readonly Curve[];
  /** Remark for the subtitle; undefined where all are labelled. */
  readonly remark?: string;
} {
  if (curves.length <= mostLabelled) return { labelled: curves, others: [] };
  const final = ({ points }: Curve) => points.at(-1)!.accuracy;
  const best = new Set(curves.toSorted((a, b) => final(b) - final(a)).slice(0, mostLabelled));
  return {
    labelled: curves.filter((curve) => best.has(curve)),
    others: curves.filter((curve) => !best.has(curve)),
    remark: `the ${mostLabelled} of ${grouped(curves.length)} curves with the highest final accuracy are labelled, the others grey`,
  };
}

const figureWidth = 1200;
const minimumPanelWidth = 280;
const minimumPanelHeight = 400;
/** Margin left of a panel for the vertical axis. */
const left = 84;

/**
 * The figure: two panels, accuracy against batches and against training time, with a label at every
 * line end instead of a legend; only the best of very many curves are labelled. It is 1200 pixels wide, or
 * more for very long labels.
 * @param curves at least one, each with at least one point
 */
export function figureSpec(
  curves: readonly Curve[],
  measure: Measure,
  text: FigureText,
  measureText: MeasureText,
): FigureSpec {
  const { labelled, others, remark } = labelledCurves(curves);
  const subtitle = [text.subtitle, remark].filter(Boolean).join(' · ');
  const panelHeight = Math.max(minimumPanelHeight, labelled.length * labelSpacing);
  const y = errorAxis(curves, panelHeight);
  const settings = panelsOf(curves, y);
  const labels = settings.flatMap(({ labelOf }) => labelled.map(labelOf));
  const right = 28 + largest(labels.map((label) => measureText(label, labelFontSize)));
  const free = (figureWidth - 2 * (left + right)) / 2;
  const heading = headingLayers({ title: text.title, subtitle });
  const textWidth = headingWidth({ title: text.title, subtitle }, measureText);
  const panelWidth = Math.ceil(
    Math.max(minimumPanelWidth, free, (textWidth - left - 2 * right) / 2),
  );
  const padding = { left, right: Math.ceil(right), top: 104, bottom: 56 };
  const size = { width: panelWidth, height: panelHeight };
  const panels = settings.map((panel) => panelSpec({ labelled, others }, y, measure, size, panel));
  const spec: TopLevelSpec = {
    background: '#ffffff',
    bounds: 'flush',
    spacing: left + padding.right,
    hconcat: [{ ...panels[0], layer: [...panels[0].layer, ...heading] }, panels[1]],
    config: figureConfig,
  };
  return {
    spec,
    width: 2 * (left + panelWidth + padding.right),
    height: padding.top + panelHeight + padding.bottom,
    padding,
  };
}

/** The panels, of the static figure and of the interactive one. */
export const panelsOf = (curves: readonly Curve[], y: Axis) =>
  [batchPanel(curves), timePanel(curves, y)] as const;

function batchPanel(curves: readonly Curve[]): PanelSettings {
  return {
    title: 'By number of batches',
    axis: batchAxis(curves),
    axisTitle: 'batches',
    xOf: ({ batch }) => batch,
    labelOf: ({ name, points, seeds, partial, unfinished }) => {
      const cut = partial.length > 0 ? `, ${seeds} of ${seeds + partial.length} seeds` : '';
      const end = unfinished ? ', unfinished' : '';
      return `${name} ${percent(points.at(-1)!.accuracy)} %${cut}${end}`;
    },
  };
}

function timePanel(curves: readonly Curve[], y: Axis): PanelSettings {
  const axis = timeAxis(curves, 1 - y.domain[0]);
  return {
    title: 'By training time (evaluation excluded)',
    axis,
    axisTitle: axis.type === 'log' ? 'seconds, log scale' : 'seconds',
    xOf: ({ seconds }) => seconds,
    labelOf: ({ name, points }) => `${name} ${duration(points.at(-1)!.seconds)}`,
  };
}

/**
 * Title and subtitle, as texts relative to the first panel's corner: the place of Vega's own titles depends
 * on its estimate of the extent of labels.
 */
export function headingLayers({ title, subtitle }: FigureText) {
  const x = 12 - left;
  return [
    textLayer(title, { x, y: -74, fontSize: titleFontSize, fontWeight: 'bold', color: ink }),
    textLayer(subtitle, { x, y: -50, fontSize: labelFontSize, color: quiet }),
  ];
}

/** Width of {@link headingLayers} in pixels. */
export const headingWidth = ({ title, subtitle }: FigureText, measureText: MeasureText): number =>
  Math.max(
    measureText(title, titleFontSize) * 1.15, // measured in the regular face, drawn in bold
    measureText(subtitle, labelFontSize),
  );

const titleFontSize = 19;
const ink = '#222222';
const quiet = '#595959';
export const figureConfig: TopLevelSpec['config'] = {
  font: fontFamily,
  aria: false,
  view: { stroke: null },
  // A fixed extent, so that the axis title does not overlap wide labels.
  axisY: { minExtent: 46, maxExtent: 46 },
  axis: {
    labelFontSize: 12,
    titleFontSize: 13,
    titleFontWeight: 'normal',
    labelColor: quiet,
    titleColor: ink,
    titlePadding: 10,
    gridColor: '#e7e7e7',
    domainColor: '#8c8c8c',
    tickColor: '#8c8c8c',
  },
};
