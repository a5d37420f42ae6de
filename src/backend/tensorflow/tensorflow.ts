import { availableParallelism } from 'node:os';
import { compilerOf, eager, registerCompiler } from '../../core/compile.js';
import { EnvironmentError } from '../../errors.js';
import { availableMemory } from '../../shared/memory.js';
import { type BackendReport, BackendUnavailable, type Device } from '../backend.js';
import { requireFrom } from '../packages.js';
import { activate } from '../start.js';
import { loadBinding } from './binding.js';
import { gpuName, whyNoGpu } from './cuda.js';
import { graphCompiler } from './graph-compiler.js';
import { installKernels } from './kernels.js';
import { nativeBackend } from './native.js';

/**
 * TensorFlow's own kernels through its Node binding.
 * @param device absent: a GPU when TensorFlow sees one
 * @throws EnvironmentError when no binding loads, or when TensorFlow does not compute on `device`
 */
export async function startTensorflow(device?: Device): Promise<BackendReport> {
  const loaded = loadBinding(device);
  const { name, folder } = loaded;
  await activate('tensorflow', `Reinstall ${name} in ${folder}`, 'use --backend wasm');
  const { isUsingGpuDevice, binding } = nativeBackend();
  const version = binding.TF_Version;
  if (device === 'cuda' && !isUsingGpuDevice) {
    throw new BackendUnavailable(
      whyNoGpu(loaded, version),
      'compute on the CPU with --backend tensorflow --device cpu',
    );
  }
  if (device === 'cpu' && isUsingGpuDevice) {
    throw new EnvironmentError('TensorFlow was loaded with its GPU earlier in this process');
  }
  installKernels();
  // The binding hands a graph its tensors by way of the host: on a GPU that costs more than it saves.
  if (!isUsingGpuDevice && compilerOf('tensorflow') === eager) {
    const messages = requireFrom(folder)(`${name}/dist/proto/api_pb.js`);
    registerCompiler('tensorflow', graphCompiler(messages));
  }
  return {
    name: 'tensorflow',
    version,
    detail: `${name}, ${isUsingGpuDevice ? gpuName() : `CPU, up to ${threads()}`}`,
    device: isUsingGpuDevice ? 'cuda' : 'cpu',
    memory: isUsingGpuDevice ? undefined : availableMemory(),
  };
}

/** TensorFlow on a GPU, whatever the config says of devices. */
export const startTensorflowGpu = async (): Promise<BackendReport> => ({
  ...(await startTensorflow('cuda')),
  name: 'tensorflow-gpu',
});

function threads(): string {
  const count = availableParallelism();
  return `${count} thread${count === 1 ? '' : 's'}`;
}
