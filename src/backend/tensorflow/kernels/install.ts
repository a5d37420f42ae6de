import * as tf from '@tensorflow/tfjs';
import { linearAlgebraKernels } from './linear-algebra.js';
import { stepKernel } from './step.js';

let installed = false;

/** Adds kernels to the binding's own, once. */
export function installKernels(): void {
  if (installed) return;
  installed = true;
  for (const kernel of linearAlgebraKernels) tf.registerKernel(kernel);
  const step = tf.getKernel('Step', 'tensorflow');
  tf.unregisterKernel('Step', 'tensorflow');
  tf.registerKernel(stepKernel(step));
}
