import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../network/initialize.js';
import { disposeParameters } from '../../network/network.js';
import type { LayerParameters, Parameters } from '../../network/parameters.js';
import type { NormalEquations } from '../../solvers/normal-equations.js';
import { relativeLength } from '../../solvers/solver.js';
import { squaredNormBound } from '../../solvers/spectral-norm.js';
import {
  affineRows,
  mapChunks,
  type Rows,
  sumScalars,
  updateChunks,
} from '../full-batch/products.js';
import {
  fitLayer,
  layerEquations,
  prepareTraining,
  type RidgeOptions,
} from '../full-batch/ridge-layer.js';
import { positiveShare, trainingScores } from '../full-batch/scores.js';
import { affine, squaredDistance, weightedMean } from '../full-batch/terms.js';
import type { TrainingSet } from '../full-batch/training-set.js';
import type { FullBatchTrainer, LegacyMethod, MethodContext, StepMetrics } from '../method.js';
import { layerValue } from '../per-layer.js';
import type { LpomConfig } from './config.js';
import { updateHiddenWeights } from './hidden-weights.js';
import { reluPenalty } from './objective.js';

/**
 * Lifted proximal operator machines of Li, Fang and Lin (2019), for ReLUs and a linear output:
 *
 *     ||Y - X_L||^2 + sum_{l<L} mu_l B(X_l, U_l) + mu_L/2 ||X_L - U_L||^2 + sum_l rho_l ||W_l||^2,   U_l = X_{l-1} W_l + b_l
 *
 * LPOM's penalty for the ReLU is the Fenchel penalty B, and for the linear output half a square. An
 * iteration takes the activations from the output down,
 *
 *     X_L = (2 Y + mu_L U_L) / (2 + mu_L)
 *     X_l <- relu(U_l - mu_{l+1}/mu_l (phi(U_{l+1}) - X_{l+1}) W_{l+1}^T),   `activationSteps` times,
 *
 * the fixed-point iteration of the paper, which contracts where kappa = mu_{l+1}/mu_l ||W_{l+1}||^2 is
 * below 1, and which elsewhere goes only 1/kappa of the way; then the weights (hidden-weights.ts; the
 * output's by ridge regression). The objective never increases.
 *
 * The paper updates the activations from the input up, in mini-batches; docs/lifted-baselines.md has this
 * and the other departures.
 */
export const lpom: LegacyMethod<LpomConfig> = {
  async init(context) {
    const { network, config, random } = context;
    const { set, equations } = await prepareTraining(context, hiddenRidge(config, 0));
    return new LpomTrainer(context, set, equations, [
      ...initializeParameters(network, config, random),
    ]);
  },
};

type Saved = {
  readonly current: LayerParameters[];
  readonly x: tf.Tensor2D[][];
  readonly first: tf.Tensor2D[];
};

class LpomTrainer implements FullBatchTrainer {
  readonly columns = [positiveShare, 'x_residual', 'step_change'];
  /** U_1 with the current weights: the one forward product that costs much. */
  #first: tf.Tensor2D[];
  /** X_l above each layer: from a forward pass at first. */
  #x: tf.Tensor2D[][] = [];
  readonly #last: number;

  constructor(
    private readonly context: MethodContext<LpomConfig>,
    private readonly set: TrainingSet,
    private readonly inputEquations: NormalEquations,
    private current: LayerParameters[],
  ) {
    this.#last = current.length - 1;
    this.#first = affineRows(set.x, current[0]);
    for (let l = 0; l <= this.#last; l++) {
      this.#x.push(mapChunks(set.x, (chunk) => this.#phi(l, this.#predicted(l, chunk))));
    }
  }

