import * as tf from '@tensorflow/tfjs';
import { accuracyValue, losses } from '../../network/loss.js';
import type { Parameters } from '../../network/parameters.js';
import type { MethodContext, StepMetrics } from '../method.js';
import { type Rows, sumScalars } from './products.js';

/** Column with the share of hidden pre-activations that are positive: near 0 or 1, ReLUs do nothing. */
export const positiveShare = 'positive_share';

/**
 * Loss and accuracy of the plain network on the training set. The first layer's product, which costs
 * as much as the rest of an iteration, is the caller's.
 *
 * @param first X_0 W_0 + b_0 for these parameters
 */
export async function trainingScores(
  { network, loss }: Pick<MethodContext<unknown>, 'network' | 'loss'>,
  parameters: Parameters,
  first: Rows,
  y: Rows,
): Promise<StepMetrics & { readonly extra: Record<string, number> }> {
  const [sum, correct, positive, units, rows] = await sumScalars(first, (chunk) => {
    let u = first[chunk];
    const positives: tf.Scalar[] = [];
    let hidden = 0;
    for (const [l, { phi }] of network.activations.entries()) {
      positives.push(tf.sum(tf.step(u)));
      hidden += u.size;
      u = network.maps[l + 1].apply(phi(u), parameters[l + 1]);
    }
    const count = u.shape[0];
    return [
      tf.sum(losses[loss].rows(y[chunk], u)),
      tf.mul(accuracyValue(y[chunk], u), count),
      tf.addN(positives),
      tf.scalar(hidden),
      tf.scalar(count),
    ];
  });
  return {
    loss: sum / rows,
    accuracy: Math.round(correct) / rows,
    extra: { [positiveShare]: positive / units },
  };
}
