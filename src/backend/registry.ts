import type { BackendDefinition, Device } from './backend.js';

export const backendNames = ['tensorflow', 'tensorflow-gpu', 'wasm', 'webgpu', 'cpu'] as const;
export type BackendName = (typeof backendNames)[number];

/** Every backend. Adding one is one file and one entry here. */
export const backends: Readonly<Record<BackendName, BackendDefinition>> = {
  tensorflow: {
    name: 'tensorflow',
    summary: "TensorFlow's native kernels, on its GPU where it sees one",
    rank: 2,
    devices: ['cpu', 'cuda'],
    start: async (device) => (await import('./tensorflow/tensorflow.js')).startTensorflow(device),
  },
  'tensorflow-gpu': {
    name: 'tensorflow-gpu',
    summary: 'TensorFlow on an NVIDIA GPU, and nowhere else',
    rank: 2,
    // `auto` finds it under the name tensorflow.
    onlyByName: true,
    devices: ['cuda'],
    start: async () => (await import('./tensorflow/tensorflow.js')).startTensorflowGpu(),
  },
  wasm: {
    name: 'wasm',
    summary: 'WebAssembly with SIMD: runs wherever Node runs',
    rank: 1,
    devices: ['cpu'],
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
    devices: ['cpu'],
    start: async () => (await import('./cpu.js')).startCpu(),
  },
};

/** The backends that compute on a device, or all of them, fastest first. */
export const backendsOn = (device?: Device): BackendDefinition[] =>
  Object.values<BackendDefinition>(backends)
    .filter(({ devices }) => device === undefined || devices?.includes(device))
    .sort((a, b) => b.rank - a.rank);
