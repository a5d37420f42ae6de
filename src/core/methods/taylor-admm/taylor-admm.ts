import * as tf from '@tensorflow/tfjs';
import { disposeParameters } from '../../network/network.js';
import type { LayerParameters, Parameters } from '../../network/parameters.js';
import type { Random } from '../../random.js';
import type { NormalEquations } from '../../solvers/normal-equations.js';
import { quadraticActivations } from '../../solvers/quadratic-activations.js';
import { reluProx } from '../../solvers/relu-prox.js';
import { lastResidual } from '../../solvers/solver.js';
import { mapChunks, type Rows, sumScalars, updateChunks } from '../full-batch/products.js';
import { fitLayer, prepareTraining } from '../full-batch/ridge-layer.js';
import { positiveShare, trainingScores } from '../full-batch/scores.js';
import { affine, squaredDistance, weightedMean } from '../full-batch/terms.js';
import type { TrainingSet } from '../full-batch/training-set.js';
import type { FullBatchTrainer, LegacyMethod, MethodContext, StepMetrics } from '../method.js';
import type { TaylorConfig } from './config.js';

/**
 * ADMM of Taylor, Burmeister, Xu, Singh, Patel and Goldstein (2016), "Training neural networks
 * without gradients: a scalable ADMM approach", on
 *
 *     ||Z_L - Y||^2 / 2 + <Lambda, Z_L> + beta/2 sum_l ||Z_l - A_{l-1} W_l||^2 + gamma/2 sum_{l<L} ||A_l - relu(Z_l)||^2
 *
 * with A_0 = X_0. An iteration goes through the layers from the input up; at each hidden one
 *
 *     W_l = pinv(A_{l-1}) Z_l
 *     A_l = (beta Z_{l+1} W_{l+1}^T + gamma relu(Z_l)) (beta W_{l+1} W_{l+1}^T + gamma I)^-1
 *     Z_l = argmin  gamma (A_l - relu(z))^2 + beta (z - A_{l-1} W_l)^2
 *
 * and at the output
 *
 *     W_L = pinv(A_{L-1}) Z_L,   Z_L = (Y - Lambda + beta M) / (1 + beta),   Lambda += beta (Z_L - M),   M = A_{L-1} W_L.
 *
 * Biases, where there are any, are weights of a column of ones. There is no multiplier but the
 * output's: the authors found more of them unstable.
 */
export const taylorAdmm: LegacyMethod<TaylorConfig> = {
  async init(context) {
    const { set, equations } = await prepareTraining(context, ridgeOptions(context.config));
    return new TaylorTrainer(context, set, equations);
  },
};

type Saved = {
  readonly iteration: number;
  readonly current: LayerParameters[];
  readonly z: tf.Tensor2D[][];
  readonly a: tf.Tensor2D[][];
  readonly multiplier: tf.Tensor2D[];
  readonly first: tf.Tensor2D[];
};

class TaylorTrainer implements FullBatchTrainer {
  readonly columns = [positiveShare];
  #iteration = 0;
  #current: LayerParameters[];
  /** Z_l of every layer, and A_l of the hidden ones. */
  #z: tf.Tensor2D[][];
  #a: tf.Tensor2D[][];
  #multiplier: tf.Tensor2D[];
  /** X_0 W_1 with the current weights: the one forward product that costs much. */
  #first: tf.Tensor2D[];

