import { createRequire } from 'node:module';
import { Resvg } from '@resvg/resvg-js';
import { escapeHtml } from '../shared/text.js';

/** A font file; `face` names the font in a collection (.ttc). */
export interface FontFile {
  readonly path: string;
  readonly face?: string;
}

/** The font of a figure. Where it lacks a character, DejaVu Sans is used. */
export interface FigureFont {
  readonly family: string;
  readonly regular: FontFile;
  /** The regular one where the family has no bold one. */
  readonly bold: FontFile;
}

const require = createRequire(import.meta.url);
const bundled = (file: string) => require.resolve(`dejavu-fonts-ttf/ttf/${file}`);

/** The bundled font of the figures: without a matching one resvg silently draws no text. */
export const defaultFont: FigureFont = {
  family: 'DejaVu Sans',
  regular: { path: bundled('DejaVuSans.ttf') },
  bold: { path: bundled('DejaVuSans-Bold.ttf') },
};

/** Font options for resvg: only these files, the same picture on every machine. */
export const fontOptions = ({ family, regular, bold }: FigureFont) => ({
  loadSystemFonts: false,
  fontFiles: [
    ...new Set([regular, bold, defaultFont.regular, defaultFont.bold].map(({ path }) => path)),
  ],
  defaultFontFamily: family,
});

/** Width in pixels of one line of text. */
export type MeasureText = (text: string, fontSize: number) => number;

export const measureIn = (font: FigureFont): MeasureText => {
  const options = { font: fontOptions(font) };
  return (text, fontSize) => {
    const svg =
      `<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10" xml:space="preserve">` +
      `<text y="10" font-family="${escapeHtml(font.family)}" font-size="${fontSize}">${escapeHtml(text)}</text></svg>`;
    return new Resvg(svg, options).getBBox()?.width ?? 0;
  };
};
