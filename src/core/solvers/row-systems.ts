import * as tf from '@tensorflow/tfjs';

/** A small symmetric system for each row: I + weight W^T D W, with D the 0-1 diagonal of the row. */

/** Products of two columns of W [p, q], i >= j: [p, q (q + 1) / 2], so that W^T D W is one product. */
export async function pairProducts(weights: tf.Tensor2D): Promise<tf.Tensor2D> {
  const [p, q] = weights.shape;
  const w = await weights.data();
  const pairs = new Float32Array((p * q * (q + 1)) / 2);
  for (let k = 0, to = 0; k < p; k++) {
    for (let i = 0; i < q; i++) {
      for (let j = 0; j <= i; j++) pairs[to++] = w[k * q + i] * w[k * q + j];
    }
  }
  return tf.tensor2d(pairs, [p, (q * (q + 1)) / 2]);
}

/** The systems of all rows, and their right-hand sides. */
export interface RowSystems {
  /** The lower triangle of W^T D W of every row, [n, q (q + 1) / 2]. */
  readonly products: Float32Array;
  readonly weight: number;
  /** f of every row, [n, q]. */
  readonly gradient: Float32Array;
  readonly q: number;
}

/**
 * Newton directions d = -(I + weight W^T D W)^-1 f, by Cholesky.
 *
 * @param wanted 1 for the rows to solve; the others are left as they are
 * @param direction receives d, [n, q]
 * @param derivative receives <f, d>, the directional derivative, of every row, [n]
 */
export function newtonDirections(
  { products, weight, gradient, q }: RowSystems,
  wanted: Uint8Array,
  direction: Float64Array,
  derivative: Float64Array,
): void {
  const size = (q * (q + 1)) / 2;
  const l = new Float64Array(size);
  for (let row = 0; row < wanted.length; row++) {
    if (!wanted[row]) continue;
    const system = row * size;
    const at = row * q;
    // Forward substitution along with the factorisation, row by row of the triangle.
    for (let i = 0, to = 0; i < q; i++) {
      const rowI = to;
      let right = -gradient[at + i];
      for (let j = 0, rowJ = 0; j <= i; rowJ += ++j, to++) {
        let value = weight * products[system + to] + (i === j ? 1 : 0);
        for (let k = 0; k < j; k++) value -= l[rowI + k] * l[rowJ + k];
        if (j < i) {
          l[to] = value / l[rowJ + j];
          right -= l[to] * direction[at + j];
        } else {
          // Rounding may cancel the 1 of I in a system of huge entries; with 1, d is still a descent direction.
          l[to] = Math.sqrt(value > 0 ? value : 1);
        }
      }
      direction[at + i] = right / l[rowI + i];
    }
    for (let i = q - 1; i >= 0; i--) {
      for (let k = i + 1; k < q; k++) {
        direction[at + i] -= l[(k * (k + 1)) / 2 + i] * direction[at + k];
      }
      direction[at + i] /= l[(i * (i + 1)) / 2 + i];
    }
    derivative[row] = 0;
    for (let i = 0; i < q; i++) derivative[row] += gradient[at + i] * direction[at + i];
  }
}
