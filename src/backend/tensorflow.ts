import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { EnvironmentError } from '../errors.js';
import type { BackendReport } from './backend.js';
import { activate } from './start.js';

/** The native bindings, the one for NVIDIA GPUs first. */
const bindings = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

/**
 * TensorFlow's own kernels through its Node binding, where one is installed: beside this program, or
 * in the `node_modules` of the folder that FLN_TENSORFLOW_DIR names.
 */
export async function startTensorflow(): Promise<BackendReport> {
  const name = loadBinding();
  await activate('tensorflow', `Reinstall ${name}, or use --backend wasm.`);
  const backend = tf.backend() as unknown as NodeBackend;
  const device = backend.isUsingGpuDevice ? 'GPU' : 'CPU';
  const { TF_Version: version } = backend.binding;
  return { name: 'tensorflow', version, detail: `${name}, ${device}` };
}

/** What the binding's backend says of itself. */
interface NodeBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: { readonly TF_Version: string };
}

let loaded: string | undefined;

/** Registers the backend with the tensor library. @returns the package that did */
function loadBinding(): string {
  if (loaded !== undefined) return loaded;
  // Read by the library when it loads: no banner, and GPU memory that grows with the need.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  process.env.TF_ENABLE_ONEDNN_OPTS ??= '1';
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  restoreRemovedHelpers();
  const folder = process.env.FLN_TENSORFLOW_DIR;
  const from = folder ? pathToFileURL(join(folder, 'package.json')).href : import.meta.url;
  const load = createRequire(from);
  const reasons: string[] = [];
  for (const name of bindings) {
    // The binding brings a second copy of the tensor library, which says of every kernel that it is known.
    const { warn } = console;
    console.warn = () => {};
    try {
      load(name);
      loaded = name;
      return name;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const absent = code === 'MODULE_NOT_FOUND' && message.includes(`'${name}'`);
      reasons.push(absent ? `${name} is not installed` : `${name}: ${message.split('\n')[0]}`);
    } finally {
      console.warn = warn;
    }
  }
  throw new EnvironmentError(
    `the backend "tensorflow" does not start: ${reasons.join('; ')}. ` +
      `Install ${bindings[1]} (npm install --no-save ${bindings[1]}), name the folder whose node_modules ` +
      'holds it with FLN_TENSORFLOW_DIR, or use --backend wasm',
  );
}

/** The binding was written for helpers that Node 23 has removed. */
function restoreRemovedHelpers(): void {
  const util = createRequire(import.meta.url)('node:util');
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
}
