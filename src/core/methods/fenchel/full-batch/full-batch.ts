import { initializeParameters } from '../../../network/initialize.js';
import { TrainingSet } from '../../full-batch/training-set.js';
import type { LegacyMethod } from '../../method.js';
import { layerValue } from '../../per-layer.js';
import { AcceleratedTrainer } from './accelerated.js';
import type { FenchelFullBatchConfig } from './config.js';
import { HiddenMetric } from './hidden-metric.js';
import { PlainTrainer } from './plain.js';

/** Fenchel training on all images at once (Algorithm 1): plain.ts as in the paper, accelerated.ts fast. */
export const fenchelFullBatch: LegacyMethod<FenchelFullBatchConfig> = {
  async init(context) {
    const { config, network, random, train } = context;
    const set = TrainingSet.of(train, network.maps[1].outputs);
    try {
      const pull = (2 * layerValue(config.rho, 0)) / config.lambda;
      const metric = await HiddenMetric.of(set.x, { damping: config.damping, pull });
      const [hidden, head] = initializeParameters(network, config, random);
      return config.variant === 'plain'
        ? new PlainTrainer(context, set, metric, [hidden, head])
        : new AcceleratedTrainer(context, set, metric, [hidden, head]);
    } catch (error) {
      set.dispose();
      throw error;
    }
  },
};
