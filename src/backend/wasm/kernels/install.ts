import { avgPoolGrad } from './avg-pool-grad.js';
import { conv2DBackpropFilter, conv2DBackpropInput } from './conv-gradients.js';
import { overrideKernel } from './kernel.js';
import { matMul } from './mat-mul.js';
import { sum } from './sum.js';
import { tanh } from './tanh.js';

/** Registers this folder's kernels with the wasm backend. */
export function installKernels(): void {
  overrideKernel('BatchMatMul', matMul('BatchMatMul'));
  overrideKernel('_FusedMatMul', matMul('_FusedMatMul'));
  overrideKernel('Sum', sum);
  overrideKernel('Tanh', tanh);
  overrideKernel('Conv2DBackpropFilter', conv2DBackpropFilter);
  overrideKernel('Conv2DBackpropInput', conv2DBackpropInput);
  overrideKernel('AvgPoolGrad', avgPoolGrad);
}
