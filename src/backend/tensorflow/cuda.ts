import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { requireFrom } from '../packages.js';
import type { Binding } from './binding.js';

/** A shared library that does not open, in the system's words. */
export interface ClosedLibrary {
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
  const [missing] = closedLibraries(binding, version);
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

/** The CUDA libraries that a TensorFlow opens when it first looks for GPUs, as far as they do not open. */
export function closedLibraries(binding: Location, version: string): ClosedLibrary[] {
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

/** @returns which library is in the way, the one asked for or one that it needs */
function open(path: string): ClosedLibrary | undefined {
  try {
    process.dlopen({ exports: {} }, path);
  } catch (error) {
    const { message } = error as Error;
    // Said of every library that opens and is no Node module.
    if (message.includes('did not self-register')) return undefined;
    const [, name = path, reason = message] = /^(?:.*\/)?([^:/]+): (.*)$/.exec(message) ?? [];
    return { name, reason };
  }
  return undefined;
}

const dependencies = ({ name, folder }: Location): string =>
  join(dirname(requireFrom(folder).resolve(`${name}/package.json`)), 'deps');
