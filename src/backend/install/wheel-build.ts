import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Device } from '../backend.js';
import { npm, npmInstall } from './npm.js';
import { tensorLibraryVersion, type Wheel, wheelGlibc, wheels } from './pinned.js';
import { fetchWheel, findPython } from './pip.js';
import { type Ingredients, rewording, WayError, type Workshop } from './recipe.js';
import { findProgram } from './tool.js';

/** Where npm puts a package. */
export const packageFolder = (folder: string, name: string): string =>
  join(folder, 'node_modules', ...name.split('/'));

/**
 * Compiles the unmodified binding against the C++ libraries of the official TensorFlow wheel.
 *
 * They are put into the binding's own `deps/lib`, where its RUNPATH ($ORIGIN/../../deps/lib) looks.
 * NVIDIA's libraries go to `deps/nvidia`, as the RUNPATH of TensorFlow ($ORIGIN/../nvidia/.../lib) wants
 * them beside it: the folder can be moved, and no LD_LIBRARY_PATH is needed.
 *
 * @throws WayError on other platforms, or naming the tools that are missing
 */
export async function buildAgainstWheel(
  packageName: string,
  device: Device,
  work: Workshop,
): Promise<Ingredients> {
  const wanted = wheelsForThisMachine(device);
  const python = await requireTools(work);
  const npmPackages = [`${packageName}@${tensorLibraryVersion}`];
  await npmInstall(npmPackages, work);
  const binding = packageFolder(work.folder, packageName);
  const deps = join(binding, 'deps');
  for (const wheel of wanted) await fetchWheel(python, wheel, deps, work);
  linkLibraries(join(deps, 'lib'));
  await compile(binding, work);
  // Needed for the compilation alone.
  for (const part of ['deps/include', 'build', 'build-tmp-napi-v8']) {
    rmSync(join(binding, part), { recursive: true, force: true });
  }
  return {
    npm: npmPackages,
    wheels: wanted.map(({ name, version, sha256 }) => ({ name, version, sha256 })),
  };
}

function wheelsForThisMachine(device: Device): readonly Wheel[] {
  const { platform, arch } = process;
  const found = platform === 'linux' ? wheels[device][arch] : undefined;
  if (found === undefined) {
    const processors = Object.keys(wheels[device]).join(' and ');
    throw new WayError(
      `TensorFlow's wheel can be used on Linux (${processors}) alone; this is ${platform} ${arch}`,
    );
  }
  const glibc = glibcVersion();
  if (glibc === undefined || compareVersions(glibc, wheelGlibc) < 0) {
    const here = glibc === undefined ? 'another C library' : `glibc ${glibc}`;
    throw new WayError(
      `TensorFlow's wheel needs glibc ${wheelGlibc} or later; this system has ${here}`,
    );
  }
  return found;
}

/** undefined for other C libraries, as on Alpine. */
function glibcVersion(): string | undefined {
  const report = process.report.getReport() as {
    readonly header?: { readonly glibcVersionRuntime?: string };
  };
  return report.header?.glibcVersionRuntime;
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  return left[0] - right[0] || left[1] - right[1];
}

/** @returns the Python to use */
async function requireTools(work: Workshop): Promise<string> {
  const python = await findPython(work);
  const missing = 'missing' in python ? [python.missing] : [];
  if (!process.env.CXX && findProgram('g++') === undefined) {
    missing.push('the C++ compiler g++ (apt install g++, or dnf install gcc-c++)');
  }
  if (findProgram('make') === undefined)
    missing.push('make (apt install make, or dnf install make)');
  if (missing.length > 0 || 'missing' in python) {
    throw new WayError(`missing on this machine: ${missing.join('; ')}`);
  }
  return python.path;
}

/** The names that the linker looks for. */
function linkLibraries(folder: string): void {
  for (const [link, file] of [
    ['libtensorflow.so', 'libtensorflow_cc.so.2'],
    ['libtensorflow_framework.so', 'libtensorflow_framework.so.2'],
  ]) {
    if (!existsSync(join(folder, file))) throw new WayError(`the wheel has no ${file}`);
    symlinkSync(file, join(folder, link));
  }
}

async function compile(binding: string, work: Workshop): Promise<void> {
  const prefix = dirname(dirname(process.execPath));
  const present = existsSync(join(prefix, 'include', 'node', 'node_api.h'));
  const known = present || process.env.npm_config_nodedir !== undefined;
  work.say(
    known
      ? 'compiling the binding with g++'
      : `compiling the binding with g++ (this Node has no headers in ${prefix}/include: they are downloaded from nodejs.org)`,
  );
  const headers = present ? [`--nodedir=${prefix}`] : [];
  const args = ['node-pre-gyp', 'install', '--build-from-source', ...headers];
  const options = { cwd: binding, signal: work.signal, limitSeconds: 900 };
  await rewording(
    () => npm(['exec', '--no', '--', ...args], options),
    (reason) =>
      known
        ? reason
        : `${reason}\n  Where nodejs.org cannot be reached, run this command with a Node that has its headers ` +
          '(the archive from nodejs.org has, the npm package has not), or name their folder with npm_config_nodedir',
  );
}
