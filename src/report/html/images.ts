import { encode } from 'fast-png';
import { pooledShape } from '../../core/network/shape.js';
import { type Activations, hasActivations, readActivations } from '../../runs/activations-file.js';
import { hasModel, type Model, readModel } from '../../runs/model-file.js';
import { folderOf, type Run } from '../../runs/run-directory.js';
import { escapeHtml, plural } from '../../shared/text.js';
import { groupRuns } from '../curves.js';
import type { Settings } from '../overlay.js';

/** Methods, filters and channels that are drawn, so that a report of many runs stays small. */
const mostMethods = 12;
const mostFilters = 32;
const mostChannels = 8;
const filtersPerRow = 16;
/** Grey level of a 0, and of the lines between tiles. */
const zero = 128;
const gap = 255;
/** Least width, in pixels of the page, of a small image. */
const leastSide = 40;

/** Pixels, row by row; one or three channels. */
interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** The filters of the first layers and the hidden activations, of the first seed of each method; may be empty. */
export const imagesHtml = (runs: readonly Run[], settings?: Settings): string =>
  [
    imageSection(runs, settings, hasModel, {
      title: 'First-layer filters',
      note: 'The trained weights as images: grey is 0, lighter is positive, and each filter is scaled to its largest weight. Red, green and blue are the channels of a color image.',
      draw: (folder) => {
        const { picture, shown, all, side } = drawFilters(readModel(folder));
        const count = shown < all ? `the first ${shown} of ${all} filters` : plural(all, 'filter');
        return [{ picture, side, caption: count, alt: `${count} of the first layer` }];
      },
    }),
    imageSection(runs, settings, hasActivations, {
      title: 'Hidden activations',
      note: 'The outputs of each hidden layer of the trained network for a few images, one column for each: grey is 0, lighter is positive, and each layer is scaled to its largest value. The units of a fully connected layer fill a square, row by row; a layer of feature maps has one row for each of its first channels.',
      draw: (folder) => {
        const activations = readActivations(folder);
        return activations.layers.map((_, l) => {
          const caption = l === 0 ? 'inputs' : `layer ${l}`;
          return { ...drawActivations(activations, l), caption, alt: `activations, ${caption}` };
        });
      },
    }),
  ]
    .filter((section) => section !== '')
    .join('\n');

interface Figure {
  readonly picture: Picture;
  /** Side of a tile, in pixels. */
  readonly side: number;
  readonly caption: string;
  readonly alt: string;
}

/** A section with the images of the first seed of each method whose folder has the files; empty without any. */
function imageSection(
  runs: readonly Run[],
  settings: Settings | undefined,
  has: (folder: string) => boolean,
  { title, note, draw }: { title: string; note: string; draw: (folder: string) => Figure[] },
): string {
  const groups = groupRuns(runs, settings).flatMap(({ name, runs: seeds }) => {
    const ordered = seeds.toSorted((a, b) => a.seed - b.seed);
    const first = ordered.find((run) => has(folderOf(run.directory, run)));
    return first ? [{ name, seed: first.seed, folder: folderOf(first.directory, first) }] : [];
  });
  if (groups.length === 0) return '';
  const figures = groups.slice(0, mostMethods).map(({ name, seed, folder }) => {
    const of = `${escapeHtml(name)}, seed ${seed}`;
    try {
      return draw(folder)
        .map(({ picture, side, caption, alt }) => {
          const url = `data:image/png;base64,${Buffer.from(encode(picture)).toString('base64')}`;
          const scale = Math.max(1, Math.round(leastSide / side));
          const size = `width="${scale * picture.width}" height="${scale * picture.height}"`;
          return `<figure><figcaption>${of}: ${caption}</figcaption><div class="scroll"><img class="pixels" src="${url}" alt="${alt}" ${size}></div></figure>`;
        })
        .join('\n');
    } catch (error) {
      return `<p class="note">${of}: ${escapeHtml((error as Error).message)}</p>`;
    }
  });
  const left = groups.length - figures.length;
  const remark = left > 0 ? ` ${left} more methods are not drawn.` : '';
  return `<h2>${title}</h2>\n<p class="note">${note}${remark}</p>\n${figures.join('\n')}`;
}

