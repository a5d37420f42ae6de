/**
 * The forward pass of a network in float64, channels first, with weights in PyTorch's layout: what any reader of
 * model.safetensors computes.
 */

/** [channels, height, width], row-major. */
export interface Image {
  readonly shape: readonly [number, number, number];
  readonly values: Float64Array;
}

export interface Weights {
  /** [outputs, channels, kernel, kernel], or [outputs, inputs] */
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

export function convolve(
  { shape: [, height, width], values }: Image,
  { shape: [outputs, channels, kernel], values: w }: Weights,
  bias: ArrayLike<number>,
  stride: number,
  padding: number,
): Image {
  const side = (n: number) => Math.floor((n + 2 * padding - kernel) / stride) + 1;
  const [rows, columns] = [side(height), side(width)];
  const result = new Float64Array(outputs * rows * columns);
  for (let o = 0, to = 0; o < outputs; o++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++, to++) {
        let sum = bias[o];
        for (let c = 0; c < channels; c++) {
          for (let p = 0; p < kernel; p++) {
            for (let q = 0; q < kernel; q++) {
              const [y, x] = [stride * i + p - padding, stride * j + q - padding];
              if (y < 0 || y >= height || x < 0 || x >= width) continue;
              const weight = w[((o * channels + c) * kernel + p) * kernel + q];
              sum += weight * values[(c * height + y) * width + x];
            }
          }
        }
        result[to] = sum;
      }
    }
  }
  return { shape: [outputs, rows, columns], values: result };
}

/** Averages windows of `side` that do not overlap. */
export const averagePool = (image: Image, side: number): Image =>
  pooled(image, side, (values) => values.reduce((a, b) => a + b) / side ** 2);

/** The largest value of windows of `side` that do not overlap. */
export const maxPool = (image: Image, side: number): Image =>
  pooled(image, side, (values) => Math.max(...values));

function pooled(
  { shape: [channels, height, width], values }: Image,
  side: number,
  merge: (values: number[]) => number,
): Image {
  const [rows, columns] = [Math.floor(height / side), Math.floor(width / side)];
  const result = new Float64Array(channels * rows * columns);
  for (let c = 0, to = 0; c < channels; c++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++, to++) {
        const window: number[] = [];
        for (let p = 0; p < side; p++) {
          for (let q = 0; q < side; q++) {
            window.push(values[(c * height + side * i + p) * width + side * j + q]);
          }
        }
        result[to] = merge(window);
      }
    }
  }
  return { shape: [channels, rows, columns], values: result };
}

/** Each value, with the number of its channel. */
export function perChannel(image: Image, f: (value: number, channel: number) => number): Image {
  const pixels = image.shape[1] * image.shape[2];
  return { ...image, values: image.values.map((u, i) => f(u, Math.floor(i / pixels))) };
}

/** Mean over the channels at each position: [1, height, width]. */
export function channelMean({ shape: [channels, height, width], values }: Image): Image {
  const pixels = height * width;
  const means = new Float64Array(pixels);
  for (const [i, value] of values.entries()) means[i % pixels] += value / channels;
  return { shape: [1, height, width], values: means };
}

/** W x + b of the flattened input. */
export function dense(
  { values }: Image,
  { shape: [outputs, inputs], values: w }: Weights,
  bias: ArrayLike<number>,
): Image {
  if (values.length !== inputs)
    throw new Error(`${values.length} inputs for [${outputs}, ${inputs}]`);
  const result = Float64Array.from({ length: outputs }, (_, o) => {
    let sum = bias[o];
    for (let i = 0; i < inputs; i++) sum += w[o * inputs + i] * values[i];
    return sum;
  });
  return { shape: [outputs, 1, 1], values: result };
}

/** By the Taylor series, for the |x| of a few units that tests have. */
export function erf(x: number): number {
  let power = x;
  let sum = x;
  for (let k = 1; k < 100; k++) {
    power *= -(x ** 2) / k;
    sum += power / (2 * k + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

export const activationsByName: Readonly<Record<string, (u: number) => number>> = {
  relu: (u) => Math.max(u, 0),
  'leaky-relu': (u) => (u >= 0 ? u : 0.01 * u),
  softplus: (u) => Math.log1p(Math.exp(u)),
  sigmoid: (u) => 1 / (1 + Math.exp(-u)),
  tanh: Math.tanh,
  'hard-tanh': (u) => Math.min(1, Math.max(-1, u)),
  gelu: (u) => (u * (1 + erf(u / Math.SQRT2))) / 2,
  silu: (u) => u / (1 + Math.exp(-u)),
  sign: Math.sign,
  step: (u) => (u > 0 ? 1 : 0),
};

export function softmax(logits: Float64Array): Float64Array {
  const top = Math.max(...logits);
  const powers = logits.map((u) => Math.exp(u - top));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((p) => p / sum);
}

/** Row `row` of a split, channels first, as pixels 0..255. */
export function imageOf(
  { images, count }: { readonly images: ArrayLike<number>; readonly count: number },
  row: number,
  [height, width, channels]: readonly [number, number, number],
): Image {
  const features = images.length / count;
  const values = new Float64Array(features);
  for (let c = 0, to = 0; c < channels; c++) {
    for (let k = 0; k < height * width; k++, to++) {
      values[to] = images[row * features + k * channels + c];
    }
  }
  return { shape: [channels, height, width], values };
}
