import { encode } from 'fast-png';
import { pooledShape } from '../../core/network/shape.js';
import { hasModel, type Model, readModel } from '../../runs/model-file.js';
import { folderOf, type Run } from '../../runs/run-directory.js';
import { escapeHtml, plural } from '../../shared/text.js';
import { groupRuns } from '../curves.js';
import type { Settings } from '../overlay.js';

/** Methods and filters that are drawn, so that a report of many runs stays small. */
const mostMethods = 12;
const mostFilters = 32;
const filtersPerRow = 16;
/** Grey level of a weight of 0, and of the lines between filters. */
const zero = 128;
const gap = 255;

/** Pixels, row by row; one or three channels. */
interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/**
 * The filters of the first layer as small images, of the first seed of each method that left a model. A filter
 * is what a unit, or a channel of a convolution, weights the pixels it sees with. Empty without a model.
 */
export function filtersHtml(runs: readonly Run[], settings?: Settings): string {
  const groups = groupRuns(runs, settings).flatMap(({ name, runs: seeds }) => {
    const ordered = seeds.toSorted((a, b) => a.seed - b.seed);
    const first = ordered.find((run) => hasModel(folderOf(run.directory, run)));
    return first ? [{ name, seed: first.seed, folder: folderOf(first.directory, first) }] : [];
  });
  if (groups.length === 0) return '';
  const figures = groups.slice(0, mostMethods).map(({ name, seed, folder }) => {
    const title = `${escapeHtml(name)}, seed ${seed}`;
    try {
      const model = readModel(folder);
      const { picture, shown, all, side } = drawFilters(model);
      const count = shown < all ? `the first ${shown} of ${all} filters` : plural(all, 'filter');
      const url = `data:image/png;base64,${Buffer.from(encode(picture)).toString('base64')}`;
      const scale = Math.max(1, Math.round(40 / side));
      const size = `width="${scale * picture.width}" height="${scale * picture.height}"`;
      return `<figure><figcaption>${title}: ${count}</figcaption><div class="scroll"><img class="filters" src="${url}" alt="${count} of the first layer" ${size}></div></figure>`;
    } catch (error) {
      return `<p class="note">${title}: ${escapeHtml((error as Error).message)}</p>`;
    }
  });
  const left = groups.length - figures.length;
  const remark = left > 0 ? ` ${left} more methods are not drawn.` : '';
  return `<h2>First-layer filters</h2>
<p class="note">The trained weights as images: grey is 0, lighter is positive, and each filter is scaled to its largest weight. Red, green and blue are the channels of a color image.${remark}</p>
${figures.join('\n')}`;
}

/** The filters of the first layer side by side. */
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
  const channels = planes === 3 ? 3 : 1;
  const all = bias.length;
  const shown = Math.min(mostFilters, all);
  const columns = Math.min(filtersPerRow, shown);
  const total = columns * (width + 1) - 1;
  const rows = Math.ceil(shown / columns) * (height + 1) - 1;
  const data = new Uint8Array(total * rows * channels).fill(gap);
  for (let k = 0; k < shown; k++) {
    // [channels, height, width]
    const filter = stored.subarray(k * planes * area, (k + 1) * planes * area);
    const largest = filter.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const left = (k % columns) * (width + 1);
    const top = Math.floor(k / columns) * (height + 1);
    for (let i = 0; i < area; i++) {
      const at = (top + Math.floor(i / width)) * total + left + (i % width);
      for (let c = 0; c < channels; c++) {
        const value = channels === planes ? filter[c * area + i] : meanOf(filter, i, area);
        const level = largest > 0 ? zero + (127 * value) / largest : zero;
        data[at * channels + c] = Math.round(level);
      }
    }
  }
  const picture = { width: total, height: rows, channels, data } as const;
  return { picture, shown, all, side: Math.max(width, height) };
}

/** Of a pixel over channels that are no colors. */
function meanOf(filter: Float32Array, pixel: number, area: number): number {
  let sum = 0;
  for (let at = pixel; at < filter.length; at += area) sum += filter[at];
  return (sum * area) / filter.length;
}
