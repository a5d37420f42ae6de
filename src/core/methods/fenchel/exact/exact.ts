import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../../network/initialize.js';
import { accuracyValue, lossValue } from '../../../network/loss.js';
import { disposeParameters, forwardLayers, predict } from '../../../network/network.js';
import type { Parameters } from '../../../network/parameters.js';
import { extrapolate } from '../../../solvers/extrapolate.js';
import { lastResidual, type SolverReport } from '../../../solvers/solver.js';
import { type AverageState, LegacyWeightAverage as WeightAverage } from '../../legacy.js';
import type { Batch, LegacyMethod, MethodContext, StepMetrics, Trainer } from '../../method.js';
import { scheduleFactor } from '../../schedule.js';
import { updateActivationBlock, updateWeightBlock } from './block-updates.js';
import type { FenchelExactConfig } from './config.js';
import { type Blocks, LiftedObjective } from './objective.js';
import { proximalWeights } from './proximal-weights.js';
import { sweep } from './sweep.js';

/**
 * Faithful Fenchel training (Algorithm 2): on every batch, K alternations of
 *
 *     X_l <- argmin G over X_l, l = L, ..., 1   (eq. 14-16)
 *     W_l <- argmin G over W_l, b_l, all l      (eq. 19-20)
 *
 * with X started by a forward pass and W^0 the weights before the batch (`momentum` extrapolates them;
 * `order: interleaved` gives each W its target before the X below takes up part of it). Every
 * sub-problem is solved to `tolerance` on its optimality residual; with `weightUpdate: gradient-step` the
 * W-updates take one gradient step instead, as the paper did on CIFAR-10. X-updates go from the output
 * down because after the forward pass every penalty is zero: only the loss can move the activations.
 */
export const fenchelExact: LegacyMethod<FenchelExactConfig> = {
  init: (context) =>
    new FenchelExactTrainer(
      context,
      initializeParameters(context.network, context.config, context.random),
    ),
};

type Saved = {
  readonly batches: number;
  readonly current: Parameters;
  readonly previous: Parameters | undefined;
  readonly average: AverageState;
};

class FenchelExactTrainer implements Trainer {
  readonly columns = ['max_residual', 'x_iterations', 'w_iterations'];
  readonly #average: WeightAverage;
  #batches = 0;
  /** Weights before the last batch, where there is momentum. */
  #previous: Parameters | undefined;

  constructor(
    private readonly context: MethodContext<FenchelExactConfig>,
    private current: Parameters,
  ) {
    this.#average = new WeightAverage(context.config.weightAverage);
  }

  async step(batch: Batch): Promise<StepMetrics> {
    const { config: fixed, network, loss, totalBatches } = this.context;
    const rate = scheduleFactor(fixed.schedule, this.#batches, totalBatches, 0);
    const config = { ...fixed, lossWeight: fixed.lossWeight * rate };
    const anchor = this.#center();
    const { blocks, scores } = this.#forward(batch, anchor);
    const x: SolverReport[] = [];
    const w: SolverReport[] = [];
    try {
      const gammas = await proximalWeights(config, network, blocks, rate);
      const objective = new LiftedObjective(config, network, loss, batch.y, anchor, gammas);
      for (let k = 0; k < config.alternations; k++) {
        for (const { block, l } of sweep(config.order, anchor.length)) {
          if (block === 'X')
            x.push(await updateActivationBlock(objective, blocks, network, l, config));
          else w.push(await updateWeightBlock(objective, blocks, network, anchor, l, config));
        }
      }
      // A gradient step solves no W-update: the last sub-problem that is solved is an X-update.
      const last = config.weightUpdate === 'solve' ? [...x, ...w] : [...w, ...x];
      const metrics = await stepMetrics(scores, objective.value(blocks), { x, w, last });
      this.#accept(blocks.parameters);
      return metrics;
    } finally {
      tf.dispose([scores, blocks.inputs.slice(1), blocks.preimages.filter(isPresent)]);
      const kept = [...this.current, ...(this.#previous ?? [])];
      for (const made of [anchor, blocks.parameters]) {
        disposeParameters(made.filter((layer) => !kept.includes(layer)));
      }
    }
  }

  /** W^0: today's weights, extrapolated where there is momentum. */
  #center(): Parameters {
    const { momentum } = this.context.config;
    const previous = this.#previous;
    if (momentum === 0 || previous === undefined) return this.current;
    const factor = Math.min(momentum, this.#batches / (this.#batches + 5));
    return this.current.map(({ weights, bias }, l) => ({
      weights: extrapolate(weights, previous[l].weights, factor),
      bias: extrapolate(bias, previous[l].bias, factor),
    }));
  }

  #accept(parameters: Parameters): void {
    if (this.#previous) disposeParameters(this.#previous);
    const old = this.current;
    this.#previous = this.context.config.momentum > 0 ? old : undefined;
    this.current = parameters;
    this.#batches++;
    this.#average.update(parameters);
  }

  /**
   * Blocks of a forward pass, where every penalty is zero; loss and accuracy of the network before the
   * batch, whose weights momentum has moved on from.
   */
  #forward({ x, y }: Batch, parameters: Parameters): { blocks: Blocks; scores: tf.Scalar[] } {
    const { network, loss } = this.context;
    const kept = tf.tidy(() => {
      const { inputs, preActivations } = forwardLayers(network, parameters, x);
      const preimages = preActivations.slice(0, -1);
      const { current } = this;
      const output =
        parameters === current ? preActivations[preimages.length] : predict(network, current, x);
      return { inputs, preimages, scores: [lossValue(loss, y, output), accuracyValue(y, output)] };
    });
    const blocks = { inputs: kept.inputs, preimages: [undefined, ...kept.preimages], parameters };
    return { blocks, scores: kept.scores };
  }

  get state(): Saved {
    return {
      batches: this.#batches,
      current: this.current,
      previous: this.#previous,
      average: this.#average.state,
    };
  }

  set state({ batches, current, previous, average }: Saved) {
    this.#batches = batches;
    this.current = current;
    this.#previous = previous;
    this.#average.state = average;
  }

  parameters(): Parameters {
    return this.#average.parameters(this.current);
  }

  dispose(): void {
    disposeParameters(this.current);
    if (this.#previous) disposeParameters(this.#previous);
    this.#average.dispose();
  }
}

async function stepMetrics(
  scores: readonly tf.Scalar[],
  objective: tf.Scalar,
  { x, w, last }: Readonly<Record<'x' | 'w' | 'last', readonly SolverReport[]>>,
): Promise<StepMetrics> {
  const values = tf.stack([...scores, objective]);
  const [loss, accuracy, lifted] = await values.data();
  tf.dispose([values, objective]);
  return {
    loss,
    accuracy,
    objective: lifted,
    residual: lastResidual(last.map(({ residual }) => residual)),
    extra: {
      max_residual: Math.max(...[...x, ...w].map(({ residual }) => residual)),
      x_iterations: total(x),
      w_iterations: total(w),
    },
  };
}

function total(reports: readonly SolverReport[]): number {
  return reports.reduce((sum, { iterations }) => sum + iterations, 0);
}

function isPresent<T>(value: T | undefined): value is T {
  return value !== undefined;
}
