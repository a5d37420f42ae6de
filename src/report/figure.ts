import { renderAsync } from '@resvg/resvg-js';
import { parse, resetSVGDefIds, View } from 'vega';
import { compile } from 'vega-lite';
import { escapeHtml } from '../shared/text.js';
import type { Curves } from './content.js';
import { type FigureSpec, type FigureText, figureSpec } from './figure-spec.js';
import { fontOptions, measureText } from './figure-style.js';

export interface Figure {
  readonly svg: string;
  /** Twice the size of the SVG in pixels, for print and dense screens. */
  readonly png: Buffer;
}

/**
 * Accuracy against batches and against training time: one line a method, mean over its seeds, with
 * the range of the seeds as a band.
 */
export async function drawFigure({ curves, measure }: Curves, text: FigureText): Promise<Figure> {
  const figure = figureSpec(curves, measure, text, measureText);
  const description = `${text.title}: ${measure.title} against batches and training time`;
  return renderFigure(figure, description);
}

/** Draws a specification of known size. */
export async function renderFigure(figure: FigureSpec, description: string): Promise<Figure> {
  const compiled = compile(figure.spec, { logger: silent }).spec;
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
  const svg = describe(await view.toSVG(), description);
  view.finalize();
  return { svg, png: await toPng(svg) };
}

/** Draws an SVG with the bundled font. */
async function toPng(svg: string): Promise<Buffer> {
  // Asynchronous: its pixels are only freed between turns of the event loop.
  const image = await renderAsync(svg, { font: fontOptions, fitTo: { mode: 'zoom', value: 2 } });
  return image.asPng();
}

/** Adds a title for screen readers, and fallback fonts of similar width. */
function describe(svg: string, description: string): string {
  const named = svg.replace(
    /^<svg([^>]*)>/,
    (_, attributes) => `<svg${attributes} role="img"><title>${escapeHtml(description)}</title>`,
  );
  return named.replaceAll(
    'font-family="DejaVu Sans"',
    'font-family="DejaVu Sans, Verdana, sans-serif"',
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
