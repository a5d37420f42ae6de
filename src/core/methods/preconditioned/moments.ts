import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../compile.js';
import { blend } from '../../solvers/blend.js';
import { factor, NotPositiveDefiniteError } from '../../solvers/cholesky.js';
import { dampedInverse, meanDiagonal } from '../../solvers/damped-inverse.js';
import { deviceCholesky, deviceSolve, hasDeviceCholesky } from '../../solvers/device-cholesky.js';
import { scalars } from '../scalars.js';
import type { PreconditionedConfig } from './config.js';

/**
 * Running second moments [n, n] of the vectors at a layer, and their damped inverses: on the device in single
 * precision where the backend factors there, else on the host in float64.
 */
export type Moment = tf.Tensor2D | Float64Array;

/** (M + delta I)^-1 [n, n], or the Cholesky factor of M + delta I where the backend solves with it. */
export type DenseInverse = { readonly matrix: tf.Tensor2D; readonly delta: tf.Scalar };

export const zeroMoment = (n: number): Moment =>
  hasDeviceCholesky() ? tf.zeros<tf.Rank.R2>([n, n]) : new Float64Array(n * n);

/** A matrix of the device where moments are kept. */
export const momentOf = async (matrix: tf.Tensor2D): Promise<Moment> =>
  hasDeviceCholesky() ? matrix : Float64Array.from(await matrix.data());

/** (M + delta I)^-1 G of a matrix [n, q]; inside a compiled function. */
export const applyInverse = ({ matrix }: DenseInverse, g: tf.Tensor2D): tf.Tensor2D =>
  hasDeviceCholesky() ? deviceSolve(matrix, g) : tf.matMul(matrix, g);

/** Batches after which `interval` grows by one. */
const batchesPerInterval = 25;

/**
 * The share f of the average that is kept in M <- f M + (1 - f) current at batch t (from 0),
 *
 *     f = min(covarianceDecay^interval, t / (t + 1)),
 *
 * every `interval` batches, which grows from 1 to `covarianceInterval`: at first the features change so
 * fast that an M of some batches ago makes steps several times too long.
 *
 * @returns undefined at batches without an update
 */
export function movingShare(
  {
    covarianceDecay,
    covarianceInterval,
  }: Pick<PreconditionedConfig, 'covarianceDecay' | 'covarianceInterval'>,
  t: number,
): number | undefined {
  const interval = Math.min(covarianceInterval, 1 + Math.floor(t / batchesPerInterval));
  if (t % interval !== 0) return undefined;
  return Math.min(covarianceDecay ** interval, t / (t + 1));
}

/** f old + (1 - f) current, where `old` is. */
export async function averageMoments(
  context: object,
  f: number,
  old: readonly Moment[],
  current: readonly tf.Tensor2D[],
): Promise<readonly Moment[]> {
  if (hasDeviceCholesky()) {
    const averages = old as readonly tf.Tensor2D[];
    return blended(context, { old: averages, current, shares: scalars([f, 1 - f]) });
  }
  return Promise.all(
    current.map(async (moment, i) => {
      const values = await moment.data();
      return (old[i] as Float64Array).map((value, k) => f * value + (1 - f) * values[k]);
    }),
  );
}

type Averaging = {
  readonly old: readonly tf.Tensor2D[];
  readonly current: readonly tf.Tensor2D[];
  readonly shares: readonly tf.Scalar[];
};

const blended = compiled((_: object, { old, current, shares }: Averaging) =>
  blend(old, current, shares),
);

/**
 * The damped inverse of each, with delta = damping mean(diag M).
 * @throws NotPositiveDefiniteError when M + delta I cannot be factored
 */
export async function invert(
  context: { readonly config: { readonly damping: number } },
  moments: readonly Moment[],
): Promise<readonly DenseInverse[]> {
  const { damping } = context.config;
  if (!hasDeviceCholesky()) {
    const deltas = (moments as readonly Float64Array[]).map(
      (moment) => damping * meanOnHost(moment),
    );
    return invertWith(context, moments, deltas);
  }
  return invertWith(context, moments, relative(context, moments as readonly tf.Tensor2D[]));
}

