import * as tf from '@tensorflow/tfjs';
import type { Network } from '../../../network/network.js';
import { layerValue } from '../../per-layer.js';
import type { FenchelExactConfig } from './config.js';
import type { Blocks } from './objective.js';

/** gamma_l of a batch, from its activations where gamma is counted in their Gram matrices. */
export async function proximalWeights(
  config: FenchelExactConfig,
  network: Network,
  { inputs }: Blocks,
  rate: number,
): Promise<number[]> {
  const scaled = network.maps.map((_, l) => layerValue(config.gamma, l) / Math.max(rate, 1e-3));
  if (config.gammaUnit === 'absolute') return scaled;
  const diagonals = tf.tidy(() =>
    tf.stack(
      network.maps.map((map, l) => {
        const patches = map.patches(inputs[l]);
        const [rows, patch] = patches.shape;
        return tf.div(tf.add(tf.sum(tf.square(patches)), rows), patch + 1);
      }),
    ),
  );
  const values = await diagonals.data();
  diagonals.dispose();
  const lossWeight = config.lossReduction === 'mean' ? 1 / inputs[0].shape[0] : 1;
  return scaled.map((gamma, l) => {
    const isHead = l === network.activations.length;
    const term = isHead ? 1 : config.penaltyScale * layerValue(config.lambda, l);
    return (gamma * lossWeight * term * values[l]) / 2;
  });
}
