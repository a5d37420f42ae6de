import { env } from '@tensorflow/tfjs';
import { version_wasm } from '@tensorflow/tfjs-backend-wasm';
import { addressSpaceAdvice, availableMemory } from '../../shared/memory.js';
import { type BackendReport, BackendUnavailable } from '../backend.js';
import { withoutConsole } from '../packages.js';
import { activate } from '../start.js';
import { guardHeap, heapSize } from './heap.js';
import { installKernels } from './kernels/install.js';

/** The WebAssembly backend, with the kernels of ./kernels in place of its slow or missing ones. */
export async function startWasm(): Promise<BackendReport> {
  installKernels();
  await activateExplained();
  guardHeap();
  const simd = (await env().getAsync('WASM_HAS_SIMD_SUPPORT')) === true;
  return {
    name: 'wasm',
    version: version_wasm,
    detail: `WebAssembly ${simd ? 'with' : 'without'} SIMD, 1 thread`,
    device: 'cpu',
    memory: Math.min(heapSize, availableMemory()),
  };
}

/** What the library prints about a failure goes into the error, not to the terminal. */
async function activateExplained(): Promise<void> {
  const said: string[] = [];
  const start = () => activate('wasm', 'Reinstall with `npm ci`', alternative);
  try {
    await withoutConsole((words) => said.push(words), start);
  } catch (failure) {
    throw failure instanceof BackendUnavailable ? (whyNotWasm(said) ?? failure) : failure;
  }
}

const alternative = 'use `--backend cpu` (about 50 times slower)';

/**
 * @param said what the library printed
 * @returns undefined when it printed nothing
 */
export function whyNotWasm(
  said: readonly string[],
  limit = addressSpaceAdvice(),
): BackendUnavailable | undefined {
  const problem = (reason: string) =>
    new BackendUnavailable(`the backend "wasm" does not start: ${reason}`, alternative);
  const reason = said.find((words) => /memory/i.test(words)) ?? said[0];
  if (reason === undefined) return undefined;
  const words = reason.replace(/^failed to asynchronously prepare wasm: /, '').split('\n')[0];
  if (!/memory/i.test(reason)) return problem(`${words}. Reinstall with \`npm ci\``);
  if (limit === undefined) return problem(`${words}. Free some memory`);
  return problem(`WebAssembly reserves some 12 GB of addresses (not of memory), and ${limit}`);
}
