import * as tf from '@tensorflow/tfjs';
import type { BackendReport } from '../backend.js';
import { activate } from '../start.js';
import { loadBinding } from './binding.js';

/** TensorFlow's own kernels through its Node binding, on whatever device the binding finds. */
export async function startTensorflow(): Promise<BackendReport> {
  const { name, folder } = loadBinding();
  await activate('tensorflow', `Reinstall ${name} in ${folder}, or use --backend wasm.`);
  const backend = tf.backend() as unknown as NodeBackend;
  const device = backend.isUsingGpuDevice ? 'GPU' : 'CPU';
  const { TF_Version: version } = backend.binding;
  return { name: 'tensorflow', version, detail: `${name}, ${device}` };
}

/** What the binding's backend says of itself. */
interface NodeBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: { readonly TF_Version: string };
}
