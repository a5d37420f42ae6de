import {
  getKernel,
  type KernelConfig,
  type KernelFunc,
  type NamedAttrMap,
  registerKernel,
  type TensorInfo,
  unregisterKernel,
} from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';

/** What a kernel is called with, on the wasm backend. */
export interface KernelCall {
  readonly inputs: Readonly<Record<string, TensorInfo>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly backend: BackendWasm;
}

export type Kernel = (call: KernelCall) => TensorInfo;

const stock = new Map<string, KernelConfig | undefined>();

/**
 * Registers `kernel` for an operation of the wasm backend, in place of the stock kernel if there is
 * one, whose set-up (loading of its wasm function) is kept. Doing it twice changes nothing.
 */
export function overrideKernel(
  name: string,
  kernel: (original: Kernel | undefined) => Kernel,
): void {
  if (stock.has(name)) return;
  const original = getKernel(name, 'wasm') as KernelConfig | undefined;
  stock.set(name, original);
  const func = kernel(original?.kernelFunc as unknown as Kernel | undefined);
  if (original) unregisterKernel(name, 'wasm');
  registerKernel({
    ...original,
    kernelName: name,
    backendName: 'wasm',
    kernelFunc: func as unknown as KernelFunc,
  });
}

/** Puts every stock kernel back: what the benchmark compares with. */
export function restoreStockKernels(): void {
  for (const [name, original] of stock) {
    unregisterKernel(name, 'wasm');
    if (original) registerKernel(original);
  }
  stock.clear();
}

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