  constructor(
    private readonly context: MethodContext<TaylorConfig>,
    private readonly set: TrainingSet,
    private readonly inputEquations: NormalEquations,
  ) {
    const { network, config, random } = context;
    const units = network.maps.map(({ outputs }) => outputs);
    // The algorithm starts from Z alone: W_{l+1} = 0 where an A-update asks for it.
    this.#current = network.maps.map(({ inputs, outputs }) => ({
      weights: tf.zeros([inputs, outputs]),
      bias: tf.zeros([outputs]),
    }));
    this.#z = units.map((count) => uniformRows(set.x, count, random));
    this.#a = units
      .slice(0, -1)
      .map((_, l) => mapChunks(set.x, (chunk) => tf.relu(this.#z[l][chunk])));
    this.#multiplier = mapChunks(set.y, (chunk) =>
      tf.fill(set.y[chunk].shape, config.initialMultiplier),
    );
    this.#first = mapChunks(set.x, (chunk) => tf.zeros([set.x[chunk].shape[0], units[0]]));
  }

  async step(): Promise<StepMetrics> {
    const scores = await trainingScores(this.context, this.#current, this.#first, this.set.y);
    this.#iteration++;
    const last = this.#current.length - 1;
    const residuals: number[] = [];
    for (let l = 0; l < last; l++) {
      residuals.push(await this.#fit(l));
      await this.#updateHidden(l);
    }
    residuals.push(await this.#fit(last));
    this.#updateOutput(last);
    return { ...scores, objective: await this.#objective(), residual: lastResidual(residuals) };
  }

  /** W_l; returns the residual of the normal equations. */
  async #fit(l: number): Promise<number> {
    const { layer, residual } = await fitLayer(
      this.#inputs(l),
      this.#z[l],
      ridgeOptions(this.context.config),
      l === 0 ? this.inputEquations : undefined,
    );
    disposeParameters([this.#current[l]]);
    this.#current[l] = layer;
    if (l === 0) updateChunks(this.#first, (_, chunk) => affine(this.set.x[chunk], layer));
    return residual;
  }

  /** A_l, with the old W_{l+1}, then Z_l. */
  async #updateHidden(l: number): Promise<void> {
    const { beta, gamma, branchWeight } = this.context.config;
    const [z, above] = [this.#z[l], this.#z[l + 1]];
    const solver = await quadraticActivations(this.#current[l + 1], beta / gamma);
    updateChunks(this.#a[l], (_, chunk) => solver.solve(above[chunk], tf.relu(z[chunk])));
    solver.dispose();
    const selection = branchWeight === 'gamma2' ? gamma : 1;
    updateChunks(z, (_, chunk) =>
      reluProx(this.#a[l][chunk], this.#predicted(l, chunk), beta / gamma, selection),
    );
  }

  /** Z_L and the multiplier. */
  #updateOutput(l: number): void {
    const { beta, dual, dualWarmup } = this.context.config;
    const predicted = mapChunks(this.set.y, (chunk) => this.#predicted(l, chunk));
    updateChunks(this.#z[l], (_, chunk) => {
      const pulled = tf.sub(this.set.y[chunk], this.#multiplier[chunk]) as tf.Tensor2D;
      return weightedMean([1, pulled], [beta, predicted[chunk]]);
    });
    if (this.#iteration > dualWarmup) {
      updateChunks(this.#multiplier, (old, chunk) => {
        const gap = tf.mul(tf.sub(this.#z[l][chunk], predicted[chunk]), beta);
        return (dual === 'replace' ? gap : tf.add(old, gap)) as tf.Tensor2D;
      });
    }
    tf.dispose(predicted);
  }

  /** A_{l-1} */
  #inputs(l: number): Rows {
    return l === 0 ? this.set.x : this.#a[l - 1];
  }

  /** A_{l-1} W_l */
  #predicted(l: number, chunk: number): tf.Tensor2D {
    return l === 0 ? this.#first[chunk] : affine(this.#a[l - 1][chunk], this.#current[l]);
  }

  async #objective(): Promise<number> {
    const { beta, gamma } = this.context.config;
    const [fit, dual, layers, hidden] = await sumScalars(this.set.chunks, (chunk) => {
      const z = this.#z.map((rows) => rows[chunk]);
      const output = z[z.length - 1];
      return [
        squaredDistance(output, this.set.y[chunk]),
        tf.sum(tf.mul(this.#multiplier[chunk], output)),
        tf.addN(z.map((rows, l) => squaredDistance(rows, this.#predicted(l, chunk)))),
        tf.addN(this.#a.map((rows, l) => squaredDistance(rows[chunk], tf.relu(z[l])))),
      ];
    });
    return fit / 2 + dual + (beta * layers + gamma * hidden) / 2;
  }

  get state(): Saved {
    return {
      iteration: this.#iteration,
      current: this.#current,
      z: this.#z,
      a: this.#a,
      multiplier: this.#multiplier,
      first: this.#first,
    };
  }

  set state({ iteration, current, z, a, multiplier, first }: Saved) {
    this.#iteration = iteration;
    this.#current = current;
    this.#z = z;
    this.#a = a;
    this.#multiplier = multiplier;
    this.#first = first;
  }

  parameters(): Parameters {
    return this.#current;
  }

  dispose(): void {
    this.set.dispose();
    this.inputEquations.dispose();
    disposeParameters(this.#current);
    tf.dispose([this.#z, this.#a, this.#multiplier, this.#first]);
  }
}

function ridgeOptions({ ridge, biases }: TaylorConfig) {
  return { biases, ridge: { weights: ridge, bias: ridge } };
}

/** Entries uniform in [0, 1): `units` columns for every row. */
function uniformRows(rows: Rows, units: number, random: Random): tf.Tensor2D[] {
  return mapChunks(rows, (chunk) => {
    const count = rows[chunk].shape[0];
    const values = Float32Array.from({ length: count * units }, () => random.uniform());
    return tf.tensor2d(values, [count, units]);
  });
}
