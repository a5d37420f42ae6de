import { Random } from './random.js';

/**
 * The order in which task `task` (from 0) shows the features of an image: position j of the permuted image is position
 * order[j] of the original. A uniform permutation of the pixels, whose channels stay together; a function of (seed,
 * task) alone, the same for every method, batch size and backend.
 *
 * @param shape [height, width, channels]
 */
export function pixelOrder(
  [height, width, channels]: readonly [number, number, number],
  seed: number,
  task: number,
): Uint32Array {
  const pixels = Uint32Array.from({ length: height * width }, (_, i) => i);
  new Random(seed, `pixels/${task}`).shuffle(pixels);
  return Uint32Array.from(
    { length: pixels.length * channels },
    (_, j) => pixels[Math.floor(j / channels)] * channels + (j % channels),
  );
}

/** Rows [n, features], row-major, with their features in another order. */
export function permuteFeatures(rows: Float32Array, order: Uint32Array): Float32Array {
  const features = order.length;
  const permuted = new Float32Array(rows.length);
  for (let start = 0; start < rows.length; start += features) {
    for (let j = 0; j < features; j++) permuted[start + j] = rows[start + order[j]];
  }
  return permuted;
}
