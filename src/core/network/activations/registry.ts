import type { ActivationName } from '../names.js';
import type { Activation } from './activation.js';
import { leakyRelu } from './leaky-relu.js';
import { relu } from './relu.js';
import { sigmoid } from './sigmoid.js';
import { tanh } from './tanh.js';

/** Every activation. Adding one is one file, its name in names.ts and one line here. */
export const activations: Readonly<Record<ActivationName, Activation>> = {
  relu,
  'leaky-relu': leakyRelu,
  sigmoid,
  tanh,
};
