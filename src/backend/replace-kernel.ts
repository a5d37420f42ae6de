import {
  getKernel,
  type KernelConfig,
  type KernelFunc,
  registerKernel,
  unregisterKernel,
} from '@tensorflow/tfjs';

/** The original kernel of each backend and operation whose kernel was replaced. */
const stock = new Map<string, { backend: string; name: string; original?: KernelConfig }>();

/**
 * Registers a kernel for an operation of a backend, in place of the stock kernel if there is one, whose
 * set-up functions are kept. Repeated calls change nothing.
 * @param replacement the kernel, given the stock one
 */
export function replaceKernel(
  backend: string,
  name: string,
  replacement: (original: KernelFunc | undefined) => KernelFunc,
): void {
  const key = `${backend} ${name}`;
  if (stock.has(key)) return;
  const original = getKernel(name, backend) as KernelConfig | undefined;
  stock.set(key, { backend, name, original });
  const kernelFunc = replacement(original?.kernelFunc);
  if (original) unregisterKernel(name, backend);
  registerKernel({ ...original, kernelName: name, backendName: backend, kernelFunc });
}

/** Puts every stock kernel of a backend back. */
export function restoreKernels(backend: string): void {
  for (const [key, { backend: own, name, original }] of stock) {
    if (own !== backend) continue;
    unregisterKernel(name, backend);
    if (original) registerKernel(original);
    stock.delete(key);
  }
}
