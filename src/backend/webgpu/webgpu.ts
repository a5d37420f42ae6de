import * as tf from '@tensorflow/tfjs';
import { RunError } from '../../errors.js';
import { type BackendReport, BackendUnavailable } from '../backend.js';
import { activate } from '../start.js';
import { type Gpu, type GpuAdapter, type GpuDevice, loadPackages } from './packages.js';

/** The tensor library's number for its tiled matrix product. */
const packedProducts = 3;

/** Dawn's instance: its devices fail when it is garbage-collected. */
let instance: Gpu | undefined;
let started: Promise<BackendReport> | undefined;

/**
 * The tensor library's WebGPU backend on Dawn: any vendor's GPU, through Vulkan, Metal or Direct3D 12.
 * @throws BackendUnavailable when the packages or an adapter are missing
 */
export async function startWebgpu(): Promise<BackendReport> {
  started ??= start();
  try {
    const report = await started;
    await activate('webgpu', advice, alternative);
    return report;
  } catch (error) {
    started = undefined;
    throw error;
  }
}

const advice = 'Update the graphics driver';
const alternative = 'use --backend wasm';

async function start(): Promise<BackendReport> {
  const { dawn, version, registerKernels } = await loadPackages();
  Object.assign(globalThis, dawn.globals);
  instance = dawn.create([]);
  const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw new BackendUnavailable(
      'the backend "webgpu" does not start: no GPU was found. Install its driver for Vulkan (Linux: ' +
        'libvulkan1 and the driver of the GPU, listed by `vulkaninfo`), Metal or Direct3D 12',
      alternative,
    );
  }
  let device: GpuDevice | undefined;
  offer(adapter, (made) => {
    device = made;
  });
  registerKernels();
  // The others of the library's matrix products add up with atomics, in an order that changes from run to run.
  tf.env().set('WEBGPU_MATMUL_PROGRAM_TYPE', packedProducts);
  await activate('webgpu', advice, alternative);
  if (device) guardBackend(tf.backend() as unknown as GpuBackend, device);
  return { name: 'webgpu', version, detail: describeAdapter(adapter) };
}

/** Puts the adapter where the tensor library's backend asks for one. */
function offer(adapter: GpuAdapter, onDevice: (device: GpuDevice) => void): void {
  const offered = {
    features: adapter.features,
    limits: adapter.limits,
    info: adapter.info,
    requestDevice: async (descriptor: { requiredFeatures?: unknown }) => {
      // The library nests one list of features in another, which Dawn refuses.
      const requiredFeatures = ((descriptor.requiredFeatures ?? []) as unknown[]).flat();
      const device = await adapter.requestDevice({ ...descriptor, requiredFeatures });
      onDevice(device);
      return device;
    },
  };
  const scope = globalThis as { navigator?: object };
  // Node has a navigator of its own from 21 on.
  if (scope.navigator === undefined) {
    Object.defineProperty(scope, 'navigator', { value: {}, configurable: true });
  }
  const gpu = { requestAdapter: async () => offered };
  Object.defineProperty(scope.navigator, 'gpu', { value: gpu, configurable: true });
}

function describeAdapter({ info }: GpuAdapter): string {
  const name = info.device.trim() || info.architecture || info.vendor || 'unknown GPU';
  const software = info.isFallbackAdapter ? ', software' : '';
  return `Dawn, ${name}${info.description ? `, ${info.description.trim()}` : ''}${software}`;
}

/** The parts of the tensor library's WebGPU backend that are guarded. */
export interface GpuBackend {
  readonly tensorMap: {
    get(dataId: object): {
      readonly dtype: string;
      readonly shape: readonly number[];
      readonly resource?: unknown;
    };
  };
  read(dataId: object): Promise<unknown>;
  uploadToGPU(dataId: object): void;
}

/**
 * Turns errors that WebGPU only reports into exceptions. After a failed validation, a failed allocation
 * or a lost device, results are wrong but nothing throws: here every later read throws, and with it the
 * step. Tensors beyond the device's limits are refused before they are uploaded.
 */
export function guardBackend(backend: GpuBackend, device: GpuDevice): void {
  let failure: string | undefined;
  device.addEventListener('uncapturederror', (event) => {
    // Otherwise it is printed for every program that follows.
    event.preventDefault();
    failure ??= (event as Event & { readonly error: Error }).error.message;
  });
  device.lost.then(({ reason, message }) => {
    failure ??= `the device was lost (${reason}): ${message}`;
  });
  const check = () => {
    if (failure === undefined) return;
    throw new RunError(
      `the GPU reported an error, and numbers after it cannot be trusted: ${failure.trim()}`,
    );
  };

  const { read, uploadToGPU } = backend;
  backend.read = async (dataId) => {
    const values = await read.call(backend, dataId);
    check();
    return values;
  };

  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  backend.uploadToGPU = (dataId) => {
    const { shape, resource } = backend.tensorMap.get(dataId);
    if (resource == null) {
      const bytes = 4 * shape.reduce((size, length) => size * length, 1);
      if (bytes > limit) {
        throw new RunError(
          `a tensor of shape [${shape}] takes ${bytes} bytes, and this GPU allows ${limit} for one: ` +
            'try a smaller batchSize or network, or --backend wasm',
        );
      }
    }
    uploadToGPU.call(backend, dataId);
  };
}
