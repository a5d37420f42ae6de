import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs';
import { deviceKernels } from '../../core/solvers/device-cholesky.js';
import { orthonormalKernel } from '../../core/solvers/orthonormal-basis.js';
import { replaceKernel } from '../replace-kernel.js';
import { type NativeBackend, typeAttribute } from './native.js';

/** Registers kernels that the binding lacks, or has in a slower form. */
export function installKernels(): void {
  replaceKernel('tensorflow', 'Step', stepKernel);
  for (const [name, kernel] of Object.entries(linearAlgebraKernels)) {
    replaceKernel('tensorflow', name, () => kernel);
  }
}

/** Factorisations that TensorFlow has kernels for, but the tensor library has no operations. */
const linearAlgebraKernels: Readonly<Record<string, KernelFunc>> = {
  [deviceKernels.cholesky]: ({ inputs, backend }) => {
    const native = backend as unknown as NativeBackend;
    return native.executeSingleOutput(
      'Cholesky',
      [typeAttribute(native)],
      [inputs.a as TensorInfo],
    );
  },
  [deviceKernels.triangularSolve]: ({ inputs, backend, attrs }) => {
    const native = backend as unknown as NativeBackend;
    const type = native.binding.TF_ATTR_BOOL;
    const attributes = [
      { name: 'lower', type, value: true },
      { name: 'adjoint', type, value: attrs?.adjoint as unknown },
      typeAttribute(native),
    ];
    const operands = [inputs.l as TensorInfo, inputs.rhs as TensorInfo];
    return native.executeSingleOutput('MatrixTriangularSolve', attributes, operands);
  },
  [orthonormalKernel]: ({ inputs, backend }) => {
    const native = backend as unknown as NativeBackend;
    const attributes = [
      { name: 'full_matrices', type: native.binding.TF_ATTR_BOOL, value: false },
      typeAttribute(native),
    ];
    const [q, r] = native.executeMultipleOutputs('Qr', attributes, [inputs.a as TensorInfo], 2);
    r.dispose();
    return q;
  },
};

/**
 * 1 where x > 0, 0 elsewhere, NaN where x is NaN: the derivative of relu. Two operations in
 * place of the binding's five.
 */
const stepKernel =
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
