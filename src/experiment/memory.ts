import type { BackendReport } from '../backend/backend.js';
import type { Experiment, ResolvedMethod } from '../config/experiment.js';
import { compilerOf, eager } from '../core/compile.js';
import { buildNetwork, type Network } from '../core/network/network.js';
import { activationShape, type LayerShape, pooledShape, unitsIn } from '../core/network/shape.js';
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
  const { units, between } = unitsOf(experiment);
  const perImage = bytes(unitCopies * units + between);
  for (const { batchSize, definition, label } of methods) {
    const rows = definition.fullBatch ? 1 : sizeOf(batchSize, images);
    if (weights + rows * perImage <= memory) continue;
    const most = Math.floor((memory - weights) / perImage);
    const way = most < 1 ? 'Use a smaller network' : `Use a batchSize of at most ${most}`;
    throw new EnvironmentError(
      `batchSize of ${label}: the ${units} units of the network on ${rows} images take at least ` +
        `${sizeText(rows * perImage)} in a step, ${there}. ${way}`,
    );
  }
}

/** The weights, their average, momentum and gradient, and what they become. */
const trainedCopies = 8;

/** Of the widest layer: a signal from above, and what becomes of it. */
const widestCopies = 4;

/**
 * Where operations run one by one, the results of a whole step exist at once; a compiled step frees them when they have
 * been used.
 */
const eagerFactor = 3;

/**
 * About how much memory a mini-batch step takes, in bytes: the forward pass, the learning signals of all layers, the
 * weights and what is kept of them. Without the program itself, evaluation (batches.ts bounds it), and the square matrices of methods that
 * have some for a layer. Undefined for full-batch methods.
 * @param backend that was started
 */
export function stepMemory(
  experiment: Experiment,
  { batchSize, definition }: ResolvedMethod,
  images: number,
  backend: string,
): number | undefined {
  if (definition.fullBatch) return undefined;
  const { units, between, mapped } = unitsOf(experiment);
  const outputs = experiment.network.layers.map(({ output }) => unitsIn(output));
  const held = unitCopies * units + between + units + mapped;
  const isEager = compilerOf(backend) === eager;
  const perImage = isEager ? eagerFactor * held : held + widestCopies * Math.max(...outputs);
  const weights = trainedCopies * weightsOf(buildNetwork(experiment.network));
  return bytes(weights + sizeOf(batchSize, images) * perImage);
}

/** A sentence for where {@link stepMemory} is more than there is; undefined elsewhere. */
export function memoryWarning(
  experiment: Experiment,
  method: ResolvedMethod,
  images: number,
  { name, memory = Number.POSITIVE_INFINITY }: BackendReport,
): string | undefined {
  const needed = stepMemory(experiment, method, images, name);
  if (needed === undefined || needed <= memory) return undefined;
  return (
    `a step of ${method.label} takes about ${sizeText(needed)}, and ${name} has ${sizeText(memory)} here. ` +
    'A smaller batchSize takes less'
  );
}

/** Numbers per image: of the units, what stages of layers keep beside them, and the signals of their maps' outputs. */
function unitsOf({ network }: Experiment): { units: number; between: number; mapped: number } {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const betweenOf = (layer: LayerShape) => {
    const seen = activationShape(layer);
    return (
      (layer.maxPool ? unitsIn(layer.output) : 0) +
      (layer.norm ? unitsIn(seen) : 0) +
      (layer.outerPool ? unitsIn(pooledShape(seen, layer.outerPool)) : 0)
    );
  };
  const mappedOf = ({ maxPool, norm, output }: LayerShape) =>
    maxPool || norm ? unitsIn(output) : 0;
  return {
    units: sum(network.widths),
    between: sum(network.layers.map(betweenOf)),
    mapped: sum(network.layers.map(mappedOf)),
  };
}

function weightsOf({ maps }: Network): number {
  return maps.reduce((sum, { weightShape: [patch, channels] }) => sum + patch * channels, 0);
}

/** Images of a mini-batch. */
function sizeOf(batchSize: number | 'full', images: number): number {
  return Math.min(images, batchSize === 'full' ? images : batchSize);
}

function bytes(values: number): number {
  return values * Float32Array.BYTES_PER_ELEMENT;
}
