import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs';
import type { NativeBackend } from '../native.js';

/**
 * 1 where x > 0, 0 elsewhere, and not a number where x is none: the derivative of relu. Two operations
 * in place of the binding's five.
 */
export const stepKernel = (original: KernelConfig): KernelConfig => ({
  ...original,
  kernelFunc: (args) => {
    const { inputs, attrs, backend } = args;
    if (attrs?.alpha) return original.kernelFunc(args);
    const native = backend as unknown as NativeBackend;
    const { binding } = native;
    const type = [{ name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT }];
    const positive = native.executeSingleOutput('Relu', type, [inputs.x as TensorInfo]);
    try {
      return native.executeSingleOutput('Sign', type, [positive]);
    } finally {
      positive.dispose();
    }
  },
});
