import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { requireFrom } from '../packages.js';
import type { Binding } from './binding.js';

/** A shared library that cannot be opened, with the system's message. */
export interface UnloadableLibrary {
  readonly name: string;
  readonly reason: string;
}

/** The library of NVIDIA's driver: no package brings it. */
export const driverLibrary = 'libcuda.so.1';

type Location = Pick<Binding, 'name' | 'folder'>;

/** Why a binding that has loaded computes on no GPU, and what to do: without the last full stop. */
export function whyNoGpu(binding: Binding, version: string): string {
  const what = `TensorFlow ${version} (${binding.name} in ${binding.folder})`;
  if (!isCudaBuild(binding)) {
    const others = binding.failed.map((reason) => `${reason}; `).join('');
    return (
      `no GPU can be used: ${others}${what} is a build for CPUs alone. ` +
      `Get the other with \`fln backend install tensorflow --cuda\``
    );
  }
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  if (visible !== undefined && /^\s*(-1.*)?$/.test(visible)) {
    return `no GPU can be used: CUDA_VISIBLE_DEVICES="${visible}" hides them all. Unset it`;
  }
  const [missing] = unloadableLibraries(binding, version);
  if (missing === undefined) {
    return (
      `no GPU can be used: ${what} opens every CUDA library and still finds no GPU that it supports. ` +
      `See whether nvidia-smi lists one, and what TensorFlow says with TF_CPP_MIN_LOG_LEVEL=0`
    );
  }
  const advice =
    missing.name === driverLibrary
      ? "It comes with NVIDIA's driver: run on a machine that has a GPU and the driver"
      : 'Install it with `fln backend install tensorflow --cuda`, or name its folder in LD_LIBRARY_PATH';
  return `no GPU can be used: ${what} needs ${missing.name}, which cannot be opened (${missing.reason}). ${advice}`;
}

/** Whether a binding's TensorFlow was built for GPUs. */
export function isCudaBuild(binding: Location): boolean {
  if (binding.name.endsWith('-gpu')) return true;
  const framework = join(dependencies(binding), 'lib', 'libtensorflow_framework.so.2');
  return existsSync(framework) && readFileSync(framework).includes(driverLibrary);
}

/** Of the CUDA libraries that TensorFlow opens when it first looks for GPUs: those that cannot be opened. */
export function unloadableLibraries(binding: Location, version: string): UnloadableLibrary[] {
  const own = ownLibraries(dependencies(binding));
  return cudaLibraries(version).flatMap((name) => {
    const reason = open(own.get(name) ?? name);
    return reason === undefined ? [] : [reason];
  });
}

/** Names of the libraries by version of TensorFlow: the driver first, as nothing works without it. */
function cudaLibraries(version: string): string[] {
  const [major, minor] = version.split('.').map(Number);
  const release = 100 * major + minor;
  const [cuda, cufft, cusparse] = release >= 215 ? ['12', '11', '12'] : ['11', '10', '11'];
  return [
    driverLibrary,
    `libcudart.so.${cuda === '11' ? '11.0' : cuda}`,
    `libcublas.so.${cuda}`,
    `libcublasLt.so.${cuda}`,
    `libcufft.so.${cufft}`,
    'libcusolver.so.11',
    `libcusparse.so.${cusparse}`,
    `libcudnn.so.${release >= 218 ? '9' : '8'}`,
  ];
}

/** Libraries from NVIDIA's packages, beside TensorFlow's own, where its RUNPATH looks first. */
function ownLibraries(folder: string): Map<string, string> {
  const nvidia = join(folder, 'nvidia');
  if (!existsSync(nvidia)) return new Map();
  const folders = readdirSync(nvidia).map((name) => join(nvidia, name, 'lib'));
  return new Map(
    folders
      .filter((lib) => existsSync(lib))
      .flatMap((lib) => readdirSync(lib).map((name) => [name, join(lib, name)] as const)),
  );
}

/** @returns the library that fails to open: the one at `path`, or one that it needs */
function open(path: string): UnloadableLibrary | undefined {
  try {
    process.dlopen({ exports: {} }, path);
  } catch (error) {
    const { message } = error as Error;
    // The message for every library that opens but is not a Node module.
    if (message.includes('did not self-register')) return undefined;
    const [, name = path, reason = message] = /^(?:.*\/)?([^:/]+): (.*)$/.exec(message) ?? [];
    return { name, reason };
  }
  return undefined;
}

const dependencies = ({ name, folder }: Location): string =>
  join(dirname(requireFrom(folder).resolve(`${name}/package.json`)), 'deps');

/** Name of the GPU that TensorFlow takes, the first that it may see; `GPU` where nvidia-smi does not work. */
export function gpuName(): string {
  const [visible = ''] = process.env.CUDA_VISIBLE_DEVICES?.split(',') ?? [];
  const selected = visible.trim() === '' ? [] : ['-i', visible.trim()];
  const [name] = ask('name', selected) ?? [];
  return name || 'GPU';
}

/** Index and UUID of every GPU of this machine; undefined where nvidia-smi does not work. */
export function listGpus(): { index: string; uuid: string }[] | undefined {
  return ask('index,uuid')?.map((line) => {
    const [index, uuid = ''] = line.split(',').map((part) => part.trim());
    return { index, uuid };
  });
}

/** Output of nvidia-smi, a line for each GPU. */
function ask(fields: string, selected: readonly string[] = []): string[] | undefined {
  try {
    const printed = execFileSync(
      'nvidia-smi',
      [`--query-gpu=${fields}`, '--format=csv,noheader', ...selected],
      { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return printed.split('\n').flatMap((line) => line.trim() || []);
  } catch {
    return undefined;
  }
}
