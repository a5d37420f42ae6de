import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../compile.js';
import { losses } from '../../network/loss.js';
import type { LinearMap } from '../../network/maps/linear-map.js';
import type { LayerParameters } from '../../network/parameters.js';
import { splitBias, stackBias, withOnes } from '../../network/stacked.js';
import { Random } from '../../random.js';
import { factor } from '../../solvers/cholesky.js';
import { meanDiagonal } from '../../solvers/damped-inverse.js';
import { hasDeviceCholesky } from '../../solvers/device-cholesky.js';
import { dot, orthonormaliseRows } from '../../solvers/orthonormalise.js';
import type { MethodContext, TrainingData } from '../method.js';
import { scalars } from '../scalars.js';
import type { PreconditionedConfig } from './config.js';
import {
  applyInverse,
  averageAndInvert,
  averageMoments,
  type DenseInverse,
  invert,
  type Moment,
  movingShare,
  zeroMoment,
} from './moments.js';

/**
 * Input-covariance preconditioners. For a layer U = P(F) W + b, whose term above has a second derivative
 * of at most h,
 *
 *     H = h E [P(F), 1]^T [P(F), 1],   summed over the output positions that share W,
 *     G -> (H + delta I)^-1 G,         delta = damping mean(diag H).
 *
 * This is the input factor of K-FAC (Martens and Grosse 2015); FOOF (Benzing 2022) and LocoProp (Amid,
 * Anil and Warmuth 2022) precondition by it alone.
 */
export type Preconditioner = DenseInverse | LowRankInverse;

/** (I - Z Z^T) / delta. */
export type LowRankInverse = {
  /** Z: the rows of the weights [n - 1, rank] and that of the bias [rank]. */
  readonly z: LayerParameters;
  /** I - Z^T Z [rank, rank], which float32 would lose to rounding. */
  readonly rest: tf.Tensor2D;
  readonly delta: tf.Scalar;
};

type Context = Pick<MethodContext<PreconditionedConfig>, 'config' | 'network' | 'loss' | 'train'>;

/**
 * D = c (H + delta I)^-1 G of a layer's gradient G, and tr(D^T H D); inside a compiled function. c is delta where the
 * inverse has low rank, which saves a division, and else 1: steps of a normalised length do not depend on it.
 */
export function precondition(
  inverse: Preconditioner,
  gradient: LayerParameters,
): { readonly direction: LayerParameters; readonly energy: tf.Scalar } {
  if ('z' in inverse) {
    // H D = delta Z Z^T G, and so tr(D^T H D) = delta <P, (I - Z^T Z) P> with P = Z^T G: no pass over D.
    const { z, rest, delta } = inverse;
    const bias: tf.Tensor2D = tf.reshape(z.bias, [-1, 1]);
    const thin: tf.Tensor2D = tf.add(
      tf.matMul(z.weights, gradient.weights, true, false),
      tf.mul(bias, gradient.bias),
    );
    const direction: LayerParameters = {
      weights: tf.sub(gradient.weights, tf.matMul(z.weights, thin)),
      bias: tf.sub(gradient.bias, tf.sum(tf.mul(bias, thin), 0)),
    };
    return { direction, energy: tf.mul(tf.sum(tf.mul(thin, tf.matMul(rest, thin))), delta) };
  }
  const stacked = stackBias(gradient);
  const direction = applyInverse(inverse, stacked);
  return {
    direction: splitBias(direction),
    energy: energyOf({ gradient: stacked, direction, delta: inverse.delta }),
  };
}

/** tr(D^T H D) of D = (H + delta I)^-1 G. */
export const energyOf = ({
  gradient,
  direction,
  delta,
}: {
  readonly gradient: tf.Tensor2D;
  readonly direction: tf.Tensor2D;
  readonly delta: tf.Scalar;
}): tf.Scalar => tf.sum(tf.mul(direction, tf.sub(gradient, tf.mul(direction, delta))));

/**
 * h: sup phi' of a hidden layer; of the output layer that of the loss, as `targetStep` scales it. Steps are of a
 * normalised length, so a constant factor of H changes none: 1 where phi jumps, whatever its smoothing.
 */
export const curvatureOf = ({ network, loss }: Pick<Context, 'network' | 'loss'>, l: number) =>
  l === network.activations.length
    ? Math.min(0.5, losses[loss].curvature)
    : finite(network.activations[l].maxSlope);

