import { getKernel, type KernelFunc, type NamedAttrMap, type TensorInfo } from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { replaceKernel, restoreKernels } from '../../replace-kernel.js';

/** What a kernel is called with, on the wasm backend. */
export interface KernelCall {
  readonly inputs: Readonly<Record<string, TensorInfo>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly backend: BackendWasm;
}

export type Kernel = (call: KernelCall) => TensorInfo;

/** Registers `kernel` with the wasm backend in place of the stock one, which it is given. */
export function overrideKernel(
  name: string,
  kernel: (original: Kernel | undefined) => Kernel,
): void {
  replaceKernel(
    'wasm',
    name,
    (original) => kernel(original as unknown as Kernel | undefined) as unknown as KernelFunc,
  );
}

/** Puts every stock kernel back: what the benchmark compares with. */
export const restoreStockKernels = (): void => restoreKernels('wasm');

/** Intermediate results of one composite kernel; all but the result are freed at the end. */
export class Scratch {
  readonly #infos = new Set<TensorInfo>();

  constructor(readonly backend: BackendWasm) {}

  /** Runs another kernel of the backend on intermediate results. */
  call(name: string, inputs: Record<string, TensorInfo>, attrs: NamedAttrMap = {}): TensorInfo {
    const config = getKernel(name, 'wasm');
    const kernelFunc = config.kernelFunc as unknown as Kernel;
    const out = kernelFunc({ inputs, attrs, backend: this.backend });
    this.#infos.add(out);
    return out;
  }

  /** The same data under another shape; owns nothing. */
  view(info: TensorInfo, shape: number[]): TensorInfo {
    return { dataId: info.dataId, dtype: info.dtype, shape };
  }

  constant(values: Float32Array, shape: number[]): TensorInfo {
    const dataId = this.backend.write(values, shape, 'float32');
    const info: TensorInfo = { dataId, shape, dtype: 'float32' };
    this.#infos.add(info);
    return info;
  }

  /** Frees everything but `result`, which is returned under `shape`. */
  finish(result: TensorInfo, shape: number[] = result.shape): TensorInfo {
    for (const info of this.#infos) {
      if (info.dataId !== result.dataId) this.backend.disposeData(info.dataId);
    }
    return this.view(result, shape);
  }
}
