import * as tf from '@tensorflow/tfjs';
import { disposeParameters } from '../../network/network.js';
import type { LayerParameters, Parameters } from '../../network/parameters.js';
import type { NormalEquations } from '../../solvers/normal-equations.js';
import { quadraticActivations } from '../../solvers/quadratic-activations.js';
import { reluProx } from '../../solvers/relu-prox.js';
import { lastResidual } from '../../solvers/solver.js';
import {
  affineRows,
  mapChunks,
  type Rows,
  sumChunks,
  sumScalars,
  updateChunks,
} from '../full-batch/products.js';
import { layerEquations, prepareTraining, type RidgeOptions } from '../full-batch/ridge-layer.js';
import { positiveShare, trainingScores } from '../full-batch/scores.js';
import { affine, squaredDistance, weightedMean } from '../full-batch/terms.js';
import type { TrainingSet } from '../full-batch/training-set.js';
import type { FullBatchTrainer, LegacyMethod, MethodContext, StepMetrics } from '../method.js';
import type { LauConfig } from './config.js';

/**
 * Proximal block-coordinate descent of Lau, Zeng, Wu and Yao (2018), "A proximal block coordinate
 * descent algorithm for deep neural network training", on
 *
 *     ||V_L - Y||^2 / 2 + gamma/2 sum_l ||V_l - phi_l(U_l)||^2 + rho/2 sum_l ||U_l - V_{l-1} W_l - b_l||^2
 *
 * with V_0 = X_0 and phi_L the identity. An iteration goes through the layers from the output down;
 * at each, every block is minimised given all others, V_L, the hidden U_l, W_l and b_l with a proximal
 * term alpha/2 ||. - old||^2:
 *
 *     V_L = (Y + gamma U_L + alpha V_L) / (1 + gamma + alpha),   U_L = (gamma V_L + rho (V_{L-1} W_L + b_L)) / (gamma + rho)
 *     V_l = (gamma relu(U_l) + rho (U_{l+1} - b_{l+1}) W_{l+1}^T) (gamma I + rho W_{l+1} W_{l+1}^T)^-1
 *     U_l = relu-prox(V_l, (rho (V_{l-1} W_l + b_l) + alpha U_l) / (rho + alpha), (rho + alpha) / gamma)
 *     W_l = (alpha I + rho V_{l-1}^T V_{l-1})^-1 (alpha W_l + rho V_{l-1}^T (U_l - b_l)),   then
 *     b_l = (alpha b_l + rho sum_rows(U_l - V_{l-1} W_l)) / (alpha + rho n)
 *
 * No block update increases the objective.
 */
export const lauBcd: LegacyMethod<LauConfig> = {
  async init(context) {
    const { set, equations } = await prepareTraining(context, ridgeOptions(context.config));
    return new LauTrainer(context, set, equations, initialParameters(context));
  },
};

type Saved = {
  readonly current: LayerParameters[];
  readonly u: tf.Tensor2D[][];
  readonly v: tf.Tensor2D[][];
  readonly first: tf.Tensor2D[];
};

class LauTrainer implements FullBatchTrainer {
  readonly columns = [positiveShare];
  /** Pre-activations and activations of each layer; from a forward pass at first. */
  #u: tf.Tensor2D[][] = [];
  #v: tf.Tensor2D[][] = [];
  /** X_0 W_0 + b_0 with the current weights: the one forward product that costs much. */
  #first: tf.Tensor2D[];

  constructor(
    private readonly context: MethodContext<LauConfig>,
    private readonly set: TrainingSet,
    private readonly inputEquations: NormalEquations,
    private current: LayerParameters[],
  ) {
    const { activations } = context.network;
    this.#first = affineRows(set.x, current[0]);
    for (let l = 0; l < current.length; l++) {
      const u =
        l === 0
          ? this.#first.map((chunk) => chunk.clone())
          : affineRows(this.#v[l - 1], current[l]);
      this.#u.push(u);
      this.#v.push(
        l < activations.length
          ? mapChunks(u, (chunk) => tf.relu(u[chunk]))
          : u.map((chunk) => chunk.clone()),
      );
    }
  }

