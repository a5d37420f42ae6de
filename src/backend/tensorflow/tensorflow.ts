import type { BackendReport } from '../backend.js';
import { registerCompiler } from '../compile.js';
import { requireFrom } from '../packages.js';
import { activate } from '../start.js';
import { loadBinding } from './binding.js';
import { graphCompiler } from './capture/capture.js';
import { installKernels } from './kernels/install.js';
import { nativeBackend } from './native.js';

let compiling = false;

/** TensorFlow's own kernels through its Node binding, on whatever device the binding finds. */
export async function startTensorflow(): Promise<BackendReport> {
  const { name, folder } = loadBinding();
  await activate('tensorflow', `Reinstall ${name} in ${folder}, or use --backend wasm.`);
  const { isUsingGpuDevice, binding } = nativeBackend();
  installKernels();
  // The binding hands a graph its tensors by way of the host: on a GPU that costs more than it saves.
  if (!isUsingGpuDevice && !compiling) {
    compiling = true;
    const messages = requireFrom(folder)(`${name}/dist/proto/api_pb.js`);
    registerCompiler('tensorflow', graphCompiler(messages));
  }
  const device = isUsingGpuDevice ? 'GPU' : 'CPU';
  return { name: 'tensorflow', version: binding.TF_Version, detail: `${name}, ${device}` };
}
