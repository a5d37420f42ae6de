import * as tf from '@tensorflow/tfjs';
import { compile } from '../compile.js';
import { zipTrees } from '../tree.js';
import { normEpsilon } from './names.js';
import { disposeParameters, forwardLayers, type Network } from './network.js';
import { type ChannelStatistics, channelStatistics } from './norm.js';
import type { LayerParameters, Parameters } from './parameters.js';

/**
 * Batch norms at test time. In training a batch norm takes the mean and variance of its batch; at test time both are
 * constants, and the norm is a linear map, which is folded into the weights and the bias:
 *
 *     norm(P) + b = (P - mean)/s + b,   s = sqrt(variance + eps):   W <- W/s,   b <- b - mean/s,
 *
 * max-pooling between them included, since s > 0. The folded network has no batch norm, and is what tests,
 * predictions and exported models use.
 *
 * Statistics are estimated for the very weights that are tested, an average of weights too, over batches of training
 * images: mean and variance over n - 1 of each, averaged (PyTorch with `momentum=None`; "precise" statistics of Wu and
 * Johnson 2021). There are no running averages, which would be those of earlier weights.
 */
export interface TestNetwork {
  readonly network: Network;
  readonly parameters: Parameters;
  /** Of each layer, where the network has batch norms. */
  readonly statistics?: readonly (ChannelStatistics | undefined)[];
  /** Frees what is not the method's. */
  dispose(): void;
}

/** Training images that the statistics are estimated from, at most. */
const sampleRows = 5000;

export const hasBatchNorm = ({ stages }: Pick<Network, 'stages'>): boolean => stages.some(isBatch);

const isBatch = ({ norm }: Network['stages'][number]): boolean => norm?.name === 'batch';

/**
 * What tests the parameters of a training: they themselves, unless the network has batch norms.
 * @param data training images: their number, and the images `indices` as a new tensor
 * @param batchSize of the training, which the variance of a batch depends on
 */
export function atTest(
  network: Network,
  parameters: Parameters,
  data: TrainingImages,
  batchSize: number,
): TestNetwork {
  if (!hasBatchNorm(network)) return { network, parameters, dispose: () => {} };
  return folded(network, parameters, estimateStatistics(network, parameters, data, batchSize));
}

interface TrainingImages {
  readonly count: number;
  rows(indices: ArrayLike<number>): tf.Tensor2D;
}

export function estimateStatistics(
  network: Network,
  parameters: Parameters,
  { count, rows }: TrainingImages,
  batchSize: number,
): (ChannelStatistics | undefined)[] {
  const used = Math.min(sampleRows, count);
  const size = Math.min(batchSize, used);
  const batches = Math.max(1, Math.floor(used / size));
  const normed = [...network.stages.keys()].filter((l) => isBatch(network.stages[l]));
  // Compiled, so that few layers of a batch exist at once.
  const statistics = compile(
    (input: { readonly parameters: Parameters; readonly x: tf.Tensor2D }) => {
      const { between } = forwardLayers(network, input.parameters, input.x);
      return normed.map((l) => channelStatistics(between[l].pooled!, parameters[l].bias.shape[0]));
    },
  );
  try {
    return tf.tidy(() => {
      let sums: readonly ChannelStatistics[] | undefined;
      for (let b = 0; b < batches; b++) {
        const indices = Array.from({ length: size }, (_, i) =>
          Math.floor(((i * batches + b) * count) / (size * batches)),
        );
        const own = tf.tidy(() => statistics.run({ parameters, x: rows(indices) }));
        sums = sums ? zipTrees(sums, own, (sum, value) => tf.add(sum, value)) : own;
      }
      return network.stages.map((_, l) => {
        const sum = sums?.[normed.indexOf(l)];
        return sum && { mean: tf.div(sum.mean, batches), variance: tf.div(sum.variance, batches) };
      });
    });
  } finally {
    statistics.dispose();
  }
}

/** The network without batch norms, and new parameters with which it computes the same. */
export function folded(
  network: Network,
  parameters: Parameters,
  statistics: readonly (ChannelStatistics | undefined)[],
): TestNetwork {
  const stages = network.stages.map(({ norm, ...rest }) =>
    norm && norm.name !== 'batch' ? { ...rest, norm } : rest,
  );
  const own = parameters.map((layer, l) => foldedLayer(layer, statistics[l]));
  const dispose = () => {
    disposeParameters(own);
    tf.dispose(statistics.flatMap((each) => (each ? [each.mean, each.variance] : [])));
  };
  return { network: { ...network, stages }, parameters: own, statistics, dispose };
}

function foldedLayer(
  { weights, bias }: LayerParameters,
  statistics: ChannelStatistics | undefined,
): LayerParameters {
  if (!statistics) return { weights: weights.clone(), bias: bias.clone() };
  return tf.tidy(() => {
    const s = tf.sqrt(tf.add(statistics.variance, normEpsilon));
    return {
      weights: tf.div(weights, s),
      bias: tf.sub(bias, tf.div(statistics.mean, s)),
    };
  });
}
