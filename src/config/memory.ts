import { splitSizes } from '../data/load.js';
import { datasets } from '../data/registry.js';
import type { NetworkShape } from '../methods/method.js';
import type { Lookup } from './checks.js';
import type { MethodResolution } from './methods.js';
import type { Finding } from './validate.js';

/** What a step may hold, in bytes: the embedded backend has 4 GB, for the images and the test set too. */
const limit = 3e9;

/** Values of every unit that a step keeps at once: activations, pre-activations and their gradients. */
const valuesPerUnit = 3;

/** Finds batches that no backend could hold the activations of. */
export function checkMemory(
  get: Lookup,
  resolutions: readonly Pick<MethodResolution, 'method'>[],
  network: NetworkShape | undefined,
): Finding[] {
  const dataset = datasets.find(({ name }) => name === get('dataset', 'name'));
  if (!dataset || !network) return [];
  const request = {
    name: dataset.name,
    limit: get<number>('dataset', 'limit'),
    validation: get<number>('dataset', 'validation'),
  };
  const units = network.widths.reduce((sum, width) => sum + width, 0);
  const perRow = units * valuesPerUnit * Float32Array.BYTES_PER_ELEMENT;
  const all = () => splitSizes(dataset, request).train;
  const seen = new Set<string>();
  return resolutions.flatMap(({ method }, i): Finding[] => {
    // A full-batch method takes the images in chunks.
    if (!method || method.definition.fullBatch) return [];
    const own = get<number | 'full'>('methods', i, 'batchSize');
    const batchSize = own ?? get<number | 'full'>('batchSize');
    const path = own === undefined ? ['batchSize'] : ['methods', i, 'batchSize'];
    if (batchSize === undefined || seen.has(path.join('.'))) return [];
    const rows = batchSize === 'full' ? all() : batchSize;
    if (rows * perRow <= limit) return [];
    seen.add(path.join('.'));
    const size = `${((rows * perRow) / 1e9).toFixed(1)} GB`;
    const most = Math.floor(limit / perRow);
    const message = `the ${units} units of the network on ${rows} images take about ${size} in a step of ${method.config.name}; use at most ${most}`;
    return [{ path, message, at: 'value' }];
  });
}
