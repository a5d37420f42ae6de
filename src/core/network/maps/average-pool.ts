import * as tf from '@tensorflow/tfjs';
import { type ImageShape, pooledShape, unitsIn } from '../shape.js';
import { type LinearMap, squaredPatches } from './linear-map.js';

/**
 * The map after averaging windows of `side` x `side` that do not overlap: pooling has no weights, and
 * as part of the next layer's map it needs neither activations nor a penalty of its own.
 *
 * @param input shape before pooling
 * @param map of the pooled image
 */
export function averagePooled(input: ImageShape, side: number, map: LinearMap): LinearMap {
  const [height, width, channels] = input;
  const small = pooledShape(input, side);
  const dropped = [height - side * small[0], width - side * small[1]];
  const pool = (x: tf.Tensor2D): tf.Tensor2D => {
    const images = tf.reshape(x, [x.shape[0], ...input]) as tf.Tensor4D;
    return tf.reshape(tf.avgPool(images, side, side, 'valid'), [x.shape[0], -1]);
  };
  // The adjoint of averaging spreads each value over its window.
  const spread = (d: tf.Tensor2D): tf.Tensor2D => {
    const shared = tf.reshape(tf.mul(d, 1 / side ** 2), [d.shape[0], ...small]) as tf.Tensor4D;
    const size: [number, number] = [side * small[0], side * small[1]];
    const image = tf.image.resizeNearestNeighbor(shared, size);
    const whole = dropped.every((rest) => rest === 0)
      ? image
      : tf.pad(image, [
          [0, 0],
          [0, dropped[0]],
          [0, dropped[1]],
          [0, 0],
        ]);
    return tf.reshape(whole, [d.shape[0], height * width * channels]);
  };
  return {
    inputs: unitsIn(input),
    outputs: map.outputs,
    weightShape: map.weightShape,
    fanOut: map.fanOut,
    positions: map.positions,
    overlap: map.overlap / side ** 2,
    apply: (x, layer) => tf.tidy(() => map.apply(pool(x), layer)),
    adjoint: (d, weights) => tf.tidy(() => spread(map.adjoint(d, weights))),
    gradient: (x, d) => tf.tidy(() => map.gradient(pool(x), d)),
    ...(map.product && {
      product: (x, weights) => tf.tidy(() => map.product!(pool(x), weights)),
    }),
    ...(map.weightGradient && {
      weightGradient: (x, d) => tf.tidy(() => map.weightGradient!(pool(x), d)),
    }),
    patches: (x) => tf.tidy(() => map.patches(pool(x))),
    squaredPatches: (x) => tf.tidy(() => squaredPatches(map, pool(x))),
  };
}
