import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs';
import { deviceKernels } from '../../device-kernels.js';
import type { Attribute, NativeBackend } from '../native.js';

/** Factorisations that the tensor library has no names for, and TensorFlow has kernels. */
export const linearAlgebraKernels: readonly KernelConfig[] = [
  {
    kernelName: deviceKernels.cholesky,
    backendName: 'tensorflow',
    kernelFunc: ({ inputs, backend }) => {
      const native = backend as unknown as NativeBackend;
      return native.executeSingleOutput('Cholesky', [float(native)], [inputs.a as TensorInfo]);
    },
  },
  {
    kernelName: deviceKernels.triangularSolve,
    backendName: 'tensorflow',
    kernelFunc: ({ inputs, backend, attrs }) => {
      const native = backend as unknown as NativeBackend;
      const type = native.binding.TF_ATTR_BOOL;
      const attributes = [
        { name: 'lower', type, value: true },
        { name: 'adjoint', type, value: attrs?.adjoint as unknown },
        float(native),
      ];
      const operands = [inputs.l as TensorInfo, inputs.rhs as TensorInfo];
      return native.executeSingleOutput('MatrixTriangularSolve', attributes, operands);
    },
  },
];

const float = ({ binding }: NativeBackend): Attribute => ({
  name: 'T',
  type: binding.TF_ATTR_TYPE,
  value: binding.TF_FLOAT,
});
