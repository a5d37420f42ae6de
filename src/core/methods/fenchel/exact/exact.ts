import * as tf from '@tensorflow/tfjs';
import { programOf } from '../../../compile.js';
import { initializeParameters } from '../../../network/initialize.js';
import { accuracyValue, lossValue } from '../../../network/loss.js';
import { squaredPatches } from '../../../network/maps/linear-map.js';
import { forwardLayers, predict } from '../../../network/network.js';
import type { LayerParameters, Parameters } from '../../../network/parameters.js';
import { byPosition } from '../../../network/smooth-term.js';
import { updateActivations } from '../../../solvers/activation-update.js';
import { extrapolate } from '../../../solvers/blend.js';
import { lastResidual, type SolverReport } from '../../../solvers/solver.js';
import { type SolvedWeights, stepWeights, updateWeights } from '../../../solvers/weight-update.js';
import { measureLayers } from '../../layer-metrics.js';
import type { Batch, Method, MethodContext } from '../../method.js';
import { layerValue } from '../../per-layer.js';
import { scheduleFactor } from '../../schedule.js';
import { averageWeights, noAverage, type WeightAverage } from '../../weight-average.js';
import type { FenchelExactConfig } from './config.js';
import { unsolved, updateActivationsJointly } from './joint-activations.js';
import {
  type Blocks,
  type LiftedProblem,
  lossWeight,
  objectiveValue,
  penaltyWeight,
  preActivation,
  termAbove,
  termWeight,
} from './objective.js';

type State = {
  /** Batches done. */
  readonly t: number;
  readonly parameters: Parameters;
  /** Weights before the last batch, where there is momentum. */
  readonly previous: Parameters | undefined;
  readonly weightAverage: WeightAverage;
};

type Context = MethodContext<FenchelExactConfig>;

/**
 * Faithful Fenchel training (Algorithm 2): on every batch, K alternations of
 *
 *     X_l <- argmin G over X_l, l = L, ..., 1   (eq. 14-16)
 *     W_l <- argmin G over W_l, b_l, all l      (eq. 19-20)
 *
 * with X started by a forward pass and W^0 the weights before the batch (`momentum` extrapolates them;
 * `order: interleaved` updates each W before the X below it, which would take up part of its residual).
 * Every sub-problem is solved to `tolerance` on its optimality residual; with `weightUpdate: gradient-step`
 * the W-updates take one gradient step instead, as the paper did on CIFAR-10. X-updates start at the output
 * because after the forward pass every penalty is zero: only the loss can change the activations.
 * `xSolve: joint` minimises G over all X_l together in their place.
 */
