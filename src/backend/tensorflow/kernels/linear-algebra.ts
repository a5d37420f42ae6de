import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs';
import { deviceKernels } from '../../../core/solvers/device-kernels.js';
import { type NativeBackend, typeAttribute } from '../native.js';

/** Factorisations that the tensor library has no names for, and TensorFlow has kernels. */
export const linearAlgebraKernels: Readonly<Record<string, KernelFunc>> = {
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
};
