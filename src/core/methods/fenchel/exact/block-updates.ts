import * as tf from '@tensorflow/tfjs';
import { disposeParameters, type Network } from '../../../network/network.js';
import type { LayerParameters, Parameters } from '../../../network/parameters.js';
import { byPosition } from '../../../network/smooth-term.js';
import { updateActivations } from '../../../solvers/activation-update.js';
import type { SolverReport } from '../../../solvers/solver.js';
import { stepWeights } from '../../../solvers/weight-gradient-step.js';
import { updateWeights } from '../../../solvers/weight-update.js';
import type { FenchelExactConfig } from './config.js';
import type { Blocks, LiftedObjective } from './objective.js';

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
