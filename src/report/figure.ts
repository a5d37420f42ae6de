import { renderAsync } from '@resvg/resvg-js';
import { parse, resetSVGDefIds, View } from 'vega';
import { compile } from 'vega-lite';
import { escapeHtml } from '../shared/text.js';
import type { Curves } from './content.js';
import { thinned } from './curves.js';
import { type FigureSize, sizedFigureSpec } from './figure-sized.js';
import {
  type FigureChoices,
  type FigureSpec,
  type FigureText,
  figureSpec,
  type PaperSize,
  panelNamesOf,
} from './figure-spec.js';
import { defaultFont, type FigureFont, fontOptions, measureIn } from './font.js';

export interface Figure {
  readonly svg: string;
  /** Twice the size of the SVG in pixels, or 600 dots per inch on paper. */
  readonly png: Buffer;
  readonly pdf?: Buffer;
}

/** How a figure is drawn. */
export interface FigureStyle extends FigureChoices {
  /** By default as large as its labels require, in pixels of a screen. */
  readonly size?: FigureSize;
  readonly font?: FigureFont;
  /** Whether to make a PDF too. */
  readonly pdf?: boolean;
}

/** Draws learning curves: one line a method, the mean over its seeds, with a band. */
export async function drawFigure(
  { curves, measure }: Curves,
  text: FigureText,
  style: FigureStyle = {},
): Promise<Figure> {
  const { size, font = defaultFont } = style;
  const thin = curves.map(thinned);
  const measureText = measureIn(font);
  const figure = size
    ? sizedFigureSpec(thin, measure, text, measureText, style, size)
    : figureSpec(thin, measure, text, measureText, style);
  const titles: Partial<Record<string, string>> = {
    time: 'training time',
    setting: measure.against,
  };
  const against = panelNamesOf(measure, style)
    .map((name) => titles[name] ?? name)
    .join(' and ');
  const description = `${measure.title} against ${against}`;
  return renderFigure(figure, text.title ? `${text.title}: ${description}` : description, style);
}

/** Draws a specification of known size. */
export async function renderFigure(
  figure: FigureSpec,
  description: string,
  { font = defaultFont, pdf = false }: Pick<FigureStyle, 'font' | 'pdf'> = {},
): Promise<Figure> {
  const spec = { ...figure.spec, config: { ...figure.spec.config, font: font.family } };
  const compiled = compile(spec as typeof figure.spec, { logger: silent }).spec;
  // Vega's own size is wrong: without a canvas it only estimates the width of text.
  const { left, right, top, bottom } = figure.padding;
  const view = new View(
    parse({
      ...compiled,
      autosize: 'none',
      padding: figure.padding,
      width: figure.width - left - right,
      height: figure.height - top - bottom,
    }),
    { renderer: 'none', logger: silent },
  );
  resetSVGDefIds(); // else a second drawing of the same figure in this process has other ids
  const svg = describe(await view.toSVG(), description, figure, font);
  // A pixel of the screen is 3/4 point.
  const points = figure.paper?.points ?? 0.75 * figure.width;
  const drawn = pdf
    ? await (await import('./pdf.js')).toPdf(view, figure, points, font, description)
    : undefined;
  view.finalize();
  return { svg, png: await toPng(svg, font, figure.paper), pdf: drawn };
}

async function toPng(svg: string, font: FigureFont, paper?: PaperSize): Promise<Buffer> {
  const fitTo = paper
    ? ({ mode: 'width', value: pixelsOf(paper) } as const)
    : ({ mode: 'zoom', value: 2 } as const);
  // Asynchronous: its pixels are only freed between turns of the event loop.
  const image = await renderAsync(svg, { font: fontOptions(font), fitTo });
  return image.asPng();
}

const pixelsOf = ({ points, dotsPerInch }: PaperSize) =>
  Math.round(Math.min(mostPixels, (points / 72) * dotsPerInch));

const mostPixels = 10_000;

/** Adds a title for screen readers, the size on paper, and fallback fonts of similar width. */
function describe(
  svg: string,
  description: string,
  { width, height, paper }: FigureSpec,
  { family }: FigureFont,
): string {
  const title = `<title>${escapeHtml(description)}</title>`;
  const named = svg.replace(/^<svg([^>]*)>/, (_, given: string) => {
    if (paper === undefined) return `<svg${given} role="img">${title}`;
    const others = given.replace(/ (width|height|viewBox)="[^"]*"/g, '');
    const size = `width="${paper.width}" height="${paper.height}" viewBox="0 0 ${width} ${height}"`;
    return `<svg${others} ${size} role="img">${title}`;
  });
  const names = [...new Set([family, defaultFont.family, 'Verdana', 'sans-serif'])].join(', ');
  return named.replaceAll(
    `font-family="${escapeHtml(family)}"`,
    `font-family="${escapeHtml(names)}"`,
  );
}

/** Vega's log is of no use to users; a specification that does not compile still throws. */
const silent = {
  level: () => silent,
  error: () => silent,
  warn: () => silent,
  info: () => silent,
  debug: () => silent,
};
