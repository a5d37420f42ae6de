import * as tf from '@tensorflow/tfjs';
import { disposeParameters } from '../../../network/network.js';
import type { LayerParameters, Parameters } from '../../../network/parameters.js';
import { splitBias } from '../../../network/stacked.js';
import { extrapolate } from '../../../solvers/extrapolate.js';
import { lastResidual } from '../../../solvers/solver.js';
import { squaredNormBound } from '../../../solvers/spectral-norm.js';
import { affineRows, mapChunks } from '../../full-batch/products.js';
import { fitLayer } from '../../full-batch/ridge-layer.js';
import { positiveShare, trainingScores } from '../../full-batch/scores.js';
import { affine } from '../../full-batch/terms.js';
import type { TrainingSet } from '../../full-batch/training-set.js';
import type { FullBatchTrainer, MethodContext, StepMetrics } from '../../method.js';
import { layerValue } from '../../per-layer.js';
import type { FenchelFullBatchConfig } from './config.js';
import type { HiddenMetric } from './hidden-metric.js';
import { liftedObjective, ridges } from './objective.js';

type Saved = {
  readonly hidden: LayerParameters;
  readonly previous: LayerParameters;
  readonly u: tf.Tensor2D[];
  readonly uPrevious: tf.Tensor2D[];
  readonly tested: [LayerParameters, LayerParameters];
  readonly age: number;
  readonly restarts: number;
  readonly loss: number;
  readonly scores: { readonly loss: number; readonly accuracy: number } | undefined;
  readonly metric: number | undefined;
};

/**
 * Algorithm 1 made fast, for one hidden layer of ReLUs and squared error. With P = [W_0; b_0] and
 * U = [X_0, 1] P, an iteration is
 *
 *     V, U_V     =  P + beta (P - P_old), U + beta (U - U_old),   beta = min(momentum, k / (k + 3))
 *     F          =  relu(U_V)
 *     (W_1, b_1) =  argmin of ||Y - F W_1 - b_1||^2 / N + rho_1 ||W_1||^2            (eq. 18)
 *     Z          <- F, then `activationSteps` accelerated proximal gradient steps on eq. 15
 *     P          <- V + eta (C + delta I)^-1 ([X_0, 1]^T (Z - F) / N - 2 rho_0 / lambda [W_0; 0])
 *
 * Feeding the activations forward anew puts every penalty at zero, so that the head is fitted to what
 * the network computes, and G at Z = F is the network's own regularised loss; k starts again at 0 when
 * that rises. U is linear in P: extrapolating it costs no product, and an iteration has two large ones.
 * The network that is tested is (V, W_1): the head belongs to it.
 */
export class AcceleratedTrainer implements FullBatchTrainer {
  readonly columns = [positiveShare, 'restarts', 'hidden_gradient'];
  /** P and U of the last two iterations. */
  #hidden: LayerParameters;
  #previous: LayerParameters;
  #u: tf.Tensor2D[];
  #uPrevious: tf.Tensor2D[];
  /** The network at V. */
  #tested: [LayerParameters, LayerParameters];
  #age = 0;
  #restarts = 0;
  #loss = Number.POSITIVE_INFINITY;
  /** Of the tested network, which the next step reports. */
  #scores: Saved['scores'];

  constructor(
    private readonly context: MethodContext<FenchelFullBatchConfig>,
    private readonly set: TrainingSet,
    private readonly metric: HiddenMetric,
    [hidden, head]: readonly [LayerParameters, LayerParameters],
  ) {
    this.#hidden = hidden;
    this.#previous = copy(hidden);
    this.#u = affineRows(set.x, hidden);
    this.#uPrevious = this.#u.map((chunk) => chunk.clone());
    this.#tested = [copy(hidden), head];
  }

