import * as tf from '@tensorflow/tfjs';
import { type ImageShape, pooledShape, unitsIn } from '../shape.js';

/**
 * The largest value of each window of `side` x `side` that do not overlap; what does not fill a window is dropped.
 *
 * After a ReLU it is the sum over the window of phi(u) = grad Phi(u), Phi(u) = max(0, max_j u_j)^2/2: the largest value where
 * it is, 0 elsewhere. The signal r from above is that of a sum: equal for all units of a window, so that a step u - r moves the
 * largest value and not its place. The finite difference of phi, one- or two-sided, is then r where the largest value
 * is and 0 elsewhere, as in back-propagation: exact, whatever the size of r, but for a ReLU that r switches off,
 * which is the activation's part.
 */
export interface MaxPool {
  /** [m, units] -> [m, units / side^2] */
  apply(u: tf.Tensor2D): tf.Tensor2D;
  /** The signal r [m, units / side^2] where the largest values of u [m, units] are, given `apply(u)`; 0 elsewhere. */
  route(u: tf.Tensor2D, largest: tf.Tensor2D, r: tf.Tensor2D): tf.Tensor2D;
}

export function maxPool(input: ImageShape, side: number): MaxPool {
  const small = pooledShape(input, side);
  const images = (u: tf.Tensor2D, shape: ImageShape): tf.Tensor4D =>
    tf.reshape(u, [u.shape[0], ...shape]);
  return {
    apply: (u) =>
      tf.tidy(() =>
        tf.reshape(tf.maxPool(images(u, input), side, side, 'valid'), [u.shape[0], unitsIn(small)]),
      ),
    route: (u, largest, r) =>
      tf.tidy(() => {
        const inputs = {
          dy: images(r, small),
          input: images(u, input),
          output: images(largest, small),
        };
        const attributes = { filterSize: side, strides: side, pad: 'valid' };
        // The tensor library offers it only as a kernel. Of equal values in a window, one has the signal.
        const routed: tf.Tensor4D = tf
          .engine()
          .runKernel('MaxPoolGrad', inputs, attributes as unknown as tf.NamedAttrMap);
        return tf.reshape(routed, u.shape);
      }),
  };
}
