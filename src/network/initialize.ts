import * as tf from '@tensorflow/tfjs';
import type { Random } from '../random.js';
import type { InitializerName } from './names.js';
import type { Network, Parameters } from './network.js';

type Draw = (random: Random, inputs: number, outputs: number) => number;

const draws: Readonly<Record<InitializerName, Draw>> = {
  he: (random, inputs) => Math.sqrt(2 / inputs) * random.normal(),
  lecun: (random, inputs) => Math.sqrt(1 / inputs) * random.normal(),
  xavier: (random, inputs, outputs) =>
    Math.sqrt(6 / (inputs + outputs)) * (2 * random.uniform() - 1),
};

/** Fresh parameters for every layer, in layer order; the caller disposes them. */
export function initializeParameters(
  network: Network,
  { initializer, bias }: { readonly initializer: InitializerName; readonly bias: number },
  random: Random,
): Parameters {
  const draw = draws[initializer];
  return network.widths.slice(1).map((outputs, l) => {
    const inputs = network.widths[l];
    const weights = new Float32Array(inputs * outputs);
    for (let i = 0; i < weights.length; i++) weights[i] = draw(random, inputs, outputs);
    return {
      weights: tf.tensor2d(weights, [inputs, outputs]),
      bias: tf.fill([outputs], bias) as tf.Tensor1D,
    };
  });
}
