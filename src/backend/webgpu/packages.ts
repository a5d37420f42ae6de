import { pathToFileURL } from 'node:url';
import { BackendUnavailable } from '../backend.js';
import { loadQuietly, packageFolders, requireFrom, resolves } from '../packages.js';

/** Environment variable: the only folder whose node_modules is searched for the packages. */
export const webgpuFolderVariable = 'FLN_WEBGPU_DIR';

/** Dawn for Node, and the tensor library's backend on top of it. */
const dawn = 'webgpu';
const kernels = '@tensorflow/tfjs-backend-webgpu';
export const packages = [dawn, kernels] as const;

/** What the Dawn package exports. */
export interface Dawn {
  /** @param flags Dawn's own, as in `adapter=NAME` */
  create(flags: string[]): Gpu;
  readonly globals: Readonly<Record<string, unknown>>;
}

/** The parts of WebGPU that this program touches itself. */
export interface Gpu {
  requestAdapter(options?: object): Promise<GpuAdapter | null>;
}

export interface GpuAdapter {
  readonly info: {
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    readonly description: string;
    readonly isFallbackAdapter?: boolean;
  };
  readonly features: ReadonlySet<string>;
  readonly limits: GpuLimits;
  requestDevice(descriptor: { requiredFeatures?: unknown }): Promise<GpuDevice>;
}

interface GpuLimits {
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
}

export interface GpuDevice extends EventTarget {
  readonly limits: GpuLimits;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
}

const alternative = 'use --backend wasm';

interface WebgpuPackages {
  readonly dawn: Dawn;
  readonly version: string;
  /** Registers the backend with the tensor library; `navigator.gpu` must be there. */
  registerKernels(): void;
}

/**
 * Finds the two packages beside this program, in a private installation, or in the folder that
 * {@link webgpuFolderVariable} names.
 * @throws BackendUnavailable when they are not found, or do not load
 */
export async function loadPackages(): Promise<WebgpuPackages> {
  for (const folder of packageFolders(webgpuFolderVariable, ['webgpu'])) {
    if (!packages.every((name) => resolves(folder, name))) continue;
    const require = requireFrom(folder);
    try {
      return {
        dawn: await import(pathToFileURL(require.resolve(dawn)).href),
        version: require(`${kernels}/package.json`).version,
        registerKernels: () => loadQuietly(folder, kernels),
      };
    } catch (error) {
      const reason = (error as Error).message.split('\n')[0];
      throw new BackendUnavailable(
        `the backend "webgpu" does not start: ${dawn} in ${folder} does not load: ${reason}. ` +
          'Reinstall it with `fln backend install webgpu --force`',
        alternative,
      );
    }
  }
  throw new BackendUnavailable(
    `the backend "webgpu" does not start: ${dawn} and ${kernels} are not installed. Install them with ` +
      `\`fln backend install webgpu\`, name the folder whose node_modules holds them with ${webgpuFolderVariable}`,
    alternative,
  );
}
