import { version_core } from '@tensorflow/tfjs';
import { availableMemory } from '../shared/memory.js';
import type { BackendReport } from './backend.js';
import { activate } from './start.js';

/** The tensor library's plain JavaScript backend: the reference that other kernels are tested against. */
export async function startCpu(): Promise<BackendReport> {
  await activate('cpu', 'Reinstall with `npm ci`', 'use --backend wasm');
  return {
    name: 'cpu',
    version: version_core,
    detail: 'plain JavaScript, 1 thread',
    device: 'cpu',
    memory: availableMemory(),
  };
}
