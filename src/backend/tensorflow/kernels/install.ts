import { replaceKernel } from '../../replace-kernel.js';
import { linearAlgebraKernels } from './linear-algebra.js';
import { stepKernel } from './step.js';

/** Adds kernels to the binding's own. */
export function installKernels(): void {
  replaceKernel('tensorflow', 'Step', stepKernel);
  for (const [name, kernel] of Object.entries(linearAlgebraKernels)) {
    replaceKernel('tensorflow', name, () => kernel);
  }
}
