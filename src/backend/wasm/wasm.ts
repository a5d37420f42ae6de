import { env } from '@tensorflow/tfjs';
import { version_wasm } from '@tensorflow/tfjs-backend-wasm';
import { availableMemory } from '../../shared/memory.js';
import type { BackendReport } from '../backend.js';
import { activate } from '../start.js';
import { guardHeap, heapSize } from './heap.js';
import { installKernels } from './kernels/install.js';

/** The WebAssembly backend, with the kernels of ./kernels in place of its slow or missing ones. */
export async function startWasm(): Promise<BackendReport> {
  installKernels();
  await activate('wasm', 'Reinstall with `npm ci`', 'use `--backend cpu` (about 50 times slower)');
  guardHeap();
  const simd = (await env().getAsync('WASM_HAS_SIMD_SUPPORT')) === true;
  return {
    name: 'wasm',
    version: version_wasm,
    detail: `WebAssembly ${simd ? 'with' : 'without'} SIMD, 1 thread`,
    device: 'cpu',
    room: Math.min(heapSize, availableMemory()),
  };
}