  async step(): Promise<StepMetrics> {
    const scores = await trainingScores(this.context, this.current, this.#first, this.set.y);
    const residuals: number[] = [];
    for (let l = this.current.length - 1; l >= 0; l--) {
      await this.#updateBlocks(l);
      residuals.push(await this.#updateLayer(l));
    }
    const { weights, bias } = this.current[0];
    updateChunks(this.#first, (_, chunk) => affine(this.set.x[chunk], { weights, bias }));
    return { ...scores, objective: await this.#objective(), residual: lastResidual(residuals) };
  }

  /** V_l, then U_l. */
  async #updateBlocks(l: number): Promise<void> {
    const { gamma, rho, alpha } = this.context.config;
    const [u, v] = [this.#u[l], this.#v[l]];
    if (l === this.current.length - 1) {
      updateChunks(v, (old, chunk) =>
        weightedMean([1, this.set.y[chunk]], [gamma, u[chunk]], [alpha, old]),
      );
      updateChunks(u, (_, chunk) =>
        weightedMean([gamma, v[chunk]], [rho, this.#predicted(l, chunk)]),
      );
      return;
    }
    const solver = await quadraticActivations(this.current[l + 1], rho / gamma);
    const above = this.#u[l + 1];
    updateChunks(v, (_, chunk) => solver.solve(above[chunk], tf.relu(u[chunk])));
    solver.dispose();
    updateChunks(u, (old, chunk) =>
      reluProx(
        v[chunk],
        weightedMean([rho, this.#predicted(l, chunk)], [alpha, old]),
        (rho + alpha) / gamma,
      ),
    );
  }

  /** W_l, then b_l; returns the residual of the normal equations. */
  async #updateLayer(l: number): Promise<number> {
    const { alpha, rho } = this.context.config;
    const ridge = alpha / rho;
    const inputs = this.#inputs(l);
    const equations =
      l === 0
        ? this.inputEquations
        : await layerEquations(inputs, ridgeOptions(this.context.config));
    const old = this.current[l];
    const targets = this.#u[l];
    const right = tf.tidy(() => {
      const product = sumChunks(inputs, (chunk) =>
        tf.matMul(inputs[chunk], tf.sub(targets[chunk], old.bias) as tf.Tensor2D, true, false),
      );
      return tf.add(product, tf.mul(old.weights, ridge)) as tf.Tensor2D;
    });
    const { solution: weights, residual } = await equations.solve(right);
    const bias = tf.tidy(() => {
      const misfit = sumChunks(inputs, (chunk) =>
        tf.sub(tf.sum(targets[chunk], 0, true), tf.matMul(tf.sum(inputs[chunk], 0, true), weights)),
      );
      const count = ridge + this.set.rows;
      const sum = tf.add(misfit, tf.mul(old.bias, ridge));
      return tf.reshape(tf.div(sum, count), [-1]) as tf.Tensor1D;
    });
    right.dispose();
    disposeParameters([old]);
    if (l > 0) equations.dispose();
    this.current[l] = { weights, bias };
    return residual;
  }

  /** V_{l-1} */
  #inputs(l: number): Rows {
    return l === 0 ? this.set.x : this.#v[l - 1];
  }

  /** V_{l-1} W_l + b_l, from the weights that are current when layer l has its turn. */
  #predicted(l: number, chunk: number): tf.Tensor2D {
    return l === 0 ? this.#first[chunk] : affine(this.#v[l - 1][chunk], this.current[l]);
  }

  async #objective(): Promise<number> {
    const { gamma, rho } = this.context.config;
    const last = this.current.length - 1;
    const [fit, activation, layer] = await sumScalars(this.set.chunks, (chunk) => {
      const phi = (l: number) => (l < last ? tf.relu(this.#u[l][chunk]) : this.#u[l][chunk]);
      const layers = this.current.map((_, l) => l);
      return [
        squaredDistance(this.#v[last][chunk], this.set.y[chunk]),
        tf.addN(layers.map((l) => squaredDistance(this.#v[l][chunk], phi(l)))),
        tf.addN(layers.map((l) => squaredDistance(this.#u[l][chunk], this.#predicted(l, chunk)))),
      ];
    });
    return (fit + gamma * activation + rho * layer) / 2;
  }

  get state(): Saved {
    return { current: this.current, u: this.#u, v: this.#v, first: this.#first };
  }

  set state({ current, u, v, first }: Saved) {
    this.current = current;
    this.#u = u;
    this.#v = v;
    this.#first = first;
  }

  parameters(): Parameters {
    return this.current;
  }

  dispose(): void {
    this.set.dispose();
    this.inputEquations.dispose();
    disposeParameters(this.current);
    tf.dispose([this.#u, this.#v, this.#first]);
  }
}

/** V_{l-1}^T V_{l-1} + (alpha / rho) I; biases have their own update. */
function ridgeOptions({ alpha, rho }: LauConfig): RidgeOptions {
  return { biases: false, ridge: { weights: alpha / rho, bias: 0 } };
}

function initialParameters({ network, config, random }: MethodContext<LauConfig>) {
  return network.maps.map(({ inputs, outputs }) => {
    const values = new Float32Array(inputs * outputs);
    for (let i = 0; i < values.length; i++) values[i] = config.weightScale * random.normal();
    return {
      weights: tf.tensor2d(values, [inputs, outputs]),
      bias: tf.fill([outputs], config.bias) as tf.Tensor1D,
    };
  });
}
