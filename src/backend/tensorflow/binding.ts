import { createRequire } from 'node:module';
import { addressSpaceAdvice } from '../../shared/memory.js';
import { BackendUnavailable, type Device } from '../backend.js';
import { loadQuietly, packageFolders, resolves } from '../packages.js';
import { loadWithoutStartUpLines } from './start-up-log.js';

/** The native bindings, the one for NVIDIA GPUs first. */
export const bindings = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

/** Private installations that may hold one, the one for NVIDIA GPUs first. */
const installations = ['tensorflow-cuda', 'tensorflow'] as const;

/** Environment variable: the only folder whose node_modules is searched for a binding. */
export const tensorflowFolderVariable = 'FLN_TENSORFLOW_DIR';

/** A binding that has loaded: it registers the backend `tensorflow` with the tensor library. */
export interface Binding {
  readonly name: string;
  /** Whose node_modules it was found in. */
  readonly folder: string;
  /** Bindings that were tried first and do not load, with the reasons. */
  readonly failed: readonly string[];
}

let loaded: Binding | undefined;

/**
 * Loads the first binding that loads here: beside this program, in a private installation, or in the
 * folder that {@link tensorflowFolderVariable} names.
 * @param device with `cuda`, bindings for GPUs are tried before every other; `cpu` hides the GPUs
 * @throws BackendUnavailable with the reason of each that was tried
 */
export function loadBinding(device?: Device): Binding {
  if (loaded !== undefined) return loaded;
  setEnvironment(device);
  restoreRemovedHelpers();
  const reasons: string[] = [];
  for (const { name, folder } of candidates(device)) {
    try {
      loadWithoutStartUpLines(() => loadQuietly(folder, name));
      loaded = { name, folder, failed: reasons };
      return loaded;
    } catch (error) {
      const [reason] = (error as Error).message.split('\n');
      const limit = /memory|map segment/i.test(reason) ? addressSpaceAdvice() : undefined;
      reasons.push(`${name} in ${folder}: ${reason}${limit === undefined ? '' : `; ${limit}`}`);
    }
  }
  const why =
    reasons.length > 0 ? reasons.join('; ') : `neither ${bindings.join(' nor ')} is installed`;
  const options = device === 'cuda' ? ' --cuda' : '';
  throw new BackendUnavailable(
    `the backend "tensorflow" does not start: ${why}. Install it with \`fln backend install tensorflow${options}\`, ` +
      `name the folder whose node_modules holds a binding with ${tensorflowFolderVariable}`,
    `use --backend wasm${device === 'cuda' ? ' --device cpu' : ''}`,
  );
}

/** Whether there is a binding to try. */
export const hasBinding = (): boolean => candidates(undefined).length > 0;

function candidates(device: Device | undefined): Omit<Binding, 'failed'>[] {
  const found = packageFolders(tensorflowFolderVariable, installations).flatMap((folder) =>
    bindings.filter((name) => resolves(folder, name)).map((name) => ({ name, folder })),
  );
  if (device !== 'cuda') return found;
  return found.toSorted((a, b) => bindings.indexOf(a.name) - bindings.indexOf(b.name));
}

/** Variables that the library reads when it loads. */
function setEnvironment(device: Device | undefined): void {
  // No banner; GPU memory that grows with the need; GPUs numbered as nvidia-smi numbers them.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  process.env.CUDA_DEVICE_ORDER ??= 'PCI_BUS_ID';
  if (device === 'cpu') process.env.CUDA_VISIBLE_DEVICES = '-1';
}

/** The binding was written for helpers that Node 23 has removed. */
function restoreRemovedHelpers(): void {
  const util = createRequire(import.meta.url)('node:util');
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
}
