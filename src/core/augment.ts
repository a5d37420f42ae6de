import { checkedRow } from './batches.js';
import type { Augmentation, Split } from './dataset.js';

/** What the changes of an image depend on besides its row number. */
export interface AugmentedEpoch {
  /** [height, width, channels] of the images */
  readonly shape: readonly [number, number, number];
  readonly seed: number;
  /** From 0. */
  readonly epoch: number;
}

/**
 * As `gatherRows`, with the images changed while they are copied: mirrored, shifted, then cut out. The change is
 * a function of (seed, epoch, row) alone: the same for every method, batch size, order of batches and backend.
 *
 * @param indices row numbers in the split
 * @param levels per channel, the value of each of the 256 pixel levels; unused for numbers
 * @returns [n, features], row-major
 * @throws RangeError on a row outside the split
 */
export function gatherAugmented(
  { images, count }: Split,
  indices: ArrayLike<number>,
  levels: readonly Float32Array[],
  { flip, translate = 0, cutout = 0 }: Augmentation,
  { shape, seed, epoch }: AugmentedEpoch,
): Float32Array {
  const [height, width, channels] = shape;
  const features = height * width * channels;
  const target = new Float32Array(indices.length * features);
  /** Of each column of the result, the position of its pixel in a row of the image. */
  const columns = new Int32Array(width);
  for (let i = 0, to = 0; i < indices.length; i++, to += features) {
    const row = checkedRow(indices[i], count);
    const draw = (name: keyof typeof streams, bound: number, at = epoch) =>
      Math.floor((hash(seed, streams[name], at, row) / 4294967296) * bound);
    const mirrored =
      flip === 'random'
        ? draw('flip', 2) === 1
        : flip === 'alternating' && draw('flip', 2, 0) !== epoch % 2;
    const down = draw('down', 2 * translate + 1) - translate;
    const right = draw('right', 2 * translate + 1) - translate;
    for (let x = 0; x < width; x++) {
      const from = reflected(x + right, width);
      columns[x] = channels * (mirrored ? width - 1 - from : from);
    }
    for (let y = 0; y < height; y++) {
      const from = row * features + reflected(y + down, height) * width * channels;
      copyRow(images, from, columns, levels, target, to + y * width * channels, channels);
    }
    if (cutout === 0) continue;
    const top = draw('cutoutRow', height) - (cutout >> 1);
    const left = draw('cutoutColumn', width) - (cutout >> 1);
    const [start, end] = [Math.max(0, left), Math.min(width, left + cutout)];
    for (let y = Math.max(0, top); y < Math.min(height, top + cutout); y++) {
      const at = to + y * width * channels;
      target.fill(0, at + start * channels, at + end * channels);
    }
  }
  return target;
}

/** One row of pixels, channels last. */
function copyRow(
  images: Split['images'],
  from: number,
  columns: Int32Array,
  levels: readonly Float32Array[],
  target: Float32Array,
  to: number,
  channels: number,
): void {
  const isPixels = images instanceof Uint8Array;
  for (let c = 0; c < channels; c++) {
    const [source, result] = [from + c, to + c];
    if (isPixels) {
      const level = levels[levels.length === 1 ? 0 : c];
      for (let x = 0; x < columns.length; x++) {
        target[result + x * channels] = level[images[source + columns[x]]];
      }
    } else {
      for (let x = 0; x < columns.length; x++) {
        target[result + x * channels] = images[source + columns[x]];
      }
    }
  }
}

/** Position -k is k, and size - 1 + k is size - 1 - k; |k| < size. */
function reflected(position: number, size: number): number {
  const inside = Math.abs(position);
  return inside < size ? inside : 2 * (size - 1) - inside;
}

/** Numbers of independent draws for one image. */
const streams = { flip: 1, down: 2, right: 3, cutoutRow: 4, cutoutColumn: 5 };

/** 32 bits that look random, from integers: each is mixed in by the finalizer of MurmurHash3 (A. Appleby, public domain). */
function hash(...values: number[]): number {
  let h = 0;
  for (const value of values) {
    h ^= Math.imul(value, 0x9e3779b1);
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return h >>> 0;
}