  async step(): Promise<StepMetrics> {
    const { config } = this.context;
    const { extra, ...scores } = await trainingScores(
      this.context,
      this.current,
      this.#first,
      this.set.y,
    );
    const mu = layerValue(config.mu, this.#last);
    updateChunks(this.#x[this.#last], (_, chunk) =>
      weightedMean([2, this.set.y[chunk]], [mu, this.#predicted(this.#last, chunk)]),
    );
    let xResidual = 0;
    for (let l = this.#last - 1; l >= 0; l--) {
      xResidual = Math.max(xResidual, await this.#updateActivations(l));
    }
    const residual = await this.#fitOutput();
    let change = 0;
    for (let l = this.#last - 1; l >= 0; l--) change = Math.max(change, await this.#fitHidden(l));
    return {
      ...scores,
      objective: await this.#objective(),
      residual,
      extra: { ...extra, x_residual: xResidual, step_change: change },
    };
  }

  /** The activations above hidden layer l; returns their last relative distance from the fixed point. */
  async #updateActivations(l: number): Promise<number> {
    const { mu, activationSteps } = this.context.config;
    const layer = this.current[l + 1];
    const ratio = layerValue(mu, l + 1) / layerValue(mu, l);
    const share = Math.min(1, 1 / (ratio * (await squaredNormBound(layer.weights))));
    const above = this.#x[l + 1];
    const moves: tf.Tensor1D[] = [];
    updateChunks(this.#x[l], (old, chunk) => {
      const predicted = this.#predicted(l, chunk);
      let x = old;
      for (let k = 0; k < activationSteps; k++) {
        const gap = tf.sub(this.#phi(l + 1, affine(x, layer)), above[chunk]) as tf.Tensor2D;
        const pull = tf.matMul(gap, layer.weights, false, true);
        const move = tf.sub(tf.relu(tf.sub(predicted, tf.mul(pull, ratio))), x);
        if (k + 1 === activationSteps) {
          const norms = [tf.sum(tf.square(move)), tf.sum(tf.square(x))];
          moves.push(tf.keep(tf.stack(norms)) as tf.Tensor1D);
        }
        x = tf.add(x, tf.mul(move, share));
      }
      return x;
    });
    const [distance, size] = await sumScalars(
      moves,
      (chunk) => tf.unstack(moves[chunk]) as tf.Scalar[],
    );
    tf.dispose(moves);
    return relativeLength(distance, size);
  }

  /** Returns the residual of the normal equations. */
  async #fitOutput(): Promise<number> {
    const { config } = this.context;
    const ridge = (2 * config.headRho) / layerValue(config.mu, this.#last);
    const options = { biases: true, ridge: { weights: ridge, bias: 0 } };
    const fitted = await fitLayer(this.#inputs(this.#last), this.#x[this.#last], options);
    disposeParameters([this.current[this.#last]]);
    this.current[this.#last] = fitted.layer;
    return fitted.residual;
  }

  /** Returns the relative length of the last step. */
  async #fitHidden(l: number): Promise<number> {
    const options = hiddenRidge(this.context.config, l);
    const inputs = this.#inputs(l);
    const equations = l === 0 ? this.inputEquations : await layerEquations(inputs, options);
    const { change, layer, u } = await updateHiddenWeights(
      {
        inputs,
        activations: this.#x[l],
        options,
        equations,
        steps: this.context.config.weightSteps,
      },
      { layer: this.current[l], u: l === 0 ? this.#first : affineRows(inputs, this.current[l]) },
    );
    this.current[l] = layer;
    if (l === 0) this.#first = u;
    else {
      tf.dispose(u);
      equations.dispose();
    }
    return change;
  }

  /** X_{l-1} */
  #inputs(l: number): Rows {
    return l === 0 ? this.set.x : this.#x[l - 1];
  }

  /** U_l */
  #predicted(l: number, chunk: number): tf.Tensor2D {
    return l === 0 ? this.#first[chunk] : affine(this.#x[l - 1][chunk], this.current[l]);
  }

  /** The ReLU, and nothing at the output. */
  #phi(l: number, u: tf.Tensor2D): tf.Tensor2D {
    return l < this.#last ? tf.relu(u) : u.clone();
  }

  async #objective(): Promise<number> {
    const { mu, rho, headRho } = this.context.config;
    const [value] = await sumScalars(this.set.chunks, (chunk) => {
      const terms = this.#x.map((x, l) => {
        const u = this.#predicted(l, chunk);
        const penalty =
          l < this.#last ? reluPenalty(x[chunk], u) : tf.mul(squaredDistance(x[chunk], u), 0.5);
        return tf.mul(penalty, layerValue(mu, l)) as tf.Scalar;
      });
      return [tf.addN([squaredDistance(this.#x[this.#last][chunk], this.set.y[chunk]), ...terms])];
    });
    const norms = await sumScalars(this.current, (l) => [
      tf.mul(tf.sum(tf.square(this.current[l].weights)), l < this.#last ? rho : headRho),
    ]);
    return value + norms[0];
  }

  get state(): Saved {
    return { current: this.current, x: this.#x, first: this.#first };
  }

  set state({ current, x, first }: Saved) {
    this.current = current;
    this.#x = x;
    this.#first = first;
  }

  parameters(): Parameters {
    return this.current;
  }

  dispose(): void {
    this.set.dispose();
    this.inputEquations.dispose();
    disposeParameters(this.current);
    tf.dispose([this.#first, this.#x]);
  }
}

/** rho ||W||^2 beside mu B, as a ridge of the least-squares steps on B. */
function hiddenRidge({ mu, rho }: LpomConfig, l: number): RidgeOptions {
  return { biases: true, ridge: { weights: (2 * rho) / layerValue(mu, l), bias: 0 } };
}
