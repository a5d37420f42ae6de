import * as tf from '@tensorflow/tfjs';
import { initializeParameters } from '../../../network/initialize.js';
import { accuracyValue, lossValue } from '../../../network/loss.js';
import {
  disposeParameters,
  forwardLayers,
  type LayerParameters,
  type Network,
  type Parameters,
} from '../../../network/network.js';
import { byPosition } from '../../../network/smooth-term.js';
import { updateActivations } from '../../../solvers/activation-update.js';
import type { SolverReport } from '../../../solvers/solver.js';
import { stepWeights } from '../../../solvers/weight-gradient-step.js';
import { updateWeights } from '../../../solvers/weight-update.js';
import type { Batch, Method, MethodContext, StepMetrics, Trainer } from '../../method.js';
import type { FenchelExactConfig } from './config.js';
import { type Blocks, LiftedObjective } from './objective.js';

/**
 * Faithful Fenchel training (Algorithm 2): on every batch, K alternations of
 *
 *     X_l <- argmin G over X_l, l = L, ..., 1   (eq. 14-16)
 *     W_l <- argmin G over W_l, b_l, all l      (eq. 19-20)
 *
 * with X started by a forward pass and W^0 the weights before the batch. Every sub-problem is solved
 * to `tolerance` on its optimality residual; with `weightUpdate: gradient-step` the W-updates take one
 * gradient step instead, as the paper did on CIFAR-10. X-updates go from the output down because after the
 * forward pass every penalty is zero: only the loss can move the activations.
 */
export const fenchelExact: Method<FenchelExactConfig> = {
  init: (context) =>
    new FenchelExactTrainer(
      context,
      initializeParameters(context.network, context.config, context.random),
    ),
};

class FenchelExactTrainer implements Trainer {
  readonly columns = ['max_residual', 'x_iterations', 'w_iterations'];

  constructor(
    private readonly context: MethodContext<FenchelExactConfig>,
    private current: Parameters,
  ) {}

  async step(batch: Batch): Promise<StepMetrics> {
    const { config, network, loss } = this.context;
    const anchor = this.current;
    const objective = new LiftedObjective(config, network, loss, batch.y, anchor);
    const { blocks, scores } = this.#forward(batch);
    const x: SolverReport[] = [];
    const w: SolverReport[] = [];
    try {
      for (let k = 0; k < config.alternations; k++) {
        for (let l = network.activations.length; l >= 1; l--) {
          x.push(await updateActivationBlock(objective, blocks, network, l, config));
        }
        for (let l = 0; l < anchor.length; l++) {
          w.push(await updateWeightBlock(objective, blocks, network, anchor, l, config));
        }
      }
      this.current = blocks.parameters;
      return await stepMetrics(scores, objective.value(blocks), x, w);
    } finally {
      tf.dispose([scores, blocks.inputs.slice(1), blocks.preimages.filter(isPresent)]);
      // After a failure the anchor is still the current weights, and what replaced it goes.
      const [old, kept] =
        this.current === anchor ? [blocks.parameters, anchor] : [anchor, this.current];
      disposeParameters(old.filter((layer) => !kept.includes(layer)));
    }
  }

  /** Blocks of a forward pass, where every penalty is zero; loss and accuracy of its outputs. */
  #forward({ x, y }: Batch): { blocks: Blocks; scores: tf.Scalar[] } {
    const { network, loss } = this.context;
    const parameters = this.current;
    const kept = tf.tidy(() => {
      const { inputs, preActivations } = forwardLayers(network, parameters, x);
      const preimages = preActivations.slice(0, -1);
      const output = preActivations[preimages.length];
      return { inputs, preimages, scores: [lossValue(loss, y, output), accuracyValue(y, output)] };
    });
    const blocks = { inputs: kept.inputs, preimages: [undefined, ...kept.preimages], parameters };
    return { blocks, scores: kept.scores };
  }

  parameters(): Parameters {
    return this.current;
  }

  dispose(): void {
    disposeParameters(this.current);
  }
}

/** Minimises G over X_l (l >= 1), given the layers around it; replaces X_l in `blocks`. */
export async function updateActivationBlock(
  objective: LiftedObjective,
  blocks: Blocks,
  network: Network,
  l: number,
  config: FenchelExactConfig,
): Promise<SolverReport> {
  const predicted = network.maps[l - 1].apply(blocks.inputs[l - 1], blocks.parameters[l - 1]);
  const isHead = l === blocks.parameters.length - 1;
  const above = isHead ? config.lossWeight : 1;
  const { activations, preimage, ...report } = await updateActivations(
    {
      activation: network.activations[l - 1],
      predicted,
      map: network.maps[l],
      layer: blocks.parameters[l],
      above: objective.term(blocks, l),
      weight: (above * objective.termWeight(l)) / objective.penaltyWeight(l - 1),
    },
    config,
  );
  tf.dispose([predicted, blocks.inputs[l], blocks.preimages[l]!]);
  blocks.inputs[l] = activations;
  blocks.preimages[l] = preimage;
  return report;
}

/** Minimises G over W_l and b_l, given the activations; replaces them in `blocks`. */
export async function updateWeightBlock(
  objective: LiftedObjective,
  blocks: Blocks,
  network: Network,
  anchor: Parameters,
  l: number,
  config: FenchelExactConfig,
): Promise<SolverReport> {
  const rho = objective.rho(l);
  const gamma = objective.gamma(l);
  const scale = 2 / objective.termWeight(l);
  const start = blocks.parameters[l];
  const center = rho === 0 ? anchor[l] : pulledToZero(anchor[l], gamma / (rho + gamma));
  const inputs = network.maps[l].patches(blocks.inputs[l]);
  try {
    const problem = {
      inputs,
      term: byPosition(objective.term(blocks, l), network.maps[l]),
      center,
      start,
      ridge: {
        weights: scale * (rho + gamma),
        bias: config.proximalBias ? scale * gamma : 0,
      },
    };
    const { parameters, ...report } =
      config.weightUpdate === 'solve'
        ? await updateWeights(problem, config)
        : await stepWeights(problem, config.gradientStep);
    if (start !== anchor[l]) disposeParameters([start]);
    blocks.parameters = blocks.parameters.with(l, parameters);
    return report;
  } finally {
    inputs.dispose();
    if (center !== anchor[l]) disposeParameters([center]);
  }
}

/** rho ||W||^2 + gamma ||W - W^0||^2 is one square around gamma / (rho + gamma) W^0; biases have no rho. */
function pulledToZero({ weights, bias }: LayerParameters, factor: number): LayerParameters {
  return { weights: tf.mul(weights, factor), bias: bias.clone() };
}

async function stepMetrics(
  scores: readonly tf.Scalar[],
  objective: tf.Scalar,
  x: readonly SolverReport[],
  w: readonly SolverReport[],
): Promise<StepMetrics> {
  const values = tf.stack([...scores, objective]);
  const [loss, accuracy, lifted] = await values.data();
  tf.dispose([values, objective]);
  return {
    loss,
    accuracy,
    objective: lifted,
    residual: w[w.length - 1].residual,
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
