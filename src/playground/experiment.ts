import { join } from 'node:path';
import { loadExperiment } from '../config/load.js';
import type { Override } from '../config/overrides.js';
import { UsageError } from '../errors.js';
import { packageRoot } from '../shared/provenance.js';
import {
  type MethodEntry,
  mostUnits,
  type PlaygroundExperiment,
  playgroundDatasets,
} from './protocol.js';

/** What the page opens with where no experiment is given. */
export const defaultExperiment = join(packageRoot, 'configs', 'quickstart.yaml');

/**
 * The experiment that a page opens with, from a config file. The methods keep the fields that the file gives, so that
 * their controls show what was chosen.
 * @throws ConfigError; UsageError where the page cannot train it
 */
export function playgroundExperiment(
  file: string,
  overrides: readonly Override[] = [],
): PlaygroundExperiment {
  const { experiment, written } = loadExperiment(file, overrides);
  const refuse = (what: string): never => {
    throw new UsageError(
      `${file}: the playground cannot show it: ${what}. fln run trains it; configs/quickstart.yaml is one that the playground can show`,
    );
  };
  const { name, dataset, layers, loss, epochs, batchSize, seeds, evaluate, data } = experiment;
  const known = playgroundDatasets.find((one) => one === dataset.name);
  if (known === undefined) {
    return refuse(
      `its data set is ${dataset.name}, and the page has ${playgroundDatasets.join(' and ')}`,
    );
  }
  const { validation, augment, stream, preprocessing } = dataset;
  if (validation !== undefined || augment || stream || preprocessing !== 'scale') {
    return refuse('of dataset, the page knows name, limit and testLimit alone');
  }
  const network = layers.map((layer) => {
    const { dense, activation, ...others } = layer;
    if (typeof dense !== 'number' || Object.keys(others).length > 0) {
      return refuse('it has layers that are not fully connected, or have more than an activation');
    }
    if (dense > mostUnits) return refuse(`a layer has more than ${mostUnits} units`);
    return { dense, ...(activation !== undefined && { activation }) };
  });
  if (evaluate.test !== 'every' || evaluate.flips || evaluate.predict) {
    return refuse('of evaluate, the page knows every alone');
  }
  if (batchSize === 'full') return refuse('its batches are the whole training set');
  if (experiment.methods.some(({ definition }) => definition.fullBatch)) {
    return refuse('it has full-batch methods, whose steps take all training images');
  }
  if (experiment.init || experiment.plugins.length > 0) return refuse('it has init or plugins');
  return {
    name,
    dataset: {
      name: known,
      limit: dataset.limit ?? data.trainSize,
      testLimit: dataset.testLimit ?? data.testSize,
    },
    network: { layers: network },
    loss,
    epochs,
    batchSize,
    seeds: [seeds[0]],
    evaluate: { every: evaluate.every },
    backend: 'wasm',
    methods: written.methods as readonly MethodEntry[],
  };
}
