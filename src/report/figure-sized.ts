import type { TopLevelSpec } from 'vega-lite';
import { UsageError } from '../errors.js';
import { largest } from '../shared/statistics.js';
import type { Axis, Fits, ValueAxis } from './axes.js';
import { type Curve, isAccuracy, type Measure } from './curves.js';
import {
  axisTitleOf,
  type FigureChoices,
  type FigureSpec,
  type FigureText,
  figureConfig,
  ink,
  labelledCurves,
  panelNamesOf,
  panelsOf,
  valueAxis,
} from './figure-spec.js';
import { labelFontSize, labelSpacing, type MeasureText, style } from './figure-style.js';
import { endMarker, type Layer, panelSpec, textLayer } from './panel-spec.js';

/** The size of a figure on paper or on a screen, and of its text. */
export interface FigureSize {
  readonly width: Length;
  /** By default what the panels need, which are wider than high. */
  readonly height?: Length;
  /** Size of all text, in points. */
  readonly fontSize: number;
}

/** A length as it was given: `84mm`. */
export interface Length {
  readonly value: number;
  readonly unit: Unit;
}

/** Points, 72 to the inch; pixels are those of CSS, 96 to the inch. */
const pointsPer = { mm: 72 / 25.4, cm: 72 / 2.54, in: 72, pt: 1, px: 0.75 } as const;
type Unit = keyof typeof pointsPer;
export const pointsOf = ({ value, unit }: Length): number => value * pointsPer[unit];

/** Distances in pixels of a drawing whose text has the size of a label, which is then scaled as a whole. */
const edge = 4;
const lineHeight = 1.3 * labelFontSize;
const swatch = 34;
const tickLength = 5;
const titlePadding = 6;
/** Below a panel: ticks, their labels and the title of the axis. */
const bottom = Math.ceil(tickLength + 2 + labelFontSize + titlePadding + lineHeight + edge);
/** Least size of a panel, without its axes. */
const least = { width: 110, height: 80 };
/** Two panels are side by side from this width on. */
const forTwo = 640;

/**
 * A figure of a given size, all of whose text has one size. Names of curves are at the line ends where they take less
 * than a third of the width, else in a legend above the panels. Two panels are side by side where each of them has
 * enough space, else one above the other.
 * @throws UsageError when the text leaves no space for the panels
 */
export function sizedFigureSpec(
  curves: readonly Curve[],
  measure: Measure,
  text: FigureText,
  measureText: MeasureText,
  choices: FigureChoices,
  size: FigureSize,
): FigureSpec {
  const names = panelNamesOf(measure, choices);
  const scale = size.fontSize / labelFontSize;
  const width = Math.round(pointsOf(size.width) / scale);
  // Of the same shape as the figure, although the width is rounded.
  const height =
    size.height && Number(((width * pointsOf(size.height)) / pointsOf(size.width)).toFixed(3));
  const widthOf = (label: string) => measureText(label, labelFontSize);

  const { labelled, others, remark } = labelledCurves(curves, measure);
  const columns = names.length > 1 && width >= forTwo ? 2 : 1;
  const rows = names.length / columns;
  const across = width / columns;
  const labels = labelled.map(nameOf);
  const labelWidth = largest(labels.map(widthOf)) + 28;
  const usual = Math.max(least.height, Math.round(0.55 * across));
  const atEnds = labelWidth < across / 3 && labels.length * labelSpacing <= 0.8 * usual;
  const right = Math.ceil(atEnds ? labelWidth : 26);

  const subtitle = [text.subtitle, remark].filter((part) => part).join(' · ');
  // A bold title is a tenth wider.
  const title = wrapped(text.title, (line) => 1.15 * widthOf(line), width - 2 * edge);
  const lines = [...title, ...wrapped(subtitle, widthOf, width - 2 * edge)];
  const entries = atEnds ? [] : legendEntries(labels, widthOf, width - 2 * edge);
  const legendTop = edge + lines.length * lineHeight;
  const legendRows = 1 + largest([-1, ...entries.map(({ row }) => row)]);
  const top = Math.ceil(legendTop + legendRows * labelSpacing + (legendRows > 0 ? 10 : 8));
  const free = height === undefined ? usual : (height - top) / rows - bottom;
  const panelHeight = Math.floor(free - (rows > 1 ? 8 : 0));
  if (size.height && panelHeight < least.height) {
    const needed = top + rows * (least.height + bottom + 8);
    throw tooSmall('height', size.height, needed * scale, size.fontSize);
  }

  const y = valueAxis(curves, measure, panelHeight, choices.log);
  const tickWidth = largest(y.labels.map(widthOf));
  const extent = Math.ceil(tickLength + 2 + tickWidth);
  const left = Math.ceil(extent + titlePadding + lineHeight + edge);
  const panelWidth = Math.floor(across - left - right);
  if (panelWidth < least.width) {
    const needed = columns * (left + right + least.width);
    throw tooSmall('width', size.width, needed * scale, size.fontSize);
  }
  const fits = ticksFit(panelWidth, widthOf, { left, right: right - edge });
  const settings = panelsOf(curves, measure, y, names, fits);
  const yTitle = shortened(measure, y, widthOf, panelHeight + 8);
  const [first, ...rest] = settings.map((panel) =>
    panelSpec(
      { labelled, others },
      y,
      yTitle,
      { width: panelWidth, height: panelHeight },
      { ...panel, title: undefined, labelOf: atEnds ? nameOf : undefined },
    ),
  );
  const heading = [
    ...lines.map((line, i) =>
      textLayer(line, {
        x: edge - left,
        y: edge + (i + 0.8) * lineHeight - top,
        fontSize: labelFontSize,
        color: ink,
        ...(i < title.length && { fontWeight: 'bold' as const }),
      }),
    ),
    ...entries.flatMap(({ label, x, row }, i) =>
      legendLayers(label, i, edge + x - left, legendTop + (row + 0.5) * labelSpacing - top),
    ),
  ];
  const all = [{ ...first, layer: [...first.layer, ...heading] }, ...rest];
  const spacing = columns === 2 ? left + right : bottom + 8;
  const spec: TopLevelSpec = {
    background: '#ffffff',
    bounds: 'flush',
    spacing,
    ...(columns === 2 ? { hconcat: all } : { vconcat: all }),
    config: {
      ...figureConfig,
      axisY: { minExtent: extent, maxExtent: extent },
      axis: {
        ...figureConfig?.axis,
        labelFontSize,
        titleFontSize: labelFontSize,
        titlePadding,
        labelColor: ink,
        gridColor: '#ececec',
      },
    },
  };
  const natural = top + rows * (panelHeight + bottom) + (rows - 1) * 8;
  const total = height ?? natural;
  const heightText = size.height ?? {
    value: (size.width.value * total) / width,
    unit: size.width.unit,
  };
  return {
    spec,
    width,
    height: total,
    padding: {
      left,
      right: width - left - columns * panelWidth - (columns - 1) * spacing,
      top,
      bottom,
    },
    paper: {
      width: lengthText(size.width),
      height: lengthText(heightText),
      points: pointsOf(size.width),
      dotsPerInch: size.width.unit === 'px' ? 192 : 600,
    },
  };
}

