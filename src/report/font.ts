import { createRequire } from 'node:module';
import { Resvg } from '@resvg/resvg-js';
import { escapeHtml } from '../shared/text.js';

/** The font of the figures, bundled: resvg silently draws no text at all without a matching one. */
export const fontFamily = 'DejaVu Sans';

/** Size of the labels at line ends, in pixels. */
export const labelFontSize = 13;
/** Least distance between two of them. */
export const labelSpacing = 18;

const require = createRequire(import.meta.url);

/** Font options for resvg: only the bundled files, the same picture on every machine. */
export const fontOptions = {
  loadSystemFonts: false,
  fontFiles: ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((file) =>
    require.resolve(`dejavu-fonts-ttf/ttf/${file}`),
  ),
  defaultFontFamily: fontFamily,
};

/** Width in pixels of one line of text. */
export type MeasureText = (text: string, fontSize: number) => number;

export const measureText: MeasureText = (text, fontSize) => {
  const content = escapeHtml(text);
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10" xml:space="preserve">` +
    `<text y="10" font-family="${fontFamily}" font-size="${fontSize}">${content}</text></svg>`;
  return new Resvg(svg, { font: fontOptions }).getBBox()?.width ?? 0;
};
