import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs';
import { type NativeBackend, typeAttribute } from '../native.js';

/**
 * 1 where x > 0, 0 elsewhere, and not a number where x is none: the derivative of relu. Two operations
 * in place of the binding's five.
 */
export const stepKernel =
  (original: KernelFunc | undefined): KernelFunc =>
  (args) => {
    const { inputs, attrs, backend } = args;
    if (attrs?.alpha && original) return original(args);
    const native = backend as unknown as NativeBackend;
    const type = [typeAttribute(native)];
    const positive = native.executeSingleOutput('Relu', type, [inputs.x as TensorInfo]);
    try {
      return native.executeSingleOutput('Sign', type, [positive]);
    } finally {
      positive.dispose();
    }
  };