/** The filters of the first layer side by side: what a unit or a channel weights the pixels it sees with. */
export function drawFilters({ layers, weights }: Pick<Model, 'layers' | 'weights'>): {
  picture: Picture;
  shown: number;
  all: number;
  side: number;
} {
  const [{ input, pool, window }] = layers;
  const [{ stored, bias }] = weights;
  const seen = pooledShape(input, pool);
  const [height, width] = window ? [window.kernel, window.kernel] : seen;
  const planes = seen[2];
  const area = height * width;
  const all = bias.length;
  const shown = Math.min(mostFilters, all);
  const channels = planes === 3 ? 3 : 1;
  const tiles = Array.from({ length: shown }, (_, k) => {
    // [channels, height, width]
    const filter = stored.subarray(k * planes * area, (k + 1) * planes * area);
    const value = (pixel: number, c: number) =>
      channels === planes ? filter[c * area + pixel] : meanOf(filter, pixel, area);
    return { value, largest: largestOf(filter) };
  });
  const columns = Math.min(filtersPerRow, shown);
  const picture = sheet(tiles, { width, height, channels, columns });
  return { picture, shown, all, side: Math.max(width, height) };
}

/** The outputs of hidden layer `l` (0: the inputs) for the images of the file, one column for each. */
export function drawActivations(
  { count, layers }: Activations,
  l: number,
): { picture: Picture; side: number } {
  const { shape, values } = layers[l];
  const [rows, columns, planes] = shape;
  const units = rows * columns * planes;
  const largest = largestOf(values);
  const isFlat = rows * columns === 1;
  const isColor = l === 0 && planes === 3;
  const side = Math.ceil(Math.sqrt(units));
  const [height, width] = isFlat ? [Math.ceil(units / side), side] : [rows, columns];
  const maps = isFlat || isColor ? 1 : Math.min(mostChannels, planes);
  const tiles = Array.from({ length: maps * count }, (_, k) => {
    const image = values.subarray((k % count) * units, ((k % count) + 1) * units);
    const map = Math.floor(k / count);
    // Channels last. The square of a flat layer may have more places than units.
    const value = (pixel: number, c: number) =>
      (isFlat ? image[pixel] : image[pixel * planes + (isColor ? c : map)]) ?? Number.NaN;
    return { value, largest };
  });
  const channels = isColor ? 3 : 1;
  const picture = sheet(tiles, { width, height, channels, columns: count });
  return { picture, side: Math.max(width, height) };
}

interface Tile {
  /** NaN: no pixel there. */
  readonly value: (pixel: number, channel: number) => number;
  /** What is drawn white; its negative, black. */
  readonly largest: number;
}

/** Tiles of one size in rows of `columns`, with lines between them. */
function sheet(
  tiles: readonly Tile[],
  of: { width: number; height: number; channels: 1 | 3; columns: number },
): Picture {
  const { width, height, channels, columns } = of;
  const total = columns * (width + 1) - 1;
  const rows = Math.ceil(tiles.length / columns) * (height + 1) - 1;
  const data = new Uint8Array(total * rows * channels).fill(gap);
  for (const [k, { value, largest }] of tiles.entries()) {
    const left = (k % columns) * (width + 1);
    const top = Math.floor(k / columns) * (height + 1);
    for (let i = 0; i < width * height; i++) {
      const at = (top + Math.floor(i / width)) * total + left + (i % width);
      for (let c = 0; c < channels; c++) {
        const level = largest > 0 ? zero + (127 * value(i, c)) / largest : zero;
        data[at * channels + c] = Number.isNaN(level) ? gap : Math.round(level);
      }
    }
  }
  return { width: total, height: rows, channels, data };
}

const largestOf = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** Of a pixel over channels that are no colors. */
function meanOf(filter: Float32Array, pixel: number, area: number): number {
  let sum = 0;
  for (let at = pixel; at < filter.length; at += area) sum += filter[at];
  return (sum * area) / filter.length;
}
