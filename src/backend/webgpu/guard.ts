import { RunError } from '../../errors.js';
import type { GpuDevice } from './packages.js';

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
 * Turns what WebGPU only reports into exceptions. A program that does not pass validation, a buffer
 * that does not fit and a device that is lost leave wrong numbers behind and throw nothing: here every
 * read after it throws, and with it the step. Tensors beyond the device's limits are refused before
 * any of their numbers go anywhere.
 */
export function guardBackend(backend: GpuBackend, device: GpuDevice): void {
  let failure: string | undefined;
  device.addEventListener('uncapturederror', (event) => {
    // Or it is printed for every program that follows.
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
