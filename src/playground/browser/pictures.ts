import type { Histogram, Insight } from '../protocol.js';
import { dark, make, number, variable } from './dom.js';
import { curveColor, curveStyle } from './plot.js';

const gap = 1;

/** Tiles side by side as one small image: grey is 0, lighter is positive; each has its own scale, or all have one. */
export function tiles(
  images: readonly ArrayLike<number>[],
  options: {
    readonly width: number;
    readonly columns: number;
    readonly own?: boolean;
    readonly alt: string;
  },
): HTMLCanvasElement {
  const { width, columns, own = false, alt } = options;
  const height = Math.ceil((images[0]?.length ?? 0) / width);
  const rows = Math.ceil(images.length / columns);
  const canvas = make('canvas', {
    className: 'pixels',
    width: Math.min(columns, images.length) * (width + gap) - gap,
    height: rows * (height + gap) - gap,
    ariaLabel: alt,
  });
  canvas.setAttribute('role', 'img');
  const context = canvas.getContext('2d');
  if (!context || canvas.width < 1 || canvas.height < 1) return canvas;
  const picture = context.createImageData(canvas.width, canvas.height);
  const largestOf = (values: ArrayLike<number>) => {
    let most = 0;
    for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]));
    return most;
  };
  const common = own ? 0 : Math.max(...images.map(largestOf));
  for (const [k, image] of images.entries()) {
    const largest = (own ? largestOf(image) : common) || 1;
    const left = (k % columns) * (width + gap);
    const top = Math.floor(k / columns) * (height + gap);
    for (let i = 0; i < image.length; i++) {
      const level = 128 + (127 * image[i]) / largest;
      const at = 4 * ((top + Math.floor(i / width)) * canvas.width + left + (i % width));
      picture.data.fill(level, at, at + 3);
      picture.data[at + 3] = 255;
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

const side = 28;
const squareOf = (units: number) => Math.ceil(Math.sqrt(units));

/** First-layer filters, and the hidden activations for some test images. */
export function drawPictures(container: HTMLElement, { filters, activations }: Insight): void {
  const figures = [
    figure(
      `filters of the first ${filters.length} units`,
      tiles(filters, {
        width: side,
        columns: 8,
        own: true,
        alt: 'weights of the first layer as images',
      }),
      2,
    ),
    ...activations.map((images, l) => {
      const width = l === 0 ? side : squareOf(images[0].length);
      const name = l === 0 ? 'test images' : `activations of hidden layer ${l}`;
      return figure(
        name,
        tiles(images, { width, columns: 8, alt: name }),
        Math.max(1, Math.round((1.5 * side) / width)),
      );
    }),
  ];
  container.replaceChildren(...figures);
}

export function figure(caption: string, canvas: HTMLCanvasElement, scale: number): HTMLElement {
  canvas.style.width = `${canvas.width * scale}px`;
  return make('figure', {}, make('figcaption', {}, caption), canvas);
}

const width = 420;
const height = 230;
const split = 150;
const left = 8;

/**
 * The pre-activations of each hidden layer, the step of the X-update from each bin, and below it the slope of the
 * signals of the three rules.
 */
export function drawHistograms(container: HTMLElement, { histograms }: Insight): void {
  const drawn = histograms.map((histogram, l) => {
    const { steps, slopes } = histogram;
    const canvas = make('canvas', { className: 'histogram', width: 2 * width, height: 2 * height });
    canvas.setAttribute('role', 'img');
    const magnified = steps && draw(canvas, histogram);
    if (!steps) draw(canvas, histogram);
    const text = slopes
      ? `Above: pre-activations of hidden layer ${l + 1}; arrows: root mean square of r, by which the X-update moves those of a bin, ${magnified} times as long. Below: slope of the signal in r, by rule: `
      : `Pre-activations of hidden layer ${l + 1} for 200 training images.`;
    canvas.ariaLabel = text;
    const names = ['back-propagation', 'one-sided', 'two-sided'].map((name, i) => {
      const word = make('span', { className: 'rule' }, name);
      word.style.color = curveStyle(i, 3);
      return word;
    });
    const caption = make('figcaption', {}, text);
    if (slopes) caption.append(names[0], ' (dotted), ', names[1], ' (dashed), ', names[2], '.');
    return make('figure', {}, canvas, caption);
  });
  container.replaceChildren(...drawn);
}

/** @returns by how much the arrows are magnified */
function draw(canvas: HTMLCanvasElement, { low, high, counts, steps, slopes }: Histogram): string {
  const context = canvas.getContext('2d');
  if (!context) return '1';
  context.scale(2, 2);
  const bottom = slopes ? split : height - 22;
  const x = (u: number) => left + ((u - low) / (high - low)) * (width - 2 * left);
  const bin = (high - low) / counts.length;
  const center = (k: number) => x(low + (k + 0.5) * bin);
  const most = Math.max(...counts);
  const top = (k: number) => bottom - (counts[k] / most) * (bottom - 26);
  context.fillStyle = dark.matches ? '#5b6b7a' : '#b8c4ce';
  for (const k of counts.keys()) {
    context.fillRect(x(low + k * bin) + 0.5, top(k), x(low + bin) - x(low) - 1, bottom - top(k));
  }
  context.strokeStyle = variable('--quiet');
  context.fillStyle = variable('--quiet');
  context.lineWidth = 1;
  line(context, [
    [left, bottom],
    [width - left, bottom],
  ]);
  context.setLineDash([2, 3]);
  line(context, [
    [x(0), 8],
    [x(0), slopes ? height - 20 : bottom],
  ]);
  context.setLineDash([]);
  context.font = '11px system-ui, sans-serif';
  context.textAlign = 'center';
  const end = slopes ? height - 20 : bottom;
  for (const u of ticks(low, high)) context.fillText(number(u), x(u), end + 14);
  if (!steps || !slopes) return '1';
  const sizes = steps.filter((step, k) => Number.isFinite(step) && counts[k] > 0).map(Math.abs);
  const largest = Math.max(...sizes, 1e-12);
  const factor = 10 ** Math.floor(Math.log10((5 * bin) / largest));
  const colors = [0, 1, 2].map((i) => curveColor(i, 3));
  context.strokeStyle = colors[1];
  context.fillStyle = colors[1];
  context.lineWidth = 1.5;
  for (const [k, step] of steps.entries()) {
    if (!Number.isFinite(step) || counts[k] === 0 || k % 3 !== 1) continue;
    const length = (step * factor * (width - 2 * left)) / (high - low);
    const y = Math.max(12, top(k) - 6);
    arrow(context, center(k), center(k) - length, y);
    arrow(context, center(k), center(k) + length, y);
  }
  const slopeTop = split + 10;
  const slopeBottom = height - 22;
  const y = (slope: number) =>
    slopeBottom - Math.min(1.2, Math.max(-0.1, slope)) * (slopeBottom - slopeTop) * 0.85;
  const styles = [[1.5, 3], [6, 3], []];
  for (const [i, name] of (['back-propagation', 'one-sided', 'two-sided'] as const).entries()) {
    context.strokeStyle = colors[i];
    context.lineWidth = 1.75;
    context.setLineDash(styles[i]);
    line(
      context,
      slopes[name].flatMap((slope, k): [number, number][] =>
        Number.isFinite(slope) ? [[center(k), y(slope)]] : [],
      ),
    );
  }
  context.setLineDash([]);
  return factor.toLocaleString('en-US');
}

function line(
  context: CanvasRenderingContext2D,
  points: readonly (readonly [number, number])[],
): void {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}

function arrow(context: CanvasRenderingContext2D, from: number, to: number, y: number): void {
  line(context, [
    [from, y],
    [to, y],
  ]);
  const size = Math.sign(to - from) * Math.min(4, Math.abs(to - from));
  context.beginPath();
  context.moveTo(to, y);
  context.lineTo(to - size, y - 2.5);
  context.lineTo(to - size, y + 2.5);
  context.fill();
}

function ticks(low: number, high: number): number[] {
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find((s) => (high - low) / s <= 8) ?? 1000;
  const found: number[] = [];
  for (let u = Math.ceil(low / step) * step; u <= high; u += step) found.push(u);
  return found;
}
