import { type Font, openSync } from 'fontkit';
import PDFDocument from 'pdfkit';
import type { View } from 'vega';
import { defaultFont, type FigureFont, type FontFile } from './font.js';

/**
 * Draws a view as one PDF page: lines as paths, text as text in embedded fonts. The same view gives the same bytes.
 * @param size of the drawing in pixels
 * @param points width of the page, 72 to the inch
 */
export async function toPdf(
  view: View,
  size: { readonly width: number; readonly height: number },
  points: number,
  font: FigureFont,
  title: string,
): Promise<Buffer> {
  const scale = points / size.width;
  const document = new PDFDocument({
    size: [points, size.height * scale],
    margin: 0,
    font: null as never, // else it loads Helvetica, which no figure uses
    // The time of creation would be different in every file; its identifier is computed from these values.
    info: { Title: title, Creator: 'fln plot', CreationDate: new Date(0), ModDate: new Date(0) },
  });
  const chunks: Buffer[] = [];
  const done = new Promise<Buffer>((resolve, reject) => {
    document.on('data', (chunk: Buffer) => chunks.push(chunk));
    document.on('end', () => resolve(Buffer.concat(chunks)));
    document.on('error', reject);
  });
  const context = new PdfContext(document, font);
  document.scale(scale);
  // Vega has one renderer for all contexts of this interface.
  await view.toCanvas(1, { externalContext: context });
  document.end();
  return done;
}

/** [a, b, c, d, e, f]: (x, y) is drawn at (a x + c y + e, b x + d y + f). */
type Matrix = readonly [number, number, number, number, number, number];

/** What Vega's canvas renderer uses of CanvasRenderingContext2D. */
class PdfContext {
  fillStyle = '#000';
  strokeStyle = '#000';
  globalAlpha = 1;
  lineWidth = 1;
  lineCap = 'butt';
  lineJoin = 'miter';
  miterLimit = 10;
  lineDashOffset = 0;
  font = '';
  textAlign = 'left';
  textBaseline = 'alphabetic';
  globalCompositeOperation = 'source-over';
  readonly pixelRatio = 1;
  #dash: readonly number[] = [];
  #path: string[] = [];
  #matrix: Matrix = [1, 0, 0, 1, 0, 0];
  readonly #saved: Matrix[] = [];
  readonly #fonts: Record<'regular' | 'bold', readonly EmbeddedFont[]>;

