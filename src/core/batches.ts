import type { Split, Stream } from './dataset.js';
import { Random } from './random.js';

/**
 * Copies rows of a split, preprocessed, into one matrix.
 *
 * @param indices row numbers in the split
 * @param levels per channel, the value of each of the 256 pixel levels (`Dataset.levels`); unused for numbers
 * @param out reused when given; its length must be n * features
 * @returns [n, features], row-major
 * @throws RangeError on a row outside the split or an `out` of another length
 */
export function gatherRows(
  split: Split,
  indices: ArrayLike<number>,
  levels: readonly Float32Array[],
  out?: Float32Array,
): Float32Array {
  const { images, count } = split;
  const features = images.length / count;
  const target = out ?? new Float32Array(indices.length * features);
  if (target.length !== indices.length * features) {
    throw new RangeError(`out has ${target.length} values for ${indices.length} x ${features}`);
  }
  if (images instanceof Float32Array) return copyRows(images, features, indices, target);
  const words = levels.length === 1 ? asWords(images, features) : undefined;
  for (let i = 0, to = 0; i < indices.length; i++, to += features) {
    const from = checkedRow(indices[i], count) * features;
    if (words) copyWords(words, from / 4, levels[0], target, to, features);
    else copyChannels(images, from, levels, target, to, features);
  }
  return target;
}

/** [n, width] of the rows `indices` of a matrix. */
function copyRows(
  values: Float32Array,
  width: number,
  indices: ArrayLike<number>,
  target: Float32Array = new Float32Array(indices.length * width),
): Float32Array {
  const count = values.length / width;
  for (let i = 0; i < indices.length; i++) {
    const from = checkedRow(indices[i], count) * width;
    target.set(values.subarray(from, from + width), i * width);
  }
  return target;
}

/** @returns [n, classes]: the targets of the rows `indices`, one-hot labels except in a regression */
export function targetRows(
  { labels, targets }: Split,
  indices: ArrayLike<number>,
  classes: number,
): Float32Array {
  return targets ? copyRows(targets, classes, indices) : oneHot(labels, indices, classes);
}

/** @returns [n, classes] with a 1 at the label of each row of `indices`; RangeError outside the labels */
export function oneHot(
  labels: Split['labels'],
  indices: ArrayLike<number>,
  classes: number,
): Float32Array {
  const target = new Float32Array(indices.length * classes);
  for (let i = 0; i < indices.length; i++) {
    target[i * classes + labels[checkedRow(indices[i], labels.length)]] = 1;
  }
  return target;
}

/** The order in which epoch `epoch` (from 0) visits `count` rows: a permutation of 0..count-1. */
export function epochOrder(count: number, seed: number, epoch: number): Uint32Array {
  const order = naturalOrder(count);
  new Random(seed, `shuffle/${epoch}`).shuffle(order);
  return order;
}

/**
 * The mini-batches of a run, by number: any batch can be asked for without those before it, so a run
 * resumes anywhere. Every row is seen once an epoch; the last batch of an epoch may be short. When
 * one batch holds the whole split there is nothing to shuffle, and rows keep their order.
 */
export class BatchSource {
  readonly batchesPerEpoch: number;
  readonly #count: number;
  /** Rows of an epoch. */
  readonly #used: number;
  readonly #batchSize: number;
  readonly #seed: number;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array(0);

