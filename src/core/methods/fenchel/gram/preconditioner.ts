import * as tf from '@tensorflow/tfjs';
import { rowChunks } from '../../../batches.js';
import { compiled } from '../../../compile.js';
import { withOnes } from '../../../network/stacked.js';
import type { Random } from '../../../random.js';
import { blend } from '../../../solvers/blend.js';
import { factor, NotPositiveDefiniteError } from '../../../solvers/cholesky.js';
import { dampedInverse, meanDiagonal } from '../../../solvers/damped-inverse.js';
import {
  deviceCholesky,
  deviceSolve,
  hasDeviceCholesky,
} from '../../../solvers/device-cholesky.js';
import { orthonormaliseRows } from '../../../solvers/orthonormalise.js';
import type { TrainingData } from '../../method.js';
import { scalars } from '../../scalars.js';

/**
 * Input-covariance preconditioners of one layer's W-step: G -> (C + delta I)^-1 G, with
 *
 *     C = mean of [F, 1]^T [F, 1] over rows,   F [m, p] the layer's inputs.
 *
 * This is the input factor of K-FAC (Martens and Grosse 2015); FOOF (Benzing 2022) and LocoProp (Amid,
 * Anil and Warmuth 2022) precondition by it alone.
 */
export type Preconditioner = DenseInverse | LowRankInverse;

/** (C + delta I)^-1 [n, n], or the Cholesky factor of C + delta I where the backend solves with it. */
export type DenseInverse = {
  readonly matrix: tf.Tensor2D;
  readonly delta: tf.Scalar;
};

/** (I - Y S) / delta, Y [n, rank] and S [rank, n]. */
export type LowRankInverse = {
  readonly y: tf.Tensor2D;
  readonly s: tf.Tensor2D;
  readonly delta: tf.Scalar;
};

/** (C + delta I)^-1 G of a gradient [n, q] with a running or a low-rank preconditioner; inside a compiled function. */
export function precondition(inverse: Preconditioner, gradient: tf.Tensor2D): tf.Tensor2D {
  if ('y' in inverse) {
    const { y, s, delta } = inverse;
    return tf.div(tf.sub(gradient, tf.matMul(y, tf.matMul(s, gradient))), delta);
  }
  return hasDeviceCholesky()
    ? deviceSolve(inverse.matrix, gradient)
    : tf.matMul(inverse.matrix, gradient);
}

/** [F, 1]^T [F, 1] / m of one batch, [p + 1, p + 1]. */
export function gramMatrix(inputs: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const extended = withOnes(inputs);
    return tf.div(tf.matMul(extended, extended, true, false), inputs.shape[0]);
  });
}

// Running preconditioners: of layers whose inputs change as the layers below learn.

/** How the C of one layer is averaged over batches, and inverted. */
export interface RunningOptions {
  readonly damping: number;
  /** Whether `damping` counts in units of the mean diagonal entry of C. */
  readonly relative?: boolean;
  /** Factor of the exponential average, per batch. */
  readonly average: number;
  /** Batches between updates. */
  readonly refresh: number;
  /** Whether the first updates are averaged evenly, until the factor is reached. */
  readonly ramp?: boolean;
  /** C of the layer's inputs in one batch; a compiled function. */
  readonly gram: (inputs: tf.Tensor2D) => tf.Tensor2D;
}

/** The average of a layer's C, on the device where the backend factors there, else in float64 on the host. */
export type RunningGram = {
  /** C [n, n] */
  readonly gram: tf.Tensor2D | Float64Array;
  /** Absent before the first batch. */
  readonly inverse: DenseInverse | undefined;
};

/** Before the first batch, of a layer with n inputs, the bias included. */
export const initialGram = (n: number): RunningGram => ({
  gram: hasDeviceCholesky() ? tf.zeros<tf.Rank.R2>([n, n]) : new Float64Array(n * n),
  inverse: undefined,
});

type Update = {
  /** C before this batch. */
  readonly old: readonly tf.Tensor2D[];
  readonly inputs: readonly tf.Tensor2D[];
  /** f and 1 - f */
  readonly shares: readonly tf.Scalar[];
};