  constructor(
    private readonly pdf: PDFKit.PDFDocument,
    font: FigureFont,
  ) {
    this.#fonts = {
      regular: [embedded(font.regular), embedded(defaultFont.regular)],
      bold: [embedded(font.bold), embedded(defaultFont.bold)],
    };
  }

  save(): void {
    this.#saved.push(this.#matrix);
    this.pdf.save();
  }
  restore(): void {
    this.#matrix = this.#saved.pop() ?? this.#matrix;
    this.pdf.restore();
  }
  scale(x: number, y: number): void {
    this.#transform([x, 0, 0, y, 0, 0]);
  }
  translate(x: number, y: number): void {
    this.#transform([1, 0, 0, 1, x, y]);
  }
  rotate(angle: number): void {
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    this.#transform([c, s, -s, c, 0, 0]);
  }
  #transform([a, b, c, d, e, f]: Matrix): void {
    const [A, B, C, D, E, F] = this.#matrix;
    this.#matrix = [
      A * a + C * b,
      B * a + D * b,
      A * c + C * d,
      B * c + D * d,
      A * e + C * f + E,
      B * e + D * f + F,
    ];
  }

  beginPath(): void {
    this.#path = [];
  }
  closePath(): void {
    this.#path.push('Z');
  }
  moveTo(...point: number[]): void {
    this.#add('M', point);
  }
  lineTo(...point: number[]): void {
    this.#add('L', point);
  }
  bezierCurveTo(...points: number[]): void {
    this.#add('C', points);
  }
  quadraticCurveTo(...points: number[]): void {
    this.#add('Q', points);
  }
  rect(x: number, y: number, width: number, height: number): void {
    this.moveTo(x, y);
    this.lineTo(x + width, y);
    this.lineTo(x + width, y + height);
    this.lineTo(x, y + height);
    this.closePath();
  }
  /** Clockwise, as Bezier curves of at most a quarter of a circle each. */
  arc(x: number, y: number, r: number, start: number, end: number): void {
    const turn = Math.min(end - start, 2 * Math.PI);
    const parts = Math.max(1, Math.ceil(turn / (Math.PI / 2) - 1e-9));
    const step = turn / parts;
    const handle = (4 / 3) * Math.tan(step / 4);
    const [first, ...rest] = Array.from({ length: parts + 1 }, (_, i) => {
      const [c, s] = [Math.cos(start + i * step), Math.sin(start + i * step)];
      const [dx, dy] = [-s * handle, c * handle];
      const at = (along: number) => [x + r * (c + along * dx), y + r * (s + along * dy)];
      return { before: at(-1), at: at(0), after: at(1) };
    });
    this.#add(this.#path.length === 0 ? 'M' : 'L', first.at);
    let from = first;
    for (const to of rest) {
      this.#add('C', [...from.after, ...to.before, ...to.at]);
      from = to;
    }
  }
  /** Points of a path are transformed when they are added, not when it is drawn. */
  #add(command: string, points: readonly number[]): void {
    const [a, b, c, d, e, f] = this.#matrix;
    const moved: number[] = [];
    for (let i = 0; i < points.length; i += 2) {
      const [x, y] = [points[i], points[i + 1]];
      moved.push(a * x + c * y + e, b * x + d * y + f);
    }
    this.#path.push(`${command}${moved.map((value) => Number(value.toFixed(3))).join(' ')}`);
  }

  clip(): void {
    this.pdf.path(this.#path.join('')).clip();
  }
  fill(): void {
    this.pdf.path(this.#path.join('')).fillColor(this.fillStyle, this.globalAlpha).fill();
  }
  fillRect(...rectangle: [number, number, number, number]): void {
    this.beginPath();
    this.rect(...rectangle);
    this.fill();
  }
  setLineDash(dash: readonly number[]): void {
    this.#dash = dash;
  }
  stroke(): void {
    const { pdf } = this;
    pdf.path(this.#path.join(''));
    pdf.strokeColor(this.strokeStyle, this.globalAlpha).lineWidth(this.lineWidth);
    pdf.lineCap(this.lineCap as 'butt').lineJoin(this.lineJoin as 'miter');
    pdf.miterLimit(this.miterLimit);
    if (this.#dash.length === 0) pdf.undash();
    else pdf.dash(this.#dash as never, { phase: this.lineDashOffset });
    pdf.stroke();
  }

  /** Text at the alphabetic baseline, in runs of one font. */
  fillText(text: string, x: number, y: number): void {
    const [, size] = /(\d+(?:\.\d+)?)px/.exec(this.font) ?? [];
    const runs = runsOf(text, this.#fonts[/\bbold\b/.test(this.font) ? 'bold' : 'regular']);
    const { pdf } = this;
    const widths = runs.map(({ font, part }) => {
      return useFont(pdf, font).fontSize(Number(size)).widthOfString(part);
    });
    const width = widths.reduce((sum, each) => sum + each, 0);
    const align = { center: width / 2, right: width, end: width }[this.textAlign] ?? 0;
    let start = x - align;
    pdf.save();
    pdf.transform(...this.#matrix);
    pdf.fillColor(this.fillStyle, this.globalAlpha);
    for (const [i, { font, part }] of runs.entries()) {
      useFont(pdf, font).fontSize(Number(size));
      pdf.text(part, start, y, { lineBreak: false, baseline: 'alphabetic' });
      start += widths[i];
    }
    pdf.restore();
  }
}

interface EmbeddedFont {
  readonly path: string;
  readonly face?: string;
  readonly has: (character: string) => boolean;
}

const useFont = (pdf: PDFKit.PDFDocument, { path, face }: EmbeddedFont) =>
  face === undefined ? pdf.font(path) : pdf.font(path, face);

function embedded({ path, face }: FontFile): EmbeddedFont {
  const font = (face === undefined ? openSync(path) : openSync(path, face)) as Font;
  return { path, face, has: (character) => font.hasGlyphForCodePoint(character.codePointAt(0)!) };
}

/** Parts of a text by the first font that has their characters. */
function runsOf(
  text: string,
  fonts: readonly EmbeddedFont[],
): { font: EmbeddedFont; part: string }[] {
  const runs: { font: EmbeddedFont; part: string }[] = [];
  for (const character of text) {
    const font = fonts.find(({ has }) => has(character)) ?? fonts[0];
    const last = runs.at(-1);
    if (last?.font === font) last.part += character;
    else runs.push({ font, part: character });
  }
  return runs;
}
