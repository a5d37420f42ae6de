import * as tf from '@tensorflow/tfjs';
import { disposeParameters } from '../../../network/network.js';
import type { LayerParameters, Parameters } from '../../../network/parameters.js';
import { splitBias } from '../../../network/stacked.js';
import { lastResidual } from '../../../solvers/solver.js';
import { updateNonNegative } from '../../full-batch/nonnegative-rows.js';
import { affineRows, mapChunks, updateChunks } from '../../full-batch/products.js';
import { fitLayer } from '../../full-batch/ridge-layer.js';
import { positiveShare, trainingScores } from '../../full-batch/scores.js';
import { affine } from '../../full-batch/terms.js';
import type { TrainingSet } from '../../full-batch/training-set.js';
import type { FullBatchTrainer, MethodContext, StepMetrics } from '../../method.js';
import { layerValue } from '../../per-layer.js';
import type { FenchelFullBatchConfig } from './config.js';
import type { HiddenMetric } from './hidden-metric.js';
import { liftedObjective } from './objective.js';

type Saved = {
  readonly current: [LayerParameters, LayerParameters];
  readonly u: tf.Tensor2D[];
  readonly z: tf.Tensor2D[];
  readonly metric: number | undefined;
};

/**
 * Algorithm 1 for one hidden layer of ReLUs and squared error. An iteration is
 *
 *     Z          <- argmin over Z >= 0 of ||Y - Z W_1 - b_1||^2 + lambda B(Z, U)      (eq. 15)
 *     (W_1, b_1) <- argmin of ||Y - Z W_1 - b_1||^2 / N + rho_1 ||W_1||^2             (eq. 18)
 *     P          <- P + (C + delta I)^-1 ([X_0, 1]^T (Z - relu(U)) / N - 2 rho_0 / lambda [W_0; 0])
 *
 * with P = [W_0; b_0] and U = [X_0, 1] P. The last line, taken `weightSteps` times, minimises a
 * quadratic bound of eq. 17. Each line decreases the lifted objective or leaves it as it is. Z starts
 * at relu(U).
 */
export class PlainTrainer implements FullBatchTrainer {
  readonly columns = [positiveShare, 'z_residual', 'z_iterations', 'hidden_gradient'];
  /** U with the current weights, and Z. */
  #u: tf.Tensor2D[];
  #z: tf.Tensor2D[];

  constructor(
    private readonly context: MethodContext<FenchelFullBatchConfig>,
    private readonly set: TrainingSet,
    private readonly metric: HiddenMetric,
    private current: [LayerParameters, LayerParameters],
  ) {
    this.#u = affineRows(set.x, current[0]);
    this.#z = mapChunks(set.x, (chunk) => tf.relu(this.#u[chunk]));
  }

  async step(): Promise<StepMetrics> {
    const { config } = this.context;
    const { set, current } = this;
    const scores = await trainingScores(this.context, current, this.#u, set.y);
    // B(Z, U) = ||Z - U||^2 / 2 + const for Z >= 0.
    const z = await updateNonNegative(
      this.#z,
      { layer: current[1], weight: 2 / config.lambda, target: set.y, predicted: this.#u },
      config,
    );
    const ridge = { weights: set.rows * layerValue(config.rho, 1), bias: 0 };
    const head = await fitLayer(this.#z, set.y, { biases: true, ridge });
    this.#replace(1, head.layer);
    let gradient = 0;
    for (let k = 0; k < config.weightSteps; k++) gradient = await this.#stepHidden();
    return {
      ...scores,
      objective: await liftedObjective(config, current, { z: this.#z, u: this.#u, y: set.y }),
      residual: lastResidual([z.residual, head.residual]),
      extra: {
        ...scores.extra,
        z_residual: z.residual,
        z_iterations: z.iterations,
        hidden_gradient: gradient,
      },
    };
  }

  /** One majorised step on P; returns its gradient's norm, relative to the run's first. */
  async #stepHidden(): Promise<number> {
    const { weights, bias } = this.current[0];
    const difference = mapChunks(this.#z, (chunk) =>
      tf.sub(this.#z[chunk], tf.relu(this.#u[chunk])),
    );
    const { step, gradient } = await this.metric.step(difference as tf.Tensor2D[], this.current[0]);
    tf.dispose(difference);
    const move = splitBias(step);
    updateChunks(this.#u, (old, chunk) => tf.add(old, affine(this.set.x[chunk], move)));
    this.#replace(0, {
      weights: tf.add(weights, move.weights),
      bias: tf.add(bias, move.bias),
    });
    disposeParameters([move]);
    step.dispose();
    return gradient;
  }

  #replace(l: 0 | 1, layer: LayerParameters): void {
    disposeParameters([this.current[l]]);
    this.current[l] = layer;
  }

  get state(): Saved {
    return { current: this.current, u: this.#u, z: this.#z, metric: this.metric.state };
  }

  set state({ current, u, z, metric }: Saved) {
    this.current = current;
    this.#u = u;
    this.#z = z;
    this.metric.state = metric;
  }

  parameters(): Parameters {
    return this.current;
  }

  dispose(): void {
    this.set.dispose();
    this.metric.dispose();
    disposeParameters(this.current);
    tf.dispose([this.#u, this.#z]);
  }
}
