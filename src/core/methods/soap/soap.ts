import * as tf from '@tensorflow/tfjs';
import { blend } from '../../solvers/blend.js';
import { eigenbasis, refinedEigenbasis } from '../../solvers/eigenbasis.js';
import { adamRule } from '../adam/adam.js';
import { backPropagation, type UpdateRule } from '../back-propagation.js';
import type { SoapConfig } from './config.js';

/**
 * SOAP (Vyas et al. 2024, "SOAP: improving and stabilizing Shampoo using Adam"): Adam in the eigenbasis of Shampoo's
 * preconditioner. For a weight matrix W [in, out], in = kernel^2 channels for a convolution,
 *
 *     G' = QL^T G QR
 *     m <- beta1 m + (1 - beta1) G',   v <- beta2 v + (1 - beta2) G'^2
 *     W <- W - learningRate schedule(t) (QL (s m / (sqrt(v) + epsilon)) QR^T + weightDecay W)
 *     L <- shampooBeta L + (1 - shampooBeta) G G^T,   R <- shampooBeta R + (1 - shampooBeta) G^T G
 *
 * where s = sqrt(1 - beta2^k) / (1 - beta1^k) corrects m and v for their start at 0, k = t - 1. The first step fills L and R,
 * and takes their eigenvectors for QL and QR; parameters change by their weight decay alone. Every
 * `preconditionFrequency` steps, one step of orthogonal iteration refines them: QL <- Q of L QL = Q R, its columns sorted by
 * the diagonal of QL^T L QL. m is rotated into the new basis, and the rows and columns of v follow the sorting.
 *
 * Biases, whose side has no matrix, and sides longer than `maxDimension` keep the identity for their basis: Adam.
 *
 * Reference: Algorithm 3 of the paper, and the authors' code.
 */
export const soap = backPropagation<SoapConfig, SoapAverages>(soapRule);

/** L or R, [n, n], and its eigenvectors as columns; nothing where the basis is the identity. */
type Side = { readonly gram: tf.Tensor2D; readonly basis: tf.Tensor2D } | readonly [];

export type SoapAverages = {
  /** m and v, both in the eigenbasis. */
  readonly moments: readonly tf.Tensor[];
  readonly left: Side;
  readonly right: Side;
};

export function soapRule(config: SoapConfig): UpdateRule<SoapAverages> {
  const { beta1, beta2, shampooBeta, epsilon, preconditionFrequency, maxDimension } = config;
  const adam = adamRule({ beta1, beta2, epsilon });
  const decay = [shampooBeta, 1 - shampooBeta];
  const sideOf = (n: number): Side =>
    n > maxDimension ? [] : { gram: tf.zeros([n, n]), basis: tf.eye(n) };

  return {
    init: (tensor, place) => ({
      moments: adam.init(tensor, place),
      left: place.isWeights ? sideOf(tensor.shape[0]) : [],
      right: place.isWeights ? sideOf(tensor.shape[1] as number) : [],
    }),

    // Adam's steps are counted from the second on; in the first its gradient is 0, and so is its step. As in the authors'
    // code, epsilon is added to sqrt(v) before its correction; adamRule's second coefficient would correct it too.
    coefficients: (t, rate) => {
      const [corrected] = adam.coefficients(Math.max(1, t - 1), rate);
      return [corrected, epsilon, t > 1 ? 1 : 0];
    },

    step: (gradient, averages, [rate, floor, started], place) => {
      const { moments, left, right } = averages;
      const projected = tf.mul(projection(gradient, averages), started);
      const inBasis = adam.step(projected, moments, [rate, floor], place);
      return {
        step: backProjection(inBasis.step, averages),
        averages: {
          moments: inBasis.averages,
          left: filled(left, () => tf.matMul(gradient, gradient, false, true), decay),
          right: filled(right, () => tf.matMul(gradient, gradient, true, false), decay),
        },
      };
    },

    refresh: async (t, averages) => {
      if ((t - 1) % preconditionFrequency !== 0) return averages;
      const refreshed: SoapAverages[] = [];
      for (const old of averages) {
        refreshed.push(await (t === 1 ? withEigenbases(old) : withRefinedBases(old)));
      }
      return refreshed;
    },
  };
}

/** QL^T G QR */
function projection(
  g: tf.Tensor,
  { left, right }: Pick<SoapAverages, 'left' | 'right'>,
): tf.Tensor {
  const rows = 'basis' in left ? tf.matMul(left.basis, g as tf.Tensor2D, true, false) : g;
  return 'basis' in right ? tf.matMul(rows as tf.Tensor2D, right.basis) : rows;
}

/** QL G' QR^T */
function backProjection(
  g: tf.Tensor,
  { left, right }: Pick<SoapAverages, 'left' | 'right'>,
): tf.Tensor {
  const rows = 'basis' in left ? tf.matMul(left.basis, g as tf.Tensor2D) : g;
  return 'basis' in right ? tf.matMul(rows as tf.Tensor2D, right.basis, false, true) : rows;
}

function filled(side: Side, product: () => tf.Tensor, decay: readonly number[]): Side {
  if (!('gram' in side)) return side;
  // What is compiled returns new tensors.
  return { gram: blend(side.gram, product() as tf.Tensor2D, decay), basis: side.basis.clone() };
}

async function withEigenbases({ moments, left, right }: SoapAverages): Promise<SoapAverages> {
  const taken = async (side: Side): Promise<Side> =>
    'gram' in side ? { ...side, basis: await eigenbasis(side.gram) } : side;
  return { moments, left: await taken(left), right: await taken(right) };
}

async function withRefinedBases(old: SoapAverages): Promise<SoapAverages> {
  const [m, v] = old.moments;
  const left = await refined(old.left);
  const right = await refined(old.right);
  const bases = { left: left.side, right: right.side };
  return {
    moments: [
      projection(backProjection(m, old), bases),
      [left, right].reduce((sorted, { order }, axis) => {
        return order ? tf.gather(sorted, order, axis) : sorted;
      }, v),
    ],
    ...bases,
  };
}

async function refined(side: Side): Promise<{ readonly side: Side; readonly order?: tf.Tensor1D }> {
  if (!('gram' in side)) return { side };
  const { basis, order } = await refinedEigenbasis(side.gram, side.basis);
  return { side: { ...side, basis }, order };
}