  /**
   * @param batchSize rows per batch; `full` takes all of an epoch
   * @param used rows of an epoch, where it is not the whole split: other ones in each
   */
  constructor(
    split: Pick<Split, 'count'>,
    batchSize: number | 'full',
    seed: number,
    used = split.count,
  ) {
    this.#count = split.count;
    this.#used = used;
    this.#batchSize = batchSize === 'full' ? used : Math.min(batchSize, used);
    this.#seed = seed;
    this.batchesPerEpoch = Math.ceil(used / this.#batchSize);
  }

  /** Rows of batch `batch`, counted from 0 over all epochs; the caller owns the array. */
  indices(batch: number): Uint32Array {
    const epoch = Math.floor(batch / this.batchesPerEpoch);
    const start = (batch - epoch * this.batchesPerEpoch) * this.#batchSize;
    const end = Math.min(start + this.#batchSize, this.#used);
    return this.#orderOf(epoch).slice(start, end);
  }

  #orderOf(epoch: number): Uint32Array {
    const isWhole = this.#batchSize === this.#count;
    if (isWhole) epoch = 0;
    if (epoch !== this.#epoch) {
      this.#order = isWhole
        ? naturalOrder(this.#count)
        : epochOrder(this.#count, this.#seed, epoch);
      this.#epoch = epoch;
    }
    return this.#order;
  }
}

/** Rows of an epoch: the training split, or those of a task. */
export const epochRows = (
  { stream }: { readonly stream?: Pick<Stream, 'taskSize'> },
  count: number,
): number => stream?.taskSize ?? count;

/** Steps of a whole run on `count` training rows an epoch. */
export function stepsOf(
  { epochs, batchSize }: { readonly epochs: number; readonly batchSize: number | 'full' },
  count: number,
): number {
  return epochs * (batchSize === 'full' ? 1 : Math.ceil(count / batchSize));
}

function naturalOrder(count: number): Uint32Array {
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  return order;
}

export function checkedRow(row: number, count: number): number {
  if (!(row >= 0 && row < count)) throw new RangeError(`row ${row} of a split of ${count} rows`);
  return row;
}

const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** The images as words of four pixels, where rows start at word boundaries. */
function asWords(images: Uint8Array, features: number): Uint32Array | undefined {
  const aligned = features % 4 === 0 && images.byteOffset % 4 === 0 && littleEndian;
  return aligned ? new Uint32Array(images.buffer, images.byteOffset, images.length / 4) : undefined;
}

/** One channel, four pixels at a time: most words of an image of a digit are zero, which is one comparison. */
function copyWords(
  words: Uint32Array,
  from: number,
  level: Float32Array,
  target: Float32Array,
  to: number,
  features: number,
): void {
  target.fill(level[0], to, to + features);
  const end = from + features / 4;
  for (let w = from; w < end; w++, to += 4) {
    const word = words[w];
    if (word === 0) continue;
    target[to] = level[word & 255];
    target[to + 1] = level[(word >>> 8) & 255];
    target[to + 2] = level[(word >>> 16) & 255];
    target[to + 3] = level[word >>> 24];
  }
}

/** Channels last: pixel j belongs to channel j mod channels. */
function copyChannels(
  images: Uint8Array,
  from: number,
  levels: readonly Float32Array[],
  target: Float32Array,
  to: number,
  features: number,
): void {
  const channels = levels.length;
  for (let c = 0; c < channels; c++) {
    const level = levels[c];
    for (let j = c; j < features; j += channels) target[to + j] = level[images[from + j]];
  }
}

/**
 * Rows per chunk when a whole split is processed: small enough for the intermediate results to take
 * little memory, large enough for the overhead of calls to be negligible.
 */
export const chunkRows = 2000;

/** Outputs of layers in a chunk, at most: evaluation holds six tensors of that many numbers, 800 MB. */
const chunkOutputs = 1 << 25;

/**
 * The numbers of `count` rows, in consecutive chunks of {@link chunkRows}; the last may be shorter.
 * @param outputs of all layers for a row: chunks are shorter where they are many
 */
export function rowChunks(count: number, outputs = 1): Uint32Array[] {
  const most = Math.max(1, Math.min(chunkRows, Math.floor(chunkOutputs / outputs)));
  return Array.from({ length: Math.ceil(count / most) }, (_, chunk) => {
    const start = chunk * most;
    return Uint32Array.from({ length: Math.min(most, count - start) }, (_, i) => start + i);
  });
}
