import * as tf from '@tensorflow/tfjs';
import { type Compiled, compile } from '../../../backend/compile.js';
import { dampedInverse, meanDiagonal } from '../../../solvers/damped-inverse.js';
import {
  deviceCholesky,
  deviceSolve,
  hasDeviceCholesky,
  notFactored,
} from '../../../solvers/device-cholesky.js';
import { scalars } from '../../scalars.js';
import { RunningAverage, type RunningAverageOptions } from './running-average.js';

export interface RunningInverseOptions extends RunningAverageOptions {
  readonly damping: number;
  /** Whether `damping` counts in units of the mean diagonal entry of C. */
  readonly relative?: boolean;
}

/**
 * (C + delta I)^-1: as a matrix, or as the Cholesky factor of C + delta I where the backend solves
 * with it.
 */
export type InverseState = {
  /** [n, n] */
  readonly matrix: tf.Tensor2D;
  readonly delta: tf.Scalar;
};

/** (C + delta I)^-1 for an exponential average C of Gram matrices over batches. */
export interface RunningInverse {
  /** Counts a batch. @returns whether its Gram matrix is wanted */
  isDue(): boolean;
  /**
   * Takes in the Gram matrix of a batch, and disposes of it.
   * @throws NotPositiveDefiniteError when C + delta I cannot be factored
   */
  update(gram: tf.Tensor2D): Promise<void>;
  /** As of the last update; owned by this object. */
  readonly state: InverseState;
  /** (C + delta I)^-1 G, [n, q], inside a compiled function. */
  apply(state: InverseState, gradient: tf.Tensor2D): tf.Tensor2D;
  dispose(): void;
}

/** Averaged and factored on the device where the backend can, else on the host in float64. */
export const runningInverse = (options: RunningInverseOptions): RunningInverse =>
  hasDeviceCholesky() ? new DeviceInverse(options) : new HostInverse(options);

abstract class InverseHolder {
  #state: InverseState | undefined;
  protected readonly average: RunningAverage;

  constructor(protected readonly options: RunningInverseOptions) {
    this.average = new RunningAverage(options);
  }

  isDue(): boolean {
    return this.average.isDue();
  }

  get state(): InverseState {
    if (!this.#state) throw new Error('the metric was asked for before it observed a batch');
    return this.#state;
  }

  protected replace(state: InverseState | undefined): void {
    if (this.#state) tf.dispose(this.#state);
    this.#state = state;
  }

  dispose(): void {
    this.replace(undefined);
  }
}

class HostInverse extends InverseHolder implements RunningInverse {
  #gram: Float64Array | undefined;

  async update(gram: tf.Tensor2D): Promise<void> {
    const current = await gram.data();
    const size = gram.shape[0];
    gram.dispose();
    const f = this.average.nextFactor();
    this.#gram ??= new Float64Array(current.length);
    const c = this.#gram;
    for (let i = 0; i < c.length; i++) c[i] = f * c[i] + (1 - f) * current[i];

    const { damping, relative } = this.options;
    const delta = relative ? damping * meanDiagonal(c, size) : damping;
    const matrix = dampedInverse(c, size, () => delta);
    this.replace({ matrix, delta: tf.scalar(delta) });
  }

  apply({ matrix }: InverseState, gradient: tf.Tensor2D): tf.Tensor2D {
    return tf.matMul(matrix, gradient);
  }
}

type Update = {
  readonly old: tf.Tensor2D;
  readonly current: tf.Tensor2D;
  /** f and 1 - f */
  readonly shares: readonly tf.Scalar[];
};

type Updated = { readonly gram: tf.Tensor2D; readonly state: InverseState };

class DeviceInverse extends InverseHolder implements RunningInverse {
  #gram: tf.Tensor2D | undefined;
  readonly #update: Compiled<Update, Updated> = compile((input: Update) => this.#updated(input));

  async update(current: tf.Tensor2D): Promise<void> {
    const f = this.average.nextFactor();
    const old = this.#gram ?? tf.zerosLike(current);
    const shares = scalars([f, 1 - f]);
    try {
      const { gram, state } = this.#update.run({ old, current, shares });
      this.#gram = gram;
      this.replace(state);
    } catch (error) {
      this.#gram = undefined;
      throw notFactored(error);
    } finally {
      tf.dispose([old, current, ...shares]);
    }
  }

  #updated({ old, current, shares: [f, rest] }: Update): Updated {
    const { damping, relative } = this.options;
    const gram: tf.Tensor2D = tf.add(tf.mul(old, f), tf.mul(current, rest));
    const identity = tf.eye(gram.shape[0]);
    const unit = relative ? tf.div(tf.sum(tf.mul(gram, identity)), gram.shape[0]) : tf.scalar(1);
    const delta = tf.mul(unit, damping) as tf.Scalar;
    const matrix = deviceCholesky(tf.add(gram, tf.mul(identity, delta)));
    return { gram, state: { matrix, delta } };
  }

  apply({ matrix }: InverseState, gradient: tf.Tensor2D): tf.Tensor2D {
    return deviceSolve(matrix, gradient);
  }

  override dispose(): void {
    super.dispose();
    this.#gram?.dispose();
    this.#gram = undefined;
    this.#update.dispose();
  }
}