const meanOnHost = (moment: Float64Array) => meanDiagonal(moment, Math.sqrt(moment.length));

const meanOnDevice = (moment: tf.Tensor2D): tf.Scalar =>
  tf.div(tf.sum(tf.mul(moment, tf.eye(moment.shape[0]))), moment.shape[0]);

const relative = compiled(
  (
    { config }: { readonly config: { readonly damping: number } },
    moments: readonly tf.Tensor2D[],
  ) => moments.map((moment) => tf.mul(meanOnDevice(moment), config.damping) as tf.Scalar),
);

/** Mean diagonal entries, on the device. */
export const meanDiagonals = (context: object, moments: readonly Moment[]): readonly tf.Scalar[] =>
  hasDeviceCholesky()
    ? meansOf(context, moments as readonly tf.Tensor2D[])
    : scalars((moments as readonly Float64Array[]).map(meanOnHost));

const meansOf = compiled((_: object, moments: readonly tf.Tensor2D[]) => moments.map(meanOnDevice));

/**
 * (M + delta I)^-1 of each.
 * @param deltas numbers where the moments are on the host, or scalars, which are then read
 * @throws NotPositiveDefiniteError when M + delta I cannot be factored
 */
export async function invertWith(
  context: object,
  moments: readonly Moment[],
  deltas: readonly number[] | readonly tf.Scalar[],
): Promise<readonly DenseInverse[]> {
  if (!hasDeviceCholesky()) {
    return Promise.all(
      (moments as readonly Float64Array[]).map(async (moment, i) => {
        const given = deltas[i];
        const delta = typeof given === 'number' ? given : (await given.data())[0];
        const matrix = dampedInverse(moment, Math.sqrt(moment.length), () => delta);
        return { matrix, delta: typeof given === 'number' ? tf.scalar(given) : given };
      }),
    );
  }
  const input = {
    moments: moments as readonly tf.Tensor2D[],
    deltas: deltas as readonly tf.Scalar[],
  };
  const { inverses, sums } = factored(context, input);
  const covariances = input.moments.map((covariance, i) => ({ covariance, inverse: inverses[i] }));
  await checkFactors({ covariances, sums });
  return inverses;
}

/**
 * {@link averageMoments} and {@link invert} on the device, but for the check; inside a compiled function.
 * @returns `sums` for {@link checkFactors}
 */
export function averageAndInvert(
  context: { readonly config: { readonly damping: number } },
  { old, current, shares }: Averaging,
) {
  const moments = blend(old, current, shares);
  const { inverses, sums } = factored(context, { moments, deltas: relative(context, moments) });
  return {
    covariances: moments.map((covariance, i) => ({ covariance, inverse: inverses[i] })),
    sums,
  };
}

/** @throws NotPositiveDefiniteError where the sum of a factor is not finite */
export async function checkFactors({
  covariances,
  sums,
}: ReturnType<typeof averageAndInvert>): Promise<void> {
  const broken = (await sums.data()).findIndex((sum) => !Number.isFinite(sum));
  if (broken < 0) return;
  const { covariance, inverse } = covariances[broken];
  throw await breakdown(covariance, inverse.delta);
}

const factored = compiled(
  (
    _: object,
    { moments, deltas }: { moments: readonly tf.Tensor2D[]; deltas: readonly tf.Scalar[] },
  ) => {
    const inverses = moments.map((moment, i) => {
      const delta = deltas[i];
      const matrix = deviceCholesky(tf.add(moment, tf.mul(tf.eye(moment.shape[0]), delta)));
      return { matrix, delta };
    });
    // Not finite where a factorisation broke down: the device does not say.
    return { inverses, sums: tf.stack(inverses.map(({ matrix }) => tf.sum(matrix))) };
  },
);

/** The error that says which pivot broke down. */
async function breakdown(moment: tf.Tensor2D, ridge: tf.Scalar): Promise<Error> {
  const n = moment.shape[0];
  const damped = Float64Array.from(await moment.data());
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
