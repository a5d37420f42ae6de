import { ExitCode, FlnError, UsageError } from '../errors.js';
import type { BackendDefinition, BackendReport, Device } from './backend.js';

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

/**
 * Starts a backend and makes it the tensor library's current one.
 *
 * @param name a registered backend, or `auto`: the fastest that loads here
 * @param device that it has to compute on; absent: what the backend finds
 * @throws UsageError for an unknown name, or a device that the backend does not compute on;
 *   EnvironmentError for a backend that cannot run here. A named backend or device is never replaced by
 *   another
 */
export async function startBackend(name: string, device?: Device): Promise<BackendReport> {
  if (name === 'auto') return startFastest(device);
  if (!isBackendName(name)) {
    throw new UsageError(
      `there is no backend "${name}"; the backends are auto, ${backendNames.join(', ')}`,
    );
  }
  const backend: BackendDefinition = backends[name];
  if (device !== undefined && !backend.devices?.includes(device)) {
    throw new UsageError(wrongDevice(name, device));
  }
  return backend.start(device);
}

/** Why a backend and a device do not go together. */
export function wrongDevice(backend: string, device: Device): string {
  const others = backendsOn(device).map(({ name }) => name);
  return `the backend "${backend}" does not compute on the device "${device}"; backends that do: ${others.join(', ')}`;
}

async function startFastest(device: Device | undefined): Promise<BackendReport> {
  const reasons: string[] = [];
  const candidates = backendsOn(device).filter(({ onlyByName }) => !onlyByName);
  for (const candidate of candidates) {
    try {
      return await candidate.start(device);
    } catch (error) {
      if (!(error instanceof FlnError) || candidates.length === 1) throw error;
      reasons.push(`  ${candidate.name}: ${error.message}`);
    }
  }
  throw new FlnError(`no backend runs here:\n${reasons.join('\n')}`, ExitCode.environment);
}

function isBackendName(name: string): name is BackendName {
  return (backendNames as readonly string[]).includes(name);
}
