import * as tf from '@tensorflow/tfjs';
import type { ConvolutionWindow, ImageShape } from '../shape.js';
import { unitsIn } from '../shape.js';
import type { LinearMap } from './linear-map.js';

/** U[i, j, o] = sum_{p,q,c} X[s i + p, s j + q, c] W[p, q, c, o] + b[o], X with zeros around it. */
export function convolutionMap(
  input: ImageShape,
  output: ImageShape,
  { kernel, stride, padding }: ConvolutionWindow,
): LinearMap {
  const channels = output[2];
  const positions = output[0] * output[1];
  const patch = kernel * kernel * input[2];
  const filterShape: [number, number, number, number] = [kernel, kernel, input[2], channels];
  const { pad, images, padded, unpadded } = padder(input, { kernel, stride, padding });
  const maps = (d: tf.Tensor2D) => tf.reshape(d, [d.shape[0], ...output]) as tf.Tensor4D;
  const filter = (weights: tf.Tensor2D) => tf.reshape(weights, filterShape) as tf.Tensor4D;
  const product = (x: tf.Tensor2D, weights: tf.Tensor2D) =>
    tf.conv2d(images(x), filter(weights), stride, pad);
  const weightGradient = (x: tf.Tensor2D, d: tf.Tensor2D): tf.Tensor2D =>
    tf.reshape(filterGradient(images(x), maps(d), { filterShape, stride, pad }), [patch, channels]);
  return {
    inputs: unitsIn(input),
    outputs: unitsIn(output),
    weightShape: [patch, channels],
    fanOut: kernel * kernel * channels,
    positions,
    overlap: Math.ceil(kernel / stride) ** 2,
    apply: (x, { weights, bias }) =>
      tf.tidy(() => tf.reshape(tf.add(product(x, weights), bias), [x.shape[0], -1])),
    product: (x, weights) => tf.tidy(() => tf.reshape(product(x, weights), [x.shape[0], -1])),
    adjoint: (d, weights) =>
      tf.tidy(() => {
        const shape: [number, number, number, number] = [d.shape[0], ...padded];
        const x = tf.conv2dTranspose(maps(d), filter(weights), shape, stride, pad);
        return tf.reshape(unpadded(x as tf.Tensor4D), [d.shape[0], -1]);
      }),
    gradient: (x, d) =>
      tf.tidy(() => {
        const bias = tf.sum(tf.reshape(d, [-1, channels]), 0, true);
        return tf.concat([weightGradient(x, d), bias]) as tf.Tensor2D;
      }),
    weightGradient: (x, d) => tf.tidy(() => weightGradient(x, d)),
    // im2col: a convolution with one filter for each entry of the window.
    patches: (x) =>
      tf.tidy(() => {
        const copy = tf.reshape(tf.eye(patch), [kernel, kernel, input[2], patch]) as tf.Tensor4D;
        return tf.reshape(tf.conv2d(images(x), copy, stride, pad), [-1, patch]);
      }),
    // The sums over windows of the squares of an input.
    squaredPatches: (x) =>
      tf.tidy(() => {
        const ones = tf.ones([kernel, kernel, input[2], 1]) as tf.Tensor4D;
        return tf.sum(tf.conv2d(images(tf.square(x)), ones, stride, pad));
      }),
  };
}

/**
 * Padding that every backend supports: `same`, or `valid` on an image with zeros added around it, of the
 * shape `padded`.
 */
function padder(input: ImageShape, { kernel, stride, padding }: ConvolutionWindow) {
  const [height, width, channels] = input;
  const asImages = (x: tf.Tensor2D) => tf.reshape(x, [x.shape[0], ...input]) as tf.Tensor4D;
  if (padding === 0 || (stride === 1 && 2 * padding === kernel - 1)) {
    const pad = padding === 0 ? ('valid' as const) : ('same' as const);
    return { pad, images: asImages, padded: input, unpadded: (x: tf.Tensor4D) => x };
  }
  const sides: [number, number] = [padding, padding];
  const padded: ImageShape = [height + 2 * padding, width + 2 * padding, channels];
  return {
    pad: 'valid' as const,
    images: (x: tf.Tensor2D) => tf.pad(asImages(x), [[0, 0], sides, sides, [0, 0]]),
    padded,
    unpadded: (x: tf.Tensor4D) =>
      tf.slice(x, [0, padding, padding, 0], [x.shape[0], height, width, channels]),
  };
}

/** dL/dW of a convolution, given dL/dU; the tensor library offers it only as a kernel. */
function filterGradient(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  settings: {
    readonly filterShape: readonly number[];
    readonly stride: number;
    readonly pad: 'valid' | 'same';
  },
): tf.Tensor4D {
  const { filterShape, stride, pad } = settings;
  const attributes = {
    strides: stride,
    pad,
    dataFormat: 'NHWC',
    dimRoundingMode: undefined,
    filterShape: [...filterShape],
  };
  return tf
    .engine()
    .runKernel('Conv2DBackpropFilter', { x, dy }, attributes as unknown as tf.NamedAttrMap);
}
