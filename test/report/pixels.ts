import { Resvg } from '@resvg/resvg-js';

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Share of pixels in a rectangle (pixels of the picture) that are not white. */
  ink(left: number, top: number, right: number, bottom: number): number;
}

/** Decodes a PNG, by drawing it. */
export function decode(png: Buffer): Picture {
  const width = png.readUInt32BE(16);
  const height = png.readUInt32BE(20);
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    `<image width="${width}" height="${height}" href="data:image/png;base64,${png.toString('base64')}"/></svg>`;
  const { pixels } = new Resvg(svg, { font: { loadSystemFonts: false } }).render();
  return {
    width,
    height,
    ink(left, top, right, bottom) {
      let dark = 0;
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
          const at = 4 * (y * width + x);
          if (Math.min(pixels[at], pixels[at + 1], pixels[at + 2]) < 160) dark++;
        }
      }
      return dark / ((right - left) * (bottom - top));
    },
  };
}
