import { activations, addBuiltIn } from '../implementations.js';
import type { BuiltInActivation } from '../names.js';
import type { Activation } from './activation.js';
import { gelu, silu } from './gelu-and-silu.js';
import { hardTanh } from './hard-tanh.js';
import { leakyRelu } from './leaky-relu.js';
import { relu } from './relu.js';
import { sigmoid } from './sigmoid.js';
import { sign, step } from './sign-and-step.js';
import { softplus } from './softplus.js';
import { tanh } from './tanh.js';

/** Every built-in activation. Adding one is one file, its name in names.ts and one line here. */
const builtIn: Readonly<Record<BuiltInActivation, Activation>> = {
  relu,
  'leaky-relu': leakyRelu,
  softplus,
  sigmoid,
  tanh,
  'hard-tanh': hardTanh,
  gelu,
  silu,
  sign,
  step,
};

addBuiltIn(activations, builtIn);

export { activations };
