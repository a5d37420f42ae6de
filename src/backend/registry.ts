import type { BackendDefinition } from './backend.js';

export const backendNames = ['tensorflow', 'wasm', 'webgpu', 'cpu'] as const;
export type BackendName = (typeof backendNames)[number];

/** Every backend. Adding one is one file and one entry here. */
export const backends: Readonly<Record<BackendName, BackendDefinition>> = {
  tensorflow: {
    name: 'tensorflow',
    summary: "TensorFlow's native kernels, where its Node binding is installed",
    rank: 2,
    start: async () => (await import('./tensorflow/tensorflow.js')).startTensorflow(),
  },
  wasm: {
    name: 'wasm',
    summary: 'WebAssembly with SIMD: runs wherever Node runs',
    rank: 1,
    start: async () => (await import('./wasm/wasm.js')).startWasm(),
  },
  webgpu: {
    name: 'webgpu',
    summary: "any vendor's GPU through WebGPU, where Dawn's Node packages are installed",
    rank: 0,
    // It may stand for a driver in software, far slower than wasm.
    onlyByName: true,
    start: async () => (await import('./webgpu/webgpu.js')).startWebgpu(),
  },
  cpu: {
    name: 'cpu',
    summary: 'plain JavaScript: slow reference for tests',
    rank: 0,
    start: async () => (await import('./cpu.js')).startCpu(),
  },
};