/**
 * Makes the function that takes in the inputs F [m, p] of batch t (from 0) of some layers, where that is due:
 *
 *     C <- f C + (1 - f) current,   f = average^refresh, at most k / (k + 1) at update k with `ramp`,
 *
 * and f = 0 at update 0. It throws NotPositiveDefiniteError when a C + delta I cannot be factored.
 *
 * @param optionsOf of the layers; all are averaged and refreshed alike
 */
export function runningGrams<Context extends object>(
  optionsOf: (context: Context) => readonly RunningOptions[],
): (
  context: Context,
  t: number,
  old: readonly RunningGram[],
  inputs: readonly tf.Tensor2D[],
) => Promise<readonly RunningGram[]> {
  const batchGrams = compiled((context: Context, inputs: readonly tf.Tensor2D[]) =>
    optionsOf(context).map(({ gram }, i) => gram(inputs[i])),
  );
  const onDevice = compiled((context: Context, { old, inputs, shares }: Update) => {
    const running = optionsOf(context).map(({ damping, relative, gram: of }, i) => {
      const gram = blend(old[i], of(inputs[i]), shares);
      const n = gram.shape[0];
      const identity = tf.eye(n);
      const unit = relative ? tf.div(tf.sum(tf.mul(gram, identity)), n) : tf.scalar(1);
      const delta = tf.mul(unit, damping) as tf.Scalar;
      const matrix = deviceCholesky(tf.add(gram, tf.mul(identity, delta)));
      return { gram, inverse: { matrix, delta } };
    });
    // Not finite where a factorisation broke down: the device does not say.
    return { running, sums: tf.stack(running.map(({ inverse }) => tf.sum(inverse.matrix))) };
  });
  const onHost = (
    { damping, relative }: RunningOptions,
    old: Float64Array,
    current: ArrayLike<number>,
    f: number,
  ): RunningGram => {
    const gram = old.map((value, i) => f * value + (1 - f) * current[i]);
    const n = Math.sqrt(gram.length);
    const delta = relative ? damping * meanDiagonal(gram, n) : damping;
    return {
      gram,
      inverse: { matrix: dampedInverse(gram, n, () => delta), delta: tf.scalar(delta) },
    };
  };

  return async (context, t, old, inputs) => {
    const options = optionsOf(context);
    if (options.length === 0 || t % options[0].refresh !== 0) return old;
    const { average, refresh, ramp } = options[0];
    const k = t / refresh;
    const limit = average ** refresh;
    const f = k === 0 ? 0 : ramp ? Math.min(limit, k / (k + 1)) : limit;
    if (!hasDeviceCholesky()) {
      const values = await Promise.all(batchGrams(context, inputs).map((gram) => gram.data()));
      return options.map((own, i) => onHost(own, old[i].gram as Float64Array, values[i], f));
    }
    const { running, sums } = onDevice(context, {
      old: old.map(({ gram }) => gram as tf.Tensor2D),
      inputs,
      shares: scalars([f, 1 - f]),
    });
    const broken = (await sums.data()).findIndex((sum) => !Number.isFinite(sum));
    if (broken >= 0) throw await breakdown(running[broken]);
    return running;
  };
}

/** The error that says which pivot broke down: the device does not. */
async function breakdown({
  gram,
  inverse,
}: {
  readonly gram: tf.Tensor2D;
  readonly inverse: DenseInverse;
}): Promise<Error> {
  const n = gram.shape[0];
  const damped = Float64Array.from(await gram.data());
  const [delta] = await inverse.delta.data();
  for (let i = 0; i < n; i++) damped[i * n + i] += delta;
  try {
    const { index, pivot } = factor(damped, n).smallestPivot();
    // Positive in float64, and lost in the device's single precision.
    return new NotPositiveDefiniteError(index, pivot, n);
  } catch (error) {
    return error as Error;
  }
}

// Fixed preconditioners: of the input layer, whose C never changes.