const finite = (slope: number) => (Number.isFinite(slope) ? slope : 1);

/** E [P(F), 1]^T [P(F), 1] of inputs F [m, p], averaged over rows and positions. */
function secondMoment({ patches }: LinearMap, inputs: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const extended = withOnes(patches(inputs));
    return tf.div(tf.matMul(extended, extended, true, false), extended.shape[0]);
  });
}

// The running average: of layers whose inputs change as the layers below learn.

/** The exponential average of a layer's H, on the device where the backend factors there, else on the host. */
export type RunningCovariance = {
  /** H [n, n] */
  readonly covariance: Moment;
  /** Absent before the first batch. */
  readonly inverse: DenseInverse | undefined;
};

export const initialCovariance = ({ weightShape }: LinearMap): RunningCovariance => ({
  covariance: zeroMoment(weightShape[0] + 1),
  inverse: undefined,
});

/**
 * Takes in the inputs F [m, p] of batch t (from 0) of the upper layers, where {@link movingShare} f says that it is due:
 * H <- f H + (1 - f) current.
 * @param old of the upper layers, as many as `inputs`
 * @throws NotPositiveDefiniteError when H + delta I cannot be factored
 */
export async function updateCovariances(
  context: Context,
  t: number,
  old: readonly RunningCovariance[],
  inputs: readonly tf.Tensor2D[],
): Promise<readonly RunningCovariance[]> {
  const f = movingShare(context.config, t);
  if (f === undefined) return old;
  const covariances = await averageMoments(
    context,
    f,
    old.map(({ covariance }) => covariance),
    batchCovariances(context, { inputs }),
  );
  const inverses = await invert(context, covariances);
  return covariances.map((covariance, i) => ({ covariance, inverse: inverses[i] }));
}

/** What a step takes that renews the covariances itself, on a device that factors. */
export type Renewal = {
  readonly old: readonly tf.Tensor2D[];
  /** f and 1 - f */
  readonly shares: readonly tf.Scalar[];
};

/** Of batch t; undefined where no update is due, or the host factors. */
export function renewalOf(
  { config }: Pick<Context, 'config'>,
  t: number,
  old: readonly RunningCovariance[],
): Renewal | undefined {
  const f = movingShare(config, t);
  if (f === undefined || !hasDeviceCholesky()) return undefined;
  const moments = old.map(({ covariance }) => covariance as tf.Tensor2D);
  return { old: moments, shares: scalars([f, 1 - f]) };
}

/** {@link updateCovariances} but for the check of the factors, from the inputs of all layers; inside a compiled function. */
export function renewedCovariances(
  context: Context,
  { old, shares }: Renewal,
  inputs: readonly tf.Tensor2D[],
) {
  const covered = inputs.slice(inputs.length - old.length);
  const current = batchCovariances(context, { inputs: covered });
  return averageAndInvert(context, { old, current, shares });
}

/** H of one batch of each upper layer; of convolutions from `covarianceImages` of its images. */
const batchCovariances = compiled(
  (context: Context, { inputs }: { readonly inputs: readonly tf.Tensor2D[] }) =>
    inputs.map((rows, i) => {
      const l = context.network.maps.length - inputs.length + i;
      const moment = inputMoment(context, context.network.maps[l], rows);
      return tf.mul(moment, curvatureOf(context, l)) as tf.Tensor2D;
    }),
);

/** E sum_t [x_t, 1] [x_t, 1]^T over the positions t of a layer; of convolutions from `covarianceImages` rows. */
export function inputMoment(
  { config }: { readonly config: Pick<PreconditionedConfig, 'covarianceImages'> },
  map: LinearMap,
  inputs: tf.Tensor2D,
): tf.Tensor2D {
  const { positions } = map;
  const [rows, units] = inputs.shape;
  const used = positions > 1 ? Math.min(rows, config.covarianceImages) : rows;
  return tf.mul(secondMoment(map, tf.slice(inputs, [0, 0], [used, units])), positions);
}

// The fixed one: of a fully connected first layer, whose inputs never change.

/** Rows that its covariance is averaged over; more change nothing measurable. */
const sampleRows = 2000;
/** Passes of subspace iteration: enough for the leading eigenvectors of images. */
const passes = 2;

