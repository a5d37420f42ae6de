import * as tf from '@tensorflow/tfjs';
import type { Random } from '../random.js';
import type { LinearMap } from './maps/linear-map.js';
import type { InitializerName } from './names.js';
import type { Network } from './network.js';
import type { Parameters } from './parameters.js';

/** @param place of the weight: row of the patch, channel, and what is known of the layer */
type Draw = (random: Random, inputs: number, outputs: number, place: Place) => number;

interface Place {
  readonly row: number;
  readonly channel: number;
  readonly map: LinearMap;
}

const draws: Readonly<Record<InitializerName, Draw>> = {
  he: (random, inputs) => Math.sqrt(2 / inputs) * random.normal(),
  lecun: (random, inputs) => Math.sqrt(1 / inputs) * random.normal(),
  xavier: (random, inputs, outputs) =>
    Math.sqrt(6 / (inputs + outputs)) * (2 * random.uniform() - 1),
  'truncated-normal': (random) => 0.1 * truncatedNormal(random),
  // The first output channels are copies of the input channels, as long as there are any; the others are PyTorch's
  // default, U(+-1/sqrt(fan_in)).
  dirac: (random, inputs, _, { row, channel, map }) => {
    const value = (2 * random.uniform() - 1) / Math.sqrt(inputs);
    const area = map.fanOut / map.weightShape[1];
    const channels = inputs / area;
    if (channel >= channels) return value;
    const centre = Math.floor(area / 2) * channels;
    return row === centre + channel ? 1 : 0;
  },
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
  return network.maps.map((map, l) => {
    const { weightShape, fanOut } = map;
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
    for (let i = 0; i < weights.length; i++) {
      const place = { row: Math.floor(i / channels), channel: i % channels, map };
      weights[i] = draw(random, patch, fanOut, place);
    }
    if (whitening) weights.set(whitening);
    return {
      weights: tf.tensor2d(weights, [patch, channels]),
      bias: tf.fill([channels], bias) as tf.Tensor1D,
    };
  });
}