export const fenchelExact: Method<FenchelExactConfig, undefined, State> = {
  columns: ({ xSolve }) => [
    'max_residual',
    'x_iterations',
    'w_iterations',
    ...(xSolve === 'joint' ? ['x_unsolved'] : []),
  ],

  init: ({ network, config, random }) => ({
    t: 0,
    parameters: initializeParameters(network, config, random),
    previous: undefined,
    weightAverage: noAverage,
  }),

  async step(context, _, state, batch) {
    const { network, loss, totalBatches } = context;
    const rate = scheduleFactor(context.config.schedule, state.t, totalBatches, 0);
    const config = { ...context.config, lossWeight: context.config.lossWeight * rate };
    const anchor = proximalCenter(config, state);
    const { blocks: start, scores } = forward(context, batch, anchor, state.parameters);
    let blocks = start;
    const gammas = await proximalWeights(context, blocks, rate);
    const problem = { config, network, loss, y: batch.y, anchor, gammas, context };

    const reports: Record<'X' | 'W', SolverReport[]> = { X: [], W: [] };
    const layerResiduals: number[][] = anchor.map(() => []);
    /** Of X_1, X_2, ... in each alternation. */
    const jointResiduals: (readonly number[])[] = [];
    for (let k = 0; k < config.alternations; k++) {
      if (config.xSolve === 'joint') {
        const updated = await updateActivationsJointly(problem, blocks);
        blocks = updated.blocks;
        reports.X.push(updated);
        jointResiduals.push(updated.residuals);
        for (const [l, residual] of updated.residuals.entries()) layerResiduals[l].push(residual);
        const { residual, iterations } = updated;
        await context.watch?.({ block: 'X', residual, iterations });
      }
      for (const { block, l } of blockOrder(config, anchor.length)) {
        const update = block === 'X' ? updateActivationBlock : updateWeightBlock;
        const updated = await update(problem, blocks, l);
        blocks = updated.blocks;
        reports[block].push(updated.report);
        const layer = block === 'X' ? l : l + 1;
        layerResiduals[layer - 1].push(updated.report.residual);
        await context.watch?.({ block, layer, ...updated.report });
      }
    }

    const values = tf.stack([...scores, objectiveValue(problem, blocks)]);
    const [lossBefore, accuracy, objective] = await values.data();
    const { X, W } = reports;
    // A gradient step solves no W-update: the last sub-problem that is solved is an X-update.
    const inOrder = config.weightUpdate === 'solve' ? [...X, ...W] : [...W, ...X];
    const residuals = inOrder.map(({ residual }) => residual);
    const isJoint = config.xSolve === 'joint';
    const jointResidual = network.activations.map((_, l) =>
      isJoint ? Math.max(...jointResiduals.map((layers) => layers[l])) : undefined,
    );
    const metrics = {
      loss: lossBefore,
      accuracy,
      objective,
      residual: lastResidual(residuals),
      extra: {
        max_residual: Math.max(...residuals),
        x_iterations: totalIterations(X),
        w_iterations: totalIterations(W),
        ...(isJoint && { x_unsolved: jointResidual.filter((value) => value! > unsolved).length }),
      },
    };
    const { parameters } = blocks;
    const weightAverage = averageWeights(context, state.weightAverage, parameters);
    const previous = config.momentum > 0 ? state.parameters : undefined;
    const measure = async () => {
      const layers = await measureLayers(network, {
        x: [batch.x],
        before: { activations: activationsOf(start), parameters: state.parameters },
        after: { activations: activationsOf(blocks), parameters },
        residuals: layerResiduals,
      });
      return { layers: layers.map((layer, l) => ({ ...layer, jointResidual: jointResidual[l] })) };
    };
    return { state: { t: state.t + 1, parameters, previous, weightAverage }, metrics, measure };
  },

  parameters: ({ parameters, weightAverage }) => weightAverage.average ?? parameters,
};

/** X_l above the first layer, each as one chunk of rows. */
const activationsOf = ({ inputs }: Blocks) => inputs.slice(1).map((rows) => [rows]);

/**
 * The order of the blocks in one alternation, after a joint X-update; X_l lies between the layers l - 1 and l, which are
 * counted from 0.
 */
export function blockOrder(
  { order, xSolve }: Pick<FenchelExactConfig, 'order' | 'xSolve'>,
  layers: number,
): { readonly block: 'X' | 'W'; readonly l: number }[] {
  const ofX = xSolve === 'joint' ? 0 : layers - 1;
  const activations = Array.from({ length: ofX }, (_, i) => layers - 1 - i);
  const weights = Array.from({ length: layers }, (_, l) => l);
  if (order === 'activations-first') {
    return [
      ...activations.map((l) => ({ block: 'X' as const, l })),
      ...weights.map((l) => ({ block: 'W' as const, l })),
    ];
  }
  return [
    ...activations.flatMap((l) => [
      { block: 'X' as const, l },
      { block: 'W' as const, l: l - 1 },
    ]),
    { block: 'W', l: layers - 1 },
  ];
}

/** W^0: the weights before the batch, extrapolated where there is momentum. */
function proximalCenter(
  { momentum }: FenchelExactConfig,
  { t, parameters, previous }: State,
): Parameters {
  if (momentum === 0 || previous === undefined) return parameters;
  return extrapolate(parameters, previous, Math.min(momentum, t / (t + 5)));
}

/**
 * Blocks of a forward pass with W^0, where every penalty is zero; loss and accuracy of the network
 * before the batch, whose weights differ from W^0 where there is momentum.
 */
function forward(
  { network, loss }: Context,
  { x, y }: Batch,
  anchor: Parameters,
  current: Parameters,
): { blocks: Blocks; scores: readonly tf.Scalar[] } {
  const { inputs, preActivations } = forwardLayers(network, anchor, x);
  const hidden = preActivations.slice(0, -1);
  const output = anchor === current ? preActivations[hidden.length] : predict(network, current, x);
  return {
    blocks: { inputs, preimages: [undefined, ...hidden], parameters: anchor, preActivations },
    scores: [lossValue(loss, y, output), accuracyValue(y, output)],
  };
}