/** The name of a curve, and whether its seeds were cut off. */
function nameOf({ name, partial, seeds, unfinished }: Curve): string {
  const cut = partial.length > 0 ? ` (${seeds} of ${seeds + partial.length} seeds)` : '';
  return `${name}${cut}${unfinished ? ' (unfinished)' : ''}`;
}

const lengthText = ({ value, unit }: Length) => `${Number(value.toFixed(3))}${unit}`;

function tooSmall(
  side: 'width' | 'height',
  given: Length,
  points: number,
  fontSize: number,
): UsageError {
  const needed = Math.ceil(points / pointsPer[given.unit] / (given.unit === 'in' ? 0.1 : 1));
  const wanted = given.unit === 'in' ? needed / 10 : needed;
  return new UsageError(
    `--${side} ${lengthText(given)}: text of ${fontSize} pt leaves no space for the curves. ` +
      `Give at least ${wanted}${given.unit}, or a smaller --font-size`,
  );
}

/** Whether the labels of a horizontal axis neither touch each other nor leave the figure. */
const ticksFit =
  (
    width: number,
    widthOf: (label: string) => number,
    margin: { left: number; right: number },
  ): Fits =>
  ({ ticks, labels, position }: Axis) => {
    const spans = ticks.map((tick, i) => {
      const half = widthOf(labels[i]) / 2;
      return { start: width * position(tick) - half, end: width * position(tick) + half };
    });
    return spans.every(
      ({ start, end }, i) =>
        start >= (i === 0 ? -margin.left : spans[i - 1].end + 10) && end <= width + margin.right,
    );
  };

/** The longest title of the vertical axis that fits. */
function shortened(
  measure: Measure,
  y: ValueAxis,
  widthOf: (text: string) => number,
  most: number,
): string {
  const { title } = measure;
  const [name] = title.split(',');
  const log = y.scale === '' ? '' : isAccuracy(measure) ? ' (log error)' : ' (log)';
  const shorter = [axisTitleOf(measure, y), title + log, name + log, title, name];
  return shorter.find((text) => widthOf(text) <= most) ?? name;
}

/** Text in lines of at most a width, broken between words. */
function wrapped(text: string, widthOf: (line: string) => number, most: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ').filter((part) => part !== '')) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && widthOf(longer) <= most) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** Places of the entries of a legend, in rows from the left. */
function legendEntries(
  labels: readonly string[],
  widthOf: (label: string) => number,
  most: number,
): { label: string; x: number; row: number }[] {
  // Columns of one width are easier to read, where they do not take more rows.
  const cells = labels.map((label) => swatch + 6 + widthOf(label) + 14);
  const columns = Math.max(1, Math.floor((most + 14) / largest(cells)));
  let [x, row] = [0, 0];
  const flowing = labels.map((label, i) => {
    if (x > 0 && x + cells[i] - 14 > most) [x, row] = [0, row + 1];
    const entry = { label, x, row };
    x += cells[i];
    return entry;
  });
  if (Math.ceil(labels.length / columns) > row + 1) return flowing;
  return labels.map((label, i) => {
    return { label, x: (i % columns) * largest(cells), row: Math.floor(i / columns) };
  });
}

/** A line with its marker and the name of the curve. */
function legendLayers(label: string, i: number, x: number, y: number): Layer[] {
  const { color, dash } = style(i);
  const at = (value: number) => ({ value });
  return [
    {
      data: { values: [{}] },
      mark: { type: 'rule', color, strokeWidth: 2, strokeDash: dash },
      encoding: { x: at(x), x2: at(x + swatch), y: at(y) },
    },
    {
      data: { values: [{}] },
      mark: endMarker(style(i)),
      encoding: { x: at(x + swatch / 2), y: at(y) },
    },
    textLayer(label, {
      x: x + swatch + 6,
      y,
      fontSize: labelFontSize,
      color: ink,
      baseline: 'middle',
    }),
  ];
}
