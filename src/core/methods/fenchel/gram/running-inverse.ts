import * as tf from '@tensorflow/tfjs';
import { type Compiled, compile } from '../../../compile.js';
import { blend } from '../../../solvers/blend.js';
import { factor, NotPositiveDefiniteError } from '../../../solvers/cholesky.js';
import { dampedInverse, meanDiagonal } from '../../../solvers/damped-inverse.js';
import {
  deviceCholesky,
  deviceSolve,
  hasDeviceCholesky,
} from '../../../solvers/device-cholesky.js';
import { scalars } from '../../scalars.js';
import type { Metric } from './metric.js';
import {
  RunningAverage,
  type RunningAverageOptions,
  type RunningAverageState,
} from './running-average.js';

export interface RunningInverseOptions extends RunningAverageOptions {
  readonly damping: number;
  /** Whether `damping` counts in units of the mean diagonal entry of C. */
  readonly relative?: boolean;
  /** Rows and columns of C. */
  readonly size: number;
  /** The Gram matrix of a layer's inputs; a compiled function. */
  readonly gram: (inputs: tf.Tensor2D) => tf.Tensor2D;
}

/**
 * (C + delta I)^-1: as a matrix, or as the Cholesky factor of C + delta I where the backend solves
 * with it.
 */
export type AppliedInverse = {
  /** [n, n] */
  readonly matrix: tf.Tensor2D;
  readonly delta: tf.Scalar;
};

/**
 * Metric of a layer whose inputs change as the layers below learn: C is an exponential average over
 * batches. It is averaged and factored on the device where the backend can, else on the host in float64.
 */
export const runningInverse = (options: RunningInverseOptions): Metric<AppliedInverse> =>
  hasDeviceCholesky() ? new DeviceInverse(options) : new HostInverse(options);

type Saved<Gram> = {
  readonly average: RunningAverageState;
  /** C [n, n] */
  readonly gram: Gram;
  readonly applied: AppliedInverse | undefined;
};

abstract class InverseHolder<Gram extends Float64Array | tf.Tensor2D> {
  #applied: AppliedInverse | undefined;
  protected readonly average: RunningAverage;
  protected abstract gram: Gram;

  constructor(protected readonly options: RunningInverseOptions) {
    this.average = new RunningAverage(options);
  }

  async observe(inputs: tf.Tensor2D): Promise<void> {
    if (this.average.isDue()) await this.update(inputs, this.average.nextFactor());
  }

  /** @param f factor of the average before this batch */
  protected abstract update(inputs: tf.Tensor2D, f: number): Promise<void>;

  get applied(): AppliedInverse {
    if (!this.#applied) throw new Error('the metric was asked for before it observed a batch');
    return this.#applied;
  }

  get state(): Saved<Gram> {
    return { average: this.average.state, gram: this.gram, applied: this.#applied };
  }

  set state({ average, gram, applied }: Saved<Gram>) {
    this.average.state = average;
    this.gram = gram;
    this.#applied = applied;
  }

  protected replace(applied: AppliedInverse | undefined): void {
    if (this.#applied) tf.dispose(this.#applied);
    this.#applied = applied;
  }

  dispose(): void {
    this.replace(undefined);
  }
}

class HostInverse extends InverseHolder<Float64Array> implements Metric<AppliedInverse> {
  protected gram = new Float64Array(this.options.size ** 2);

  protected async update(inputs: tf.Tensor2D, f: number): Promise<void> {
    const batch = tf.tidy(() => this.options.gram(inputs));
    const current = await batch.data();
    batch.dispose();
    const { damping, relative, size } = this.options;
    const c = this.gram;
    for (let i = 0; i < c.length; i++) c[i] = f * c[i] + (1 - f) * current[i];

    const delta = relative ? damping * meanDiagonal(c, size) : damping;
    const matrix = dampedInverse(c, size, () => delta);
    this.replace({ matrix, delta: tf.scalar(delta) });
  }

  apply({ matrix }: AppliedInverse, gradient: tf.Tensor2D): tf.Tensor2D {
    return tf.matMul(matrix, gradient);
  }
}

type Update = {
  /** C before this batch */
  readonly old: tf.Tensor2D;
  readonly inputs: tf.Tensor2D;
  /** f and 1 - f */
  readonly shares: readonly tf.Scalar[];
};

type Updated = {
  readonly gram: tf.Tensor2D;
  readonly applied: AppliedInverse;
  /** Of the factor's entries. */
  readonly sum: tf.Scalar;
};

class DeviceInverse extends InverseHolder<tf.Tensor2D> implements Metric<AppliedInverse> {
  protected gram: tf.Tensor2D = tf.zeros([this.options.size, this.options.size]);
  readonly #update: Compiled<Update, Updated> = compile((input: Update) => this.#updated(input));

  protected async update(inputs: tf.Tensor2D, f: number): Promise<void> {
    const old = this.gram;
    const shares = scalars([f, 1 - f]);
    const { gram, applied, sum } = this.#update.run({ old, inputs, shares });
    tf.dispose([old, ...shares]);
    this.gram = gram;
    this.replace(applied);
    const [value] = await sum.data();
    sum.dispose();
    if (!Number.isFinite(value)) await this.#refuse(applied.delta);
  }

  /** @throws NotPositiveDefiniteError that says which pivot broke down: the device does not */
  async #refuse(delta: tf.Scalar): Promise<never> {
    const { size } = this.options;
    const damped = Float64Array.from(await this.gram.data());
    const [ridge] = await delta.data();
    for (let i = 0; i < size; i++) damped[i * size + i] += ridge;
    const { index, pivot } = factor(damped, size).smallestPivot();
    // Positive in float64, and lost in the device's single precision.
    throw new NotPositiveDefiniteError(index, pivot, size);
  }

  #updated({ old, inputs, shares }: Update): Updated {
    const { damping, relative, size } = this.options;
    const gram = blend(old, this.options.gram(inputs), shares);
    const identity = tf.eye(size);
    const unit = relative ? tf.div(tf.sum(tf.mul(gram, identity)), size) : tf.scalar(1);
    const delta = tf.mul(unit, damping) as tf.Scalar;
    const matrix = deviceCholesky(tf.add(gram, tf.mul(identity, delta)));
    return { gram, applied: { matrix, delta }, sum: tf.sum(matrix) };
  }

  apply({ matrix }: AppliedInverse, gradient: tf.Tensor2D): tf.Tensor2D {
    return deviceSolve(matrix, gradient);
  }

  override dispose(): void {
    super.dispose();
    this.gram.dispose();
    this.#update.dispose();
  }
}
