import * as tf from '@tensorflow/tfjs';
import type { Random } from '../random.js';
import type { InitializerName } from './names.js';
import type { Network } from './network.js';
import type { Parameters } from './parameters.js';

type Draw = (random: Random, inputs: number, outputs: number) => number;

const draws: Readonly<Record<InitializerName, Draw>> = {
  he: (random, inputs) => Math.sqrt(2 / inputs) * random.normal(),
  lecun: (random, inputs) => Math.sqrt(1 / inputs) * random.normal(),
  xavier: (random, inputs, outputs) =>
    Math.sqrt(6 / (inputs + outputs)) * (2 * random.uniform() - 1),
  'truncated-normal': (random) => 0.1 * truncatedNormal(random),
};

/** A standard normal value, drawn again until it is within two standard deviations. */
function truncatedNormal(random: Random): number {
  for (;;) {
    const value = random.normal();
    if (Math.abs(value) <= 2) return value;
  }
}

/**
 * Parameters for every layer, in layer order: those of `network.initial` where the training starts from a
 * model, else random weights. The caller disposes them.
 * @param initializer one for all layers, or a list with one a layer, or a function that draws one weight
 */
export function initializeParameters(
  network: Network,
  {
    initializer,
    bias,
  }: {
    readonly initializer: InitializerName | readonly InitializerName[] | Draw;
    readonly bias: number;
  },
  random: Random,
): Parameters {
  const drawOf = (l: number): Draw => {
    if (typeof initializer === 'function') return initializer;
    return draws[typeof initializer === 'string' ? initializer : initializer[l]];
  };
  return network.maps.map(({ weightShape, fanOut }, l) => {
    const [patch, channels] = weightShape;
    const given = network.initial?.[l];
    if (given) {
      return {
        weights: tf.tensor2d(given.weights.slice(), [patch, channels]),
        bias: tf.tensor1d(given.bias.slice()),
      };
    }
    const whitening = l === 0 ? network.whitening : undefined;
    const draw = drawOf(l);
    const weights = new Float32Array(patch * channels);
    for (let i = 0; i < weights.length; i++) weights[i] = draw(random, patch, fanOut);
    if (whitening) weights.set(whitening);
    return {
      weights: tf.tensor2d(weights, [patch, channels]),
      bias: tf.fill([channels], bias) as tf.Tensor1D,
    };
  });
}