  async step(): Promise<StepMetrics> {
    const { config } = this.context;
    const { y } = this.set;
    // The first step has the initial network before it.
    const before = this.#scores ?? (await trainingScores(this.context, this.#tested, this.#u, y));
    const { point, u } = this.#extrapolate();
    const f = mapChunks(u, (chunk) => tf.relu(u[chunk]));
    try {
      const ridge = { weights: this.set.rows * layerValue(config.rho, 1), bias: 0 };
      const { layer: head, residual } = await fitLayer(f, y, { biases: true, ridge });
      disposeParameters(this.#tested);
      this.#tested = [copy(point), head];
      const scores = await trainingScores(this.context, this.#tested, u, y);
      this.#scores = { loss: scores.loss, accuracy: scores.accuracy };
      this.#restartWhereRising(scores.loss + (await ridges(config, this.#tested)));
      const z = await this.#activations(f, u);
      const objective = await liftedObjective(config, this.#tested, { z, u, y });
      const difference = mapChunks(z, (chunk) => tf.sub(z[chunk], f[chunk]) as tf.Tensor2D);
      tf.dispose(z);
      const gradient = await this.#move(point, u, difference);
      tf.dispose(difference);
      return {
        loss: before.loss,
        accuracy: before.accuracy,
        objective,
        residual: lastResidual([residual]),
        extra: { ...scores.extra, restarts: this.#restarts, hidden_gradient: gradient },
      };
    } finally {
      disposeParameters([point]);
      tf.dispose([f, u]);
    }
  }

  /** V and U_V. */
  #extrapolate(): { point: LayerParameters; u: tf.Tensor2D[] } {
    const beta = Math.min(this.context.config.momentum, this.#age / (this.#age + 3));
    return {
      point: {
        weights: extrapolate(this.#hidden.weights, this.#previous.weights, beta),
        bias: extrapolate(this.#hidden.bias, this.#previous.bias, beta),
      },
      u: this.#u.map((chunk, i) => extrapolate(chunk, this.#uPrevious[i], beta)),
    };
  }

  #restartWhereRising(loss: number): void {
    if (loss > this.#loss) {
      this.#age = 0;
      this.#restarts++;
    } else {
      this.#age++;
    }
    this.#loss = loss;
  }

  /** FISTA on eq. 15 from Z = F: step 1/L with L = 2 ||W_1||^2, momentum for the lambda-strongly convex B. */
  async #activations(f: readonly tf.Tensor2D[], u: readonly tf.Tensor2D[]): Promise<tf.Tensor2D[]> {
    const { lambda, activationSteps } = this.context.config;
    const head = this.#tested[1];
    const smoothness = Math.max(2 * (await squaredNormBound(head.weights)), 1e-12);
    const q = Math.sqrt(lambda / (smoothness + lambda));
    const momentum = (1 - q) / (1 + q);
    return mapChunks(f, (chunk) => {
      let z: tf.Tensor2D = f[chunk];
      let at: tf.Tensor2D = z;
      for (let k = 0; k < activationSteps; k++) {
        const misfit = tf.sub(affine(at, head), this.set.y[chunk]);
        const slope = tf.mul(tf.matMul(misfit, head.weights, false, true), 2);
        const moved = tf.add(tf.sub(tf.mul(at, smoothness), slope), tf.mul(u[chunk], lambda));
        const next = tf.relu(tf.div(moved, smoothness + lambda)) as tf.Tensor2D;
        at = tf.add(next, tf.mul(tf.sub(next, z), momentum));
        z = next;
      }
      return z;
    });
  }

  /** The step on P from V; returns its gradient's norm, relative to the run's first. */
  async #move(
    point: LayerParameters,
    u: readonly tf.Tensor2D[],
    difference: readonly tf.Tensor2D[],
  ): Promise<number> {
    const { stepSize } = this.context.config;
    const { step, gradient } = await this.metric.step(difference, point);
    const move = tf.tidy(() => splitBias(tf.mul(step, stepSize)));
    step.dispose();
    disposeParameters([this.#previous]);
    tf.dispose(this.#uPrevious);
    this.#previous = this.#hidden;
    this.#uPrevious = this.#u;
    this.#hidden = {
      weights: tf.add(point.weights, move.weights),
      bias: tf.add(point.bias, move.bias),
    };
    this.#u = mapChunks(u, (chunk) => tf.add(u[chunk], affine(this.set.x[chunk], move)));
    disposeParameters([move]);
    return gradient;
  }

  get state(): Saved {
    return {
      hidden: this.#hidden,
      previous: this.#previous,
      u: this.#u,
      uPrevious: this.#uPrevious,
      tested: this.#tested,
      age: this.#age,
      restarts: this.#restarts,
      loss: this.#loss,
      scores: this.#scores,
      metric: this.metric.state,
    };
  }

  set state({
    hidden,
    previous,
    u,
    uPrevious,
    tested,
    age,
    restarts,
    loss,
    scores,
    metric,
  }: Saved) {
    this.#hidden = hidden;
    this.#previous = previous;
    this.#u = u;
    this.#uPrevious = uPrevious;
    this.#tested = tested;
    this.#age = age;
    this.#restarts = restarts;
    this.#loss = loss;
    this.#scores = scores;
    this.metric.state = metric;
  }

  parameters(): Parameters {
    return this.#tested;
  }

  dispose(): void {
    this.set.dispose();
    this.metric.dispose();
    disposeParameters([this.#hidden, this.#previous, ...this.#tested]);
    tf.dispose([this.#u, this.#uPrevious]);
  }
}

function copy({ weights, bias }: LayerParameters): LayerParameters {
  return { weights: weights.clone(), bias: bias.clone() };
}
