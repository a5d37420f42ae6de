import type { BackendReport } from '../backend/backend.js';
import type { Experiment, ResolvedMethod } from '../config/experiment.js';
import { buildNetwork, type Network } from '../core/network/network.js';
import { EnvironmentError } from '../errors.js';
import { sizeText } from '../shared/text.js';

/** Every method holds at least the weights and their update. */
const weightCopies = 2;

/** Every method holds at least the pre-activations and activations of a batch. */
const unitCopies = 2;

/**
 * Refuses an experiment that does not fit into the backend's memory, before it starts.
 * @param images in the training split
 * @throws EnvironmentError that names the method and what to change
 */
export function refuseBeyondMemory(
  experiment: Experiment,
  methods: readonly ResolvedMethod[],
  images: number,
  { name, memory = Number.POSITIVE_INFINITY }: BackendReport,
): void {
  const weights = bytes(weightCopies * weightsOf(buildNetwork(experiment.network)));
  const there = `and ${name} has ${sizeText(memory)} here`;
  if (weights > memory) {
    throw new EnvironmentError(
      `network.layers: the weights take at least ${sizeText(weights)} in training, ${there}. Use a smaller network`,
    );
  }
  const units = experiment.network.widths.reduce((sum, width) => sum + width, 0);
  const perImage = bytes(unitCopies * units);
  for (const { batchSize, definition, label } of methods) {
    // A full-batch method takes the images in chunks.
    const rows = definition.fullBatch ? 1 : Math.min(images, sizeOf(batchSize, images));
    if (weights + rows * perImage <= memory) continue;
    const most = Math.floor((memory - weights) / perImage);
    const way = most < 1 ? 'Use a smaller network' : `Use a batchSize of at most ${most}`;
    throw new EnvironmentError(
      `batchSize of ${label}: the ${units} units of the network on ${rows} images take at least ` +
        `${sizeText(rows * perImage)} in a step, ${there}. ${way}`,
    );
  }
}

function weightsOf({ maps }: Network): number {
  return maps.reduce((sum, { weightShape: [patch, channels] }) => sum + patch * channels, 0);
}

function sizeOf(batchSize: number | 'full', images: number): number {
  return batchSize === 'full' ? images : batchSize;
}

function bytes(values: number): number {
  return values * Float32Array.BYTES_PER_ELEMENT;
}
