import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../compile.js';
import { losses } from '../../network/loss.js';
import type { LinearMap } from '../../network/maps/linear-map.js';
import { withOnes } from '../../network/stacked.js';
import { Random } from '../../random.js';
import { blend } from '../../solvers/blend.js';
import { factor, NotPositiveDefiniteError } from '../../solvers/cholesky.js';
import { dampedInverse, meanDiagonal } from '../../solvers/damped-inverse.js';
import { deviceCholesky, deviceSolve, hasDeviceCholesky } from '../../solvers/device-cholesky.js';
import { dot, orthonormaliseRows } from '../../solvers/orthonormalise.js';
import type { MethodContext, TrainingData } from '../method.js';
import { scalars } from '../scalars.js';
import type { PreconditionedConfig } from './config.js';

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

/** (H + delta I)^-1 [n, n], or the Cholesky factor of H + delta I where the backend solves with it. */
export type DenseInverse = { readonly matrix: tf.Tensor2D; readonly delta: tf.Scalar };

/** (I - Y S) / delta, Y [n, rank] and S [rank, n]. */
export type LowRankInverse = {
  readonly y: tf.Tensor2D;
  readonly s: tf.Tensor2D;
  readonly delta: tf.Scalar;
};

type Context = Pick<MethodContext<PreconditionedConfig>, 'config' | 'network' | 'loss' | 'train'>;

/** (H + delta I)^-1 G of a gradient [n, q]; inside a compiled function. */
export function precondition(inverse: Preconditioner, gradient: tf.Tensor2D): tf.Tensor2D {
  if ('y' in inverse) {
    const { y, s, delta } = inverse;
    return tf.div(tf.sub(gradient, tf.matMul(y, tf.matMul(s, gradient))), delta);
  }
  return hasDeviceCholesky()
    ? deviceSolve(inverse.matrix, gradient)
    : tf.matMul(inverse.matrix, gradient);
}

/** h: sup phi' of a hidden layer; of the output layer that of the loss, as `targetStep` scales it. */
export const curvatureOf = ({ network, loss }: Pick<Context, 'network' | 'loss'>, l: number) =>
  l === network.activations.length
    ? Math.min(0.5, losses[loss].curvature)
    : network.activations[l].maxSlope;

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
  readonly covariance: tf.Tensor2D | Float64Array;
  /** Absent before the first batch. */
  readonly inverse: DenseInverse | undefined;
};

export function initialCovariance({ weightShape }: LinearMap): RunningCovariance {
  const n = weightShape[0] + 1;
  const covariance = hasDeviceCholesky() ? tf.zeros<tf.Rank.R2>([n, n]) : new Float64Array(n * n);
  return { covariance, inverse: undefined };
}

/** Batches after which `interval` grows by one. */
const batchesPerInterval = 25;

/**
 * Takes in the inputs F [m, p] of batch t (from 0) of the upper layers, where that is due:
 *
 *     H <- f H + (1 - f) current,   f = min(covarianceDecay^interval, t / (t + 1))
 *
 * every `interval` batches, which grows from 1 to `covarianceInterval`: at first the features change so
 * fast that an H of some batches ago makes steps several times too long.
 *
 * @param old of the upper layers, as many as `inputs`
 * @throws NotPositiveDefiniteError when H + delta I cannot be factored
 */
export async function updateCovariances(
  context: Context,
  t: number,
  old: readonly RunningCovariance[],
  inputs: readonly tf.Tensor2D[],
): Promise<readonly RunningCovariance[]> {
  const { covarianceDecay, covarianceInterval } = context.config;
  const interval = Math.min(covarianceInterval, 1 + Math.floor(t / batchesPerInterval));
  if (t % interval !== 0) return old;
  const f = Math.min(covarianceDecay ** interval, t / (t + 1));
  const covariances = hasDeviceCholesky()
    ? averaged(context, {
        old: old.map(({ covariance }) => covariance as tf.Tensor2D),
        inputs,
        shares: scalars([f, 1 - f]),
      })
    : await averagedOnHost(f, old, batchCovariances(context, { inputs }));
  const inverses = await invert(context, covariances);
  return covariances.map((covariance, i) => ({ covariance, inverse: inverses[i] }));
}

/** H of one batch of each upper layer; of convolutions from `covarianceImages` of its images. */
function covariancesOf(context: Context, inputs: readonly tf.Tensor2D[]): tf.Tensor2D[] {
  const { config, network } = context;
  return inputs.map((rows, i) => {
    const l = network.maps.length - inputs.length + i;
    const { positions } = network.maps[l];
    const used = positions > 1 ? Math.min(rows.shape[0], config.covarianceImages) : rows.shape[0];
    const seen = tf.slice(rows, [0, 0], [used, rows.shape[1]]);
    return tf.mul(secondMoment(network.maps[l], seen), positions * curvatureOf(context, l));
  });
}

type Inputs = { readonly inputs: readonly tf.Tensor2D[] };