/** Rows that the low-rank one's C is averaged over; more change nothing measurable there. */
const sampleRows = 2000;

/**
 * C of the training images, averaged over all of them, or over rows evenly spaced over the set. One
 * chunk of rows is on the device at a time.
 */
function trainingGram(
  { split, rows }: TrainingData,
  mostRows = Number.POSITIVE_INFINITY,
): tf.Tensor2D {
  const used = Math.min(mostRows, split.count);
  const spacing = split.count / used;
  return tf.tidy(() => {
    const features = split.images.length / split.count;
    let total: tf.Tensor2D = tf.zeros([features + 1, features + 1]);
    for (const chunk of rowChunks(used)) {
      const indices = chunk.map((row) => Math.floor(row * spacing));
      const share = chunk.length / used;
      total = tf.tidy(() => tf.add(total, tf.mul(gramMatrix(rows(indices)), share)));
    }
    return total;
  });
}

/**
 * (C + delta I)^-1 over all training images, formed once in float64. It costs a [p + 1, p + 1] x
 * [p + 1, q] product a step, and is the reference for the low-rank one.
 */
export async function exactInverse(train: TrainingData, damping: number): Promise<tf.Tensor2D> {
  const gram = trainingGram(train);
  return dampedInverse(await gram.data(), gram.shape[0], () => damping);
}

/** Passes of subspace iteration: enough for the leading eigenvectors of images. */
const passes = 2;

/**
 * The preconditioner from the leading eigenspace of C alone. Randomised subspace iteration (Halko,
 * Martinsson and Tropp 2011, algorithm 4.4) gives an orthonormal Q [p + 1, rank] and Y = C Q. With the
 * Nystroem approximation Y (Q^T Y)^-1 Y^T of C, Woodbury's identity turns the damped inverse into
 *
 *     (C + delta I)^-1  ~  (I - Y S) / delta,   S = (delta Q^T Y + Y^T Y)^-1 Y^T,
 *
 * exact on the span of Q and 1/delta beyond it, where the eigenvalues of C are far below delta.
 * Applying it costs 2 (p + 1) q rank multiplications instead of (p + 1)^2 q.
 *
 * @param options.damping delta
 * @param options.rank eigenvectors kept; at most p + 1
 */
export async function lowRankInverse(
  train: TrainingData,
  options: { readonly damping: number; readonly rank: number },
  random: Random,
): Promise<LowRankInverse> {
  const gram = trainingGram(train, sampleRows);
  const size = gram.shape[0];
  const rank = Math.min(options.rank, size);
  const { damping } = options;

  let basis: Float64Array = Float64Array.from({ length: rank * size }, () => random.normal());
  for (let pass = 0; pass < passes; pass++) {
    basis = await rowsTimes(basis, gram);
    orthonormaliseRows(basis, rank, size);
  }
  const image = await rowsTimes(basis, gram);
  const s = factor(innerMatrix(basis, image, rank, damping), rank).solve(image, size);
  return {
    y: tf.transpose(tf.tensor2d(Float32Array.from(image), [rank, size])),
    s: tf.tensor2d(Float32Array.from(s), [rank, size]),
    delta: tf.scalar(damping),
  };
}

/** Q^T C for Q^T [rank, size] on the host and symmetric C on the device. */
async function rowsTimes(rows: Float64Array, gram: tf.Tensor2D): Promise<Float64Array> {
  const size = gram.shape[0];
  const product = tf.matMul(tf.tensor2d(Float32Array.from(rows), [rows.length / size, size]), gram);
  return Float64Array.from(await product.data());
}

/** delta Q^T Y + Y^T Y, [rank, rank], from Q^T and Y^T; symmetric up to rounding, so only below the diagonal. */
function innerMatrix(basis: Float64Array, image: Float64Array, rank: number, damping: number) {
  const size = image.length / rank;
  const inner = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < size; k++) {
        const y = image[j * size + k];
        sum += (damping * basis[i * size + k] + image[i * size + k]) * y;
      }
      inner[i * rank + j] = sum;
    }
  }
  return inner;
}