/** gamma_l of a batch, scaled by its activations with `gammaUnit: gram`. */
async function proximalWeights(
  { config, network }: Context,
  { inputs }: Blocks,
  rate: number,
): Promise<number[]> {
  const scaled = network.maps.map((_, l) => layerValue(config.gamma, l) / Math.max(rate, 1e-3));
  if (config.gammaUnit === 'absolute') return scaled;
  const diagonals = tf.tidy(() =>
    tf.stack(
      network.maps.map((map, l) => {
        const rows = inputs[l].shape[0] * map.positions;
        return tf.div(tf.add(squaredPatches(map, inputs[l]), rows), map.weightShape[0] + 1);
      }),
    ),
  );
  const values = await diagonals.data();
  return scaled.map((gamma, l) => {
    const isHead = l === network.activations.length;
    const term = isHead ? 1 : config.penaltyScale * layerValue(config.lambda, l);
    return (gamma * lossWeight(config, inputs[0]) * term * values[l]) / 2;
  });
}

type BlockUpdate = { readonly blocks: Blocks; readonly report: SolverReport };

/** Minimises G over X_l (l >= 1), given the layers around it. */
export async function updateActivationBlock(
  problem: LiftedProblem,
  blocks: Blocks,
  l: number,
): Promise<BlockUpdate> {
  const { config, network, context } = problem;
  const isHead = l === blocks.parameters.length - 1;
  const above = isHead ? config.lossWeight : 1;
  const { activations, preimage, ...report } = await updateActivations(
    {
      activation: network.activations[l - 1],
      predicted: preActivation(problem, blocks, l - 1),
      map: network.maps[l],
      layer: blocks.parameters[l],
      above: termAbove(problem, blocks, l),
      weight: (above * termWeight(problem, l)) / penaltyWeight(problem, l - 1),
      ...(context && { compile: (part, fn) => programOf(context, `X${l} ${part}`, fn) }),
    },
    config,
  );
  const inputs = blocks.inputs.with(l, activations);
  const preimages = blocks.preimages.with(l, preimage);
  const preActivations = blocks.preActivations?.with(l, undefined);
  return { blocks: { ...blocks, inputs, preimages, preActivations }, report };
}

/** Minimises G over W_l and b_l, given the activations. */
export async function updateWeightBlock(
  problem: LiftedProblem,
  blocks: Blocks,
  l: number,
): Promise<BlockUpdate> {
  const { config, network, anchor } = problem;
  const map = network.maps[l];
  const rho = layerValue(config.rho, l);
  const gamma = problem.gammas[l];
  const scale = 2 / termWeight(problem, l);
  const x = blocks.inputs[l];
  const term = termAbove(problem, blocks, l);
  const start = blocks.parameters[l];
  const center = rho === 0 ? anchor[l] : pulledToZero(anchor[l], gamma / (rho + gamma));
  const ridge = {
    weights: scale * (rho + gamma),
    bias: config.proximalBias ? scale * gamma : 0,
  };
  let solved: SolvedWeights;
  if (config.weightUpdate === 'solve') {
    const inputs = map.patches(x);
    const known = center === start ? blocks.preActivations?.[l] : undefined;
    const predicted = known && (tf.reshape(known, [inputs.shape[0], -1]) as tf.Tensor2D);
    solved = await updateWeights(
      { inputs, term: byPosition(term, map), center, start, predicted, ridge },
      config,
    );
    // Patches of a convolution are many times as large as its images: freed before the step ends.
    inputs.dispose();
  } else {
    const current = blocks.preActivations?.[l];
    const step = { map, inputs: x, term, center, start, current, ridge };
    solved = await stepWeights(step, config.gradientStep);
  }
  const { parameters, preActivations, iterations, residual } = solved;
  const kept = blocks.preActivations?.with(l, tf.reshape(preActivations, [x.shape[0], -1]));
  preActivations.dispose();
  const updated = {
    ...blocks,
    parameters: blocks.parameters.with(l, parameters),
    preActivations: kept,
  };
  return { blocks: updated, report: { iterations, residual } };
}

/** rho ||W||^2 + gamma ||W - W^0||^2 is one square around gamma / (rho + gamma) W^0; biases have no rho. */
function pulledToZero({ weights, bias }: LayerParameters, factor: number): LayerParameters {
  return { weights: tf.mul(weights, factor), bias };
}

function totalIterations(reports: readonly SolverReport[]): number {
  return reports.reduce((sum, { iterations }) => sum + iterations, 0);
}
