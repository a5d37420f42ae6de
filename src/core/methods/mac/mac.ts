import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../network/initialize.js';
import { disposeParameters } from '../../network/network.js';
import type { LayerParameters, Parameters } from '../../network/parameters.js';
import type { NormalEquations } from '../../solvers/normal-equations.js';
import { quadraticActivations } from '../../solvers/quadratic-activations.js';
import { relativeLength } from '../../solvers/solver.js';
import {
  affineRows,
  mapChunks,
  squaredNorm,
  sumScalars,
  updateChunks,
} from '../full-batch/products.js';
import { fitLayer, prepareTraining, type RidgeOptions } from '../full-batch/ridge-layer.js';
import { positiveShare, trainingScores } from '../full-batch/scores.js';
import { affine, squaredDistance } from '../full-batch/terms.js';
import type { TrainingSet } from '../full-batch/training-set.js';
import type { FullBatchTrainer, LegacyMethod, MethodContext, StepMetrics } from '../method.js';
import type { MacConfig } from './config.js';

/**
 * Method of auxiliary coordinates of Carreira-Perpinan and Wang (2014), "Distributed optimization of
 * deeply nested systems", with a quadratic penalty, for one hidden layer of ReLUs:
 *
 *     ||Y - Z W_2 - b_2||^2 + mu/2 ||Z - relu(X_0 W_1 + b_1)||^2 + rho ||W_2||^2
 *
 * Unlike in the other lifted networks the activation stays inside the penalty, which is not convex in
 * W_1. An iteration takes
 *
 *     Z = (2 (Y - b_2) W_2^T + mu relu(P)) (2 W_2 W_2^T + mu I)^-1,   P = X_0 W_1 + b_1,
 *
 * then (W_2, b_2) by ridge regression, then (W_1, b_1) by `steps` damped Gauss-Newton steps on the
 * penalty, with [X_0, 1]^T [X_0, 1] for the Hessian of the active units (an upper bound of it, factored
 * once) and backtracking: P moves along a line, so that trying a shorter step costs no product. The
 * objective never increases.
 *
 * mu is fixed, where the paper lets it grow; docs/lifted-baselines.md has this and the other departures.
 */
export const mac: LegacyMethod<MacConfig> = {
  async init(context) {
    const { network, config, random } = context;
    const { set, equations } = await prepareTraining(context, metricOptions(config));
    const [first, second] = initializeParameters(network, config, random);
    return new MacTrainer(context, set, equations, [first, second]);
  },
};

type Saved = {
  readonly current: [LayerParameters, LayerParameters];
  readonly predicted: tf.Tensor2D[];
  readonly z: tf.Tensor2D[];
};

class MacTrainer implements FullBatchTrainer {
  readonly columns = [positiveShare, 'step_length', 'step_change'];
  /** P = X_0 W_1 + b_1 with the current weights, and Z: from a forward pass at first. */
  #predicted: tf.Tensor2D[];
  #z: tf.Tensor2D[];

  constructor(
    private readonly context: MethodContext<MacConfig>,
    private readonly set: TrainingSet,
    private readonly metric: NormalEquations,
    private current: [LayerParameters, LayerParameters],
  ) {
    this.#predicted = affineRows(set.x, current[0]);
    this.#z = mapChunks(set.x, (chunk) => tf.relu(this.#predicted[chunk]));
  }

  async step(): Promise<StepMetrics> {
    const { mu, rho, steps } = this.context.config;
    const { extra, ...scores } = await trainingScores(
      this.context,
      this.current,
      this.#predicted,
      this.set.y,
    );
    const solver = await quadraticActivations(this.current[1], 2 / mu);
    updateChunks(this.#z, (_, chunk) =>
      solver.solve(this.set.y[chunk], tf.relu(this.#predicted[chunk])),
    );
    solver.dispose();
    const ridge = { weights: rho, bias: 0 };
    const head = await fitLayer(this.#z, this.set.y, { biases: true, ridge });
    this.#replace(1, head.layer);
    let report = { change: 0, length: 0 };
    for (let k = 0; k < steps; k++) report = await this.#stepHidden();
    return {
      ...scores,
      objective: await this.#objective(),
      residual: head.residual,
      extra: { ...extra, step_length: report.length, step_change: report.change },
    };
  }

  /**
   * One Gauss-Newton step on (W_1, b_1), 0 long when no length tried decreases the penalty.
   * @returns its length, and what it would move P by in full, ||X_0 dW + db|| / ||P||
   */
  async #stepHidden(): Promise<{ change: number; length: number }> {
    const slope = mapChunks(this.set.x, (chunk) => {
      const p = this.#predicted[chunk];
      return tf.mul(tf.step(p), tf.sub(p, this.#z[chunk])) as tf.Tensor2D;
    });
    const options = metricOptions(this.context.config);
    const { layer: direction } = await fitLayer(this.set.x, slope, options, this.metric);
    const image = affineRows(this.set.x, direction);
    tf.dispose(slope);
    const [before, move, size] = await sumScalars(this.set.chunks, (chunk) => [
      this.#penalty(chunk, this.#predicted[chunk]),
      tf.sum(tf.square(image[chunk])),
      tf.sum(tf.square(this.#predicted[chunk])),
    ]);
    const change = relativeLength(move, size);

    let length = 1;
    for (; length >= shortest; length /= 2) {
      const [after] = await sumScalars(this.set.chunks, (chunk) => [
        this.#penalty(chunk, moved(this.#predicted[chunk], image[chunk], length)),
      ]);
      if (after < before) break;
    }
    if (length < shortest) length = 0;
    updateChunks(this.#predicted, (old, chunk) => moved(old, image[chunk], length));
    const { weights, bias } = this.current[0];
    this.#replace(0, {
      weights: tf.tidy(() => moved(weights, direction.weights, length)),
      bias: tf.tidy(() => moved(bias, direction.bias, length)),
    });
    disposeParameters([direction]);
    tf.dispose(image);
    return { change, length };
  }

  /** ||Z - relu(P)||^2 */
  #penalty(chunk: number, predicted: tf.Tensor2D): tf.Scalar {
    return squaredDistance(this.#z[chunk], tf.relu(predicted));
  }

  #replace(l: 0 | 1, layer: LayerParameters): void {
    disposeParameters([this.current[l]]);
    this.current[l] = layer;
  }

  async #objective(): Promise<number> {
    const { mu, rho } = this.context.config;
    const [fit, penalty] = await sumScalars(this.set.chunks, (chunk) => [
      squaredDistance(this.set.y[chunk], affine(this.#z[chunk], this.current[1])),
      this.#penalty(chunk, this.#predicted[chunk]),
    ]);
    return fit + (mu / 2) * penalty + rho * (await squaredNorm(this.current[1].weights));
  }

  get state(): Saved {
    return { current: this.current, predicted: this.#predicted, z: this.#z };
  }

  set state({ current, predicted, z }: Saved) {
    this.current = current;
    this.#predicted = predicted;
    this.#z = z;
  }

  parameters(): Parameters {
    return this.current;
  }

  dispose(): void {
    this.set.dispose();
    this.metric.dispose();
    disposeParameters(this.current);
    tf.dispose([this.#predicted, this.#z]);
  }
}

function metricOptions({ damping }: MacConfig): RidgeOptions {
  return { biases: true, ridge: { weights: damping, bias: damping } };
}

/** Shortest part of a Gauss-Newton step that is tried. */
const shortest = 1 / 64;

function moved<T extends tf.Tensor>(from: T, direction: T, length: number): T {
  return tf.sub(from, tf.mul(direction, length));
}
