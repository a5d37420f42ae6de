import type { TopLevelSpec } from 'vega-lite';
import { largest } from '../shared/statistics.js';
import { duration, grouped, inPercent } from '../shared/text.js';
import {
  batchAxis,
  epochAxis,
  errorAxis,
  type Fits,
  linearAccuracyAxis,
  plainAxis,
  settingAxis,
  timeAxis,
  type ValueAxis,
  valueText,
} from './axes.js';
import { type Curve, type CurvePoint, isAccuracy, type Measure } from './curves.js';
import { labelFontSize, labelSpacing, type MeasureText } from './figure-style.js';
import { defaultFont } from './font.js';
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
  /** Its size on paper; absent: its pixels are those of a screen. */
  readonly paper?: PaperSize;
}

/** Lengths as in an SVG, with their unit. */
export interface PaperSize {
  readonly width: string;
  readonly height: string;
  /** The width in points, 72 to the inch. */
  readonly points: number;
  /** Of its PNG. */
  readonly dotsPerInch: number;
}

interface Margins {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** More curves cannot be distinguished: five dashes and seven colours make 35 styles. */
export const mostLabelled = 50;

/**
 * The curves that a figure labels: all, or those with the best final values, in the order given. Best are
 * the highest accuracies, and the lowest of all other quantities.
 */
export function labelledCurves(
  curves: readonly Curve[],
  measure: Measure,
): {
  readonly labelled: readonly Curve[];
  /** Drawn in grey, without a label. */
  readonly others: readonly Curve[];
  /** Remark for the subtitle; undefined where all are labelled. */
  readonly remark?: string;
} {
  if (curves.length <= mostLabelled) return { labelled: curves, others: [] };
  const sign = isAccuracy(measure) ? 1 : -1;
  const final = ({ points }: Curve) => sign * points.at(-1)!.value;
  const best = new Set(curves.toSorted((a, b) => final(b) - final(a)).slice(0, mostLabelled));
  const what = isAccuracy(measure) ? 'highest final accuracy' : `lowest final ${measure.title}`;
  return {
    labelled: curves.filter((curve) => best.has(curve)),
    others: curves.filter((curve) => !best.has(curve)),
    remark: `the ${mostLabelled} of ${grouped(curves.length)} curves with the ${what} are labelled, the others grey`,
  };
}

const defaultPanelWidth = 600;
const minimumPanelWidth = 280;
const minimumPanelHeight = 400;
/** Margin left of a panel for the vertical axis. */
const left = 84;

/** The horizontal axes to choose from. */
export const panelNames = ['batches', 'time', 'epochs', 'setting'] as const;
export type PanelName = (typeof panelNames)[number];

export interface FigureChoices {
  /** From left to right; by default batches and time, or the setting of the measure. */
  readonly panels?: readonly PanelName[];
  /** A logarithmic vertical axis; by default only for accuracies over time, whose errors it shows. */
  readonly log?: boolean;
}

/**
 * The figure: one panel or two, by default accuracy against batches and against training time, with a label at
 * every line end instead of a legend; only the best of very many curves are labelled. A panel takes 600 pixels,
 * or more for very long labels.
 * @param curves at least one, each with at least one point
 */
export function figureSpec(
  curves: readonly Curve[],
  measure: Measure,
  text: FigureText,
  measureText: MeasureText,
  choices: FigureChoices = {},
): FigureSpec {
  const { labelled, others, remark } = labelledCurves(curves, measure);
  const subtitle = [text.subtitle, remark].filter(Boolean).join(' · ');
  const panelHeight = Math.max(minimumPanelHeight, labelled.length * labelSpacing);
  const y = valueAxis(curves, measure, panelHeight, choices.log);
  const settings = panelsOf(curves, measure, y, panelNamesOf(measure, choices));
  const labels = settings.flatMap(({ labelOf }) => labelled.map(labelOf));
  const right = 28 + largest(labels.map((label) => measureText(label, labelFontSize)));
  const count = settings.length;
  const free = defaultPanelWidth - (left + right);
  const heading = headingLayers({ title: text.title, subtitle });
  const textWidth = headingWidth({ title: text.title, subtitle }, measureText);
  const forHeading = (textWidth - (count - 1) * left - count * right) / count;
  const panelWidth = Math.ceil(Math.max(minimumPanelWidth, free, forHeading));
  const padding = { left, right: Math.ceil(right), top: 104, bottom: 56 };
  const size = { width: panelWidth, height: panelHeight };
  const [first, ...rest] = settings.map((panel) =>
    panelSpec({ labelled, others }, y, axisTitleOf(measure, y), size, panel),
  );
  const spec: TopLevelSpec = {
    background: '#ffffff',
    bounds: 'flush',
    spacing: left + padding.right,
    hconcat: [{ ...first, layer: [...first.layer, ...heading] }, ...rest],
    config: figureConfig,
  };
  return {
    spec,
    width: count * (left + panelWidth + padding.right),
    height: padding.top + panelHeight + padding.bottom,
    padding,
  };
}

/** The vertical axis: for accuracies the logarithm of the error, if not asked for otherwise. */
export function valueAxis(
  curves: readonly Curve[],
  measure: Measure,
  height: number,
  log = isAccuracy(measure) && measure.against === undefined,
): ValueAxis {
  if (!isAccuracy(measure)) return plainAxis(curves, { log, height });
  return log ? errorAxis(curves, height) : linearAccuracyAxis(curves, height);
}

export const axisTitleOf = ({ title }: Measure, { scale }: ValueAxis): string =>
  scale === '' ? title : `${title} (${scale})`;

export const panelNamesOf = (
  { against }: Measure,
  { panels = against === undefined ? ['batches', 'time'] : ['setting'] }: FigureChoices,
): readonly PanelName[] => panels;

/** The panels, of the static figure and of the interactive one. */
export const panelsOf = (
  curves: readonly Curve[],
  measure: Measure,
  y: ValueAxis,
  names: readonly PanelName[] = ['batches', 'time'],
  fits?: Fits,
): readonly Required<PanelSettings>[] =>
  names.map((name) => panelKinds[name](curves, measure, y, fits));

type PanelOf = (
  curves: readonly Curve[],
  measure: Measure,
  y: ValueAxis,
  fits?: Fits,
) => Required<PanelSettings>;

const panelKinds: Readonly<Record<PanelName, PanelOf>> = {
  batches: (curves, measure, _, fits) => ({
    title: 'By number of batches',
    axis: batchAxis(curves, fits),
    axisTitle: 'batches',
    xOf: ({ batch }) => batch,
    labelOf: finalLabel(measure),
  }),
  epochs: (curves, measure, _, fits) => ({
    title: 'By number of epochs',
    axis: epochAxis(curves, fits),
    axisTitle: 'epochs',
    xOf: ({ epoch }) => epoch,
    labelOf: finalLabel(measure),
  }),
  setting: (curves, { against = '' }, _, fits) => {
    const axis = settingAxis(curves, fits);
    return {
      title: 'Final values',
      axis,
      axisTitle: axis.type === 'log' ? `${against}, log scale` : against,
      xOf: ({ batch }) => batch,
      labelOf: ({ name }) => name,
    };
  },
  time: (curves, _, y, fits) => {
    const isVisible = ({ value }: CurvePoint) => y.position(y.coordinate(value)) >= -1e-9;
    const axis = timeAxis(curves, isVisible, fits);
    return {
      title: 'By training time (evaluation excluded)',
      axis,
      axisTitle: axis.type === 'log' ? 'seconds, log scale' : 'seconds',
      xOf: ({ seconds }) => seconds,
      labelOf: ({ name, points }) => `${name} ${duration(points.at(-1)!.seconds)}`,
    };
  },
};

/** `fenchel 98.65 %, 2 of 3 seeds` */
const finalLabel =
  (measure: Measure) =>
  ({ name, points, seeds, partial, unfinished }: Curve): string => {
    const { value } = points.at(-1)!;
    const cut = partial.length > 0 ? `, ${seeds} of ${seeds + partial.length} seeds` : '';
    const end = unfinished ? ', unfinished' : '';
    return `${name} ${isAccuracy(measure) ? inPercent(value) : valueText(value)}${cut}${end}`;
  };

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
export const ink = '#222222';
const quiet = '#595959';

export const figureConfig: TopLevelSpec['config'] = {
  font: defaultFont.family,
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