const batchCovariances = compiled((context: Context, { inputs }: Inputs) =>
  covariancesOf(context, inputs),
);

/** @param shares f and 1 - f */
const averaged = compiled(
  (
    context: Context,
    { old, inputs, shares }: Inputs & { old: readonly tf.Tensor2D[]; shares: readonly tf.Scalar[] },
  ) => covariancesOf(context, inputs).map((batch, i) => blend(old[i], batch, shares)),
);

const averagedOnHost = (
  f: number,
  old: readonly RunningCovariance[],
  batches: readonly tf.Tensor2D[],
): Promise<Float64Array[]> =>
  Promise.all(
    batches.map(async (batch, i) => {
      const current = await batch.data();
      const before = old[i].covariance as Float64Array;
      return before.map((value, k) => f * value + (1 - f) * current[k]);
    }),
  );

/**
 * The damped inverse of each H, on the device or in float64 on the host, as H is.
 * @throws NotPositiveDefiniteError when H + delta I cannot be factored
 */
export async function invert(
  context: { readonly config: { readonly damping: number } },
  covariances: readonly (tf.Tensor2D | Float64Array)[],
): Promise<readonly DenseInverse[]> {
  if (covariances[0] instanceof Float64Array) {
    return (covariances as Float64Array[]).map((covariance) => {
      const n = Math.sqrt(covariance.length);
      const delta = context.config.damping * meanDiagonal(covariance, n);
      return { matrix: dampedInverse(covariance, n, () => delta), delta: tf.scalar(delta) };
    });
  }
  const onDevice = covariances as readonly tf.Tensor2D[];
  const { inverses, sums } = factored(context, onDevice);
  const broken = (await sums.data()).findIndex((sum) => !Number.isFinite(sum));
  if (broken >= 0) throw await breakdown(onDevice[broken], inverses[broken].delta);
  return inverses;
}

const factored = compiled(
  (
    { config }: { readonly config: { readonly damping: number } },
    covariances: readonly tf.Tensor2D[],
  ) => {
    const inverses = covariances.map((covariance): DenseInverse => {
      const n = covariance.shape[0];
      const identity = tf.eye(n);
      const mean = tf.div(tf.sum(tf.mul(covariance, identity)), n);
      const delta = tf.mul(mean, config.damping) as tf.Scalar;
      return { matrix: deviceCholesky(tf.add(covariance, tf.mul(identity, delta))), delta };
    });
    // Not finite where a factorisation broke down: the device does not say.
    return { inverses, sums: tf.stack(inverses.map(({ matrix }) => tf.sum(matrix))) };
  },
);

/** The error that says which pivot broke down. */
async function breakdown(covariance: tf.Tensor2D, ridge: tf.Scalar): Promise<Error> {
  const n = covariance.shape[0];
  const damped = Float64Array.from(await covariance.data());
  const [delta] = await ridge.data();
  for (let i = 0; i < n; i++) damped[i * n + i] += delta;
  try {
    const { index, pivot } = factor(damped, n).smallestPivot();
    // Positive in float64, and lost in the device's single precision.
    return new NotPositiveDefiniteError(index, pivot, n);
  } catch (error) {
    return error as Error;
  }
}

// The fixed one: of a fully connected first layer, whose inputs never change.

/** Rows that its covariance is averaged over; more change nothing measurable. */
const sampleRows = 2000;
/** Passes of subspace iteration: enough for the leading eigenvectors of images. */
const passes = 2;

/**
 * The preconditioner of the first layer from the leading eigenspace of its H alone. Randomised subspace
 * iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4) gives an orthonormal Q [n, rank] and
 * Y = H Q. With the Nystroem approximation Y (Q^T Y)^-1 Y^T of H, Woodbury's identity turns the damped
 * inverse into
 *
 *     (H + delta I)^-1  ~  (I - Y S) / delta,   S = (delta Q^T Y + Y^T Y)^-1 Y^T,
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

  // The same start for every seed: two passes forget it.
  const random = new Random(1, 'subspace iteration');
  let basis: Float64Array = Float64Array.from({ length: rank * n }, () => random.normal());
  for (let pass = 0; pass < passes; pass++) {
    basis = await rowsTimes(basis, gram);
    orthonormaliseRows(basis, rank, n);
  }
  const image = await rowsTimes(basis, gram);
  const smallest = dot(basis.subarray((rank - 1) * n), image.subarray((rank - 1) * n));
  const delta = config.damping * meanDiagonal(await gram.data(), n) + smallest;
  const s = factor(innerMatrix(basis, image, rank, delta), rank).solve(image, n);
  return {
    y: tf.transpose(tf.tensor2d(Float32Array.from(image), [rank, n])),
    s: tf.tensor2d(Float32Array.from(s), [rank, n]),
    delta: tf.scalar(delta),
  };
}

/** E [F, 1]^T [F, 1] over rows that are evenly spaced over the training images. */
function sampledMoment({ split, rows }: TrainingData, map: LinearMap): tf.Tensor2D {
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