/**
 * The preconditioner of the first layer from the leading eigenspace of its H alone. Subspace iteration gives an
 * orthonormal Q [n, rank] and Y = H Q. With the Nystroem approximation Y (Q^T Y)^-1 Y^T of H, Woodbury's identity
 * turns the damped inverse into
 *
 *     (H + delta I)^-1  ~  (I - Z Z^T) / delta,   Z = Y L^-T,   L L^T = delta Q^T Y + Y^T Y,
 *
 * exact on the span of Q and 1/delta beyond it. There the eigenvalues of H are at most the smallest
 * that is kept, which is therefore added to delta: what is not resolved counts as that large (Frangella,
 * Tropp and Udell 2023). Applying it costs 2 n q rank multiplications instead of n^2 q.
 */
export async function firstLayerPreconditioner(context: Context): Promise<LowRankInverse> {
  const { config, network, train } = context;
  const gram: tf.Tensor2D = tf.mul(sampledMoment(train, network.maps[0]), curvatureOf(context, 0));
  const n = gram.shape[0];
  const rank = Math.min(config.inputRank, n);
  const { basis, image } = await leadingSubspace(gram, rank);
  const smallest = dot(basis.subarray((rank - 1) * n), image.subarray((rank - 1) * n));
  const delta = config.damping * meanDiagonal(await gram.data(), n) + smallest;
  // Z^T [rank, n]
  const z = factor(innerMatrix(basis, image, rank, delta), rank).halfSolve(image, n);
  return {
    z: splitBias(tf.transpose(tf.tensor2d(Float32Array.from(z), [rank, n]))),
    rest: tf.tensor2d(Float32Array.from(complement(z, rank)), [rank, rank]),
    delta: tf.scalar(delta),
  };
}

/**
 * Q^T and Q^T A, [rank, n] row-major, of an orthonormal Q that spans about the leading eigenvectors of a symmetric
 * A [n, n]: randomised subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4).
 */
export async function leadingSubspace(
  matrix: tf.Tensor2D,
  rank: number,
): Promise<{ readonly basis: Float64Array; readonly image: Float64Array }> {
  const n = matrix.shape[0];
  // The same start for every seed: two passes forget it.
  const random = new Random(1, 'subspace iteration');
  let basis: Float64Array = Float64Array.from({ length: rank * n }, () => random.normal());
  for (let pass = 0; pass < passes; pass++) {
    basis = await rowsTimes(basis, matrix);
    orthonormaliseRows(basis, rank, n);
  }
  return { basis, image: await rowsTimes(basis, matrix) };
}

/** E [F, 1]^T [F, 1] over rows that are evenly spaced over the training images. */
export function sampledMoment({ split, rows }: TrainingData, map: LinearMap): tf.Tensor2D {
  const used = Math.min(sampleRows, split.count);
  const indices = Array.from({ length: used }, (_, i) => Math.floor((i * split.count) / used));
  return tf.tidy(() => secondMoment(map, rows(indices)));
}

/** Q^T H for Q^T [rank, n] on the host and symmetric H on the device. */
async function rowsTimes(rows: Float64Array, gram: tf.Tensor2D): Promise<Float64Array> {
  const n = gram.shape[0];
  const product = tf.matMul(tf.tensor2d(Float32Array.from(rows), [rows.length / n, n]), gram);
  return Float64Array.from(await product.data());
}

/** delta Q^T Y + Y^T Y, [rank, rank], from Q^T and Y^T; symmetric up to rounding, so only below the diagonal. */
function innerMatrix(basis: Float64Array, image: Float64Array, rank: number, delta: number) {
  const n = image.length / rank;
  const inner = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) {
        sum += (delta * basis[i * n + k] + image[i * n + k]) * image[j * n + k];
      }
      inner[i * rank + j] = sum;
    }
  }
  // Directions that no image has, where Y is zero up to rounding, must not break the factorisation.
  const floor = 1e-7 * meanDiagonal(inner, rank);
  for (let i = 0; i < rank; i++) inner[i * rank + i] += floor;
  return inner;
}

/** I - Z^T Z [rank, rank] of Z^T [rank, n]. */
function complement(z: Float64Array, rank: number): Float64Array {
  const n = z.length / rank;
  return Float64Array.from({ length: rank * rank }, (_, k) => {
    const [i, j] = [Math.floor(k / rank), k % rank];
    return Number(i === j) - dot(z.subarray(i * n, (i + 1) * n), z.subarray(j * n, (j + 1) * n));
  });
}
