import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../network/initialize.js';
import { disposeParameters } from '../../network/network.js';
import type { LayerParameters, Parameters } from '../../network/parameters.js';
import type { NormalEquations } from '../../solvers/normal-equations.js';
import { lastResidual } from '../../solvers/solver.js';
import { updateNonNegative } from '../full-batch/nonnegative-rows.js';
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
import type { AskariConfig } from './config.js';

/**
 * Block-coordinate descent of Askari, Negiar, Sambharya and El Ghaoui (2018), "Lifted neural
 * networks", for one hidden layer of ReLUs:
 *
 *     ||Y - Z W_2 - b_2||^2 + lambda ||Z - X_0 W_1 - b_1||^2 + rho (||W_1||^2 + ||W_2||^2),   Z >= 0
 *
 * relu(u) = argmin_{z >= 0} (z - u)^2 became the penalty between the layers. An iteration minimises it
 * over Z (each row a non-negative least-squares problem), then over (W_2, b_2) and (W_1, b_1) (ridge
 * regressions; biases are not penalised). It never increases.
 */
export const askariBcd: LegacyMethod<AskariConfig> = {
  async init(context) {
    const { network, config, random } = context;
    const { set, equations } = await prepareTraining(
      context,
      ridgeOptions(config.rho / config.lambda),
    );
    const [first, second] = initializeParameters(network, config, random);
    return new AskariTrainer(context, set, equations, [first, second]);
  },
};

type Saved = {
  readonly current: [LayerParameters, LayerParameters];
  readonly predicted: tf.Tensor2D[];
  readonly z: tf.Tensor2D[];
};

class AskariTrainer implements FullBatchTrainer {
  readonly columns = [positiveShare, 'z_residual', 'z_iterations'];
  /** X_0 W_1 + b_1 with the current weights, and Z: from a forward pass at first. */
  #predicted: tf.Tensor2D[];
  #z: tf.Tensor2D[];

  constructor(
    private readonly context: MethodContext<AskariConfig>,
    private readonly set: TrainingSet,
    private readonly inputEquations: NormalEquations,
    private current: [LayerParameters, LayerParameters],
  ) {
    this.#predicted = affineRows(set.x, current[0]);
    this.#z = mapChunks(set.x, (chunk) => tf.relu(this.#predicted[chunk]));
  }

  async step(): Promise<StepMetrics> {
    const { lambda, rho } = this.context.config;
    const { extra, ...scores } = await trainingScores(
      this.context,
      this.current,
      this.#predicted,
      this.set.y,
    );
    const z = await updateNonNegative(
      this.#z,
      {
        layer: this.current[1],
        weight: 1 / lambda,
        target: this.set.y,
        predicted: this.#predicted,
      },
      this.context.config,
    );
    const head = await fitLayer(this.#z, this.set.y, ridgeOptions(rho));
    this.#replace(1, head.layer);
    const { layer, residual } = await fitLayer(
      this.set.x,
      this.#z,
      ridgeOptions(rho / lambda),
      this.inputEquations,
    );
    this.#replace(0, layer);
    updateChunks(this.#predicted, (_, chunk) => affine(this.set.x[chunk], layer));
    return {
      ...scores,
      objective: await this.#objective(),
      residual: lastResidual([z.residual, head.residual, residual]),
      extra: { ...extra, z_residual: z.residual, z_iterations: z.iterations },
    };
  }

  #replace(l: 0 | 1, layer: LayerParameters): void {
    disposeParameters([this.current[l]]);
    this.current[l] = layer;
  }

  async #objective(): Promise<number> {
    const { lambda, rho } = this.context.config;
    const [fit, penalty] = await sumScalars(this.set.chunks, (chunk) => [
      squaredDistance(this.set.y[chunk], affine(this.#z[chunk], this.current[1])),
      squaredDistance(this.#z[chunk], this.#predicted[chunk]),
    ]);
    const norms = await squaredNorm(...this.current.map(({ weights }) => weights));
    return fit + lambda * penalty + rho * norms;
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
    this.inputEquations.dispose();
    disposeParameters(this.current);
    tf.dispose([this.#predicted, this.#z]);
  }
}

function ridgeOptions(ridge: number): RidgeOptions {
  return { biases: true, ridge: { weights: ridge, bias: 0 } };
}
