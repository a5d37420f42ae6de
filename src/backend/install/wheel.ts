import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Device } from '../backend.js';
import { npm, npmInstall } from './npm.js';
import { tensorLibraryVersion, type Wheel, wheelGlibc, wheelPython, wheels } from './pinned.js';
import { type BuildContext, type InstalledPackages, MethodError, rewordErrors } from './recipe.js';
import { findProgram, spawnChecked, spawnToEnd } from './spawn.js';

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
 * @throws MethodError on other platforms, or naming the tools that are missing
 */
export async function buildAgainstWheel(
  packageName: string,
  device: Device,
  work: BuildContext,
): Promise<InstalledPackages> {
  const wanted = wheelsForThisMachine(device);
  const python = await requireTools(work);
  const npmPackages = [`${packageName}@${tensorLibraryVersion}`];
  await npmInstall(npmPackages, work);
  const binding = packageFolder(work.folder, packageName);
  const deps = join(binding, 'deps');
  for (const wheel of wanted) await fetchWheel(python, wheel, deps, work);
  linkLibraries(join(deps, 'lib'));
  await compile(binding, work);
  // Needed only for the compilation.
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
    throw new MethodError(
      `TensorFlow's wheel can be used on Linux (${processors}) alone; this is ${platform} ${arch}`,
    );
  }
  const glibc = glibcVersion();
  if (glibc === undefined || compareVersions(glibc, wheelGlibc) < 0) {
    const here = glibc === undefined ? 'another C library' : `glibc ${glibc}`;
    throw new MethodError(
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
async function requireTools(work: BuildContext): Promise<string> {
  const python = await findPython(work);
  const missing = 'missing' in python ? [python.missing] : [];
  if (!process.env.CXX && findProgram('g++') === undefined) {
    missing.push('the C++ compiler g++ (apt install g++, or dnf install gcc-c++)');
  }
  if (findProgram('make') === undefined)
    missing.push('make (apt install make, or dnf install make)');
  if (missing.length > 0 || 'missing' in python) {
    throw new MethodError(`missing on this machine: ${missing.join('; ')}`);
  }
  return python.path;
}

/** The names that the linker looks for. */
function linkLibraries(folder: string): void {
  for (const [link, file] of [
    ['libtensorflow.so', 'libtensorflow_cc.so.2'],
    ['libtensorflow_framework.so', 'libtensorflow_framework.so.2'],
  ]) {
    if (!existsSync(join(folder, file))) throw new MethodError(`the wheel has no ${file}`);
    symlinkSync(file, join(folder, link));
  }
}

async function compile(binding: string, work: BuildContext): Promise<void> {
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
  await rewordErrors(
    () => npm(['exec', '--no', '--', ...args], options),
    (reason) =>
      known
        ? reason
        : `${reason}\n  Where nodejs.org cannot be reached, run this command with a Node that has its headers ` +
          '(the archive from nodejs.org has, the npm package has not), or name their folder with npm_config_nodedir',
  );
}

/**
 * A Python that has pip.
 * @returns its path, or what is missing and how to get it
 */
async function findPython(
  work: BuildContext,
): Promise<{ readonly path: string } | { readonly missing: string }> {
  const present = ['python3', 'python'].map(findProgram).filter((path) => path !== undefined);
  for (const path of present) {
    const options = { cwd: work.folder, signal: work.signal, limitSeconds: 60 };
    const { code } = await spawnToEnd(path, ['-m', 'pip', '--version'], options);
    if (code === 0) return { path };
  }
  return present.length > 0
    ? {
        missing: `pip (${present[0]} has none: apt install python3-pip, dnf install python3-pip, or python3 -m ensurepip --user)`,
      }
    : { missing: 'Python 3 with pip (apt install python3-pip, or dnf install python3-pip)' };
}

/**
 * Downloads a wheel, whose SHA-256 pip checks, unpacks the needed part of it into `target`, and deletes it.
 * @throws MethodError, with the last lines of pip
 */
async function fetchWheel(
  python: string,
  wheel: Wheel,
  target: string,
  work: BuildContext,
): Promise<void> {
  const { name, version, sha256, unpack } = wheel;
  work.say(`pip: ${name} ${version}`);
  const folder = join(work.folder, 'wheel');
  mkdirSync(folder);
  const requirements = join(folder, 'requirements.txt');
  writeFileSync(requirements, `${name}==${version} --hash=sha256:${sha256}\n`);
  // Its own temporary folder: the system's is often a small disk in memory.
  const env = { TMPDIR: folder, PIP_DISABLE_PIP_VERSION_CHECK: '1' };
  const options = { cwd: folder, signal: work.signal, env };
  await rewordErrors(
    () => spawnChecked(python, [...download, '-r', requirements, '-d', folder], options),
    (reason) => `pip could not fetch ${name} ${version}, ${reason}${advice(reason)}`,
  );
  const file = readdirSync(folder).find((entry) => entry.endsWith('.whl'));
  if (file === undefined) throw new MethodError(`pip succeeded, but left no wheel of ${name}`);
  const rules = Object.entries(unpack).map(([from, to]) => `${from}=${to}`);
  await rewordErrors(
    () => spawnChecked(python, ['-c', unpacker, join(folder, file), target, ...rules], options),
    (reason) => `${file} cannot be unpacked, ${reason}`,
  );
  rmSync(folder, { recursive: true });
}

/** For this machine and for the Python of the wheel, which need not be the Python that runs pip. */
const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
const download = [
  ...['-m', 'pip', 'download', '--no-deps', '--require-hashes', '--only-binary=:all:'],
  // The cache would keep gigabytes in the home folder for a file that is used once.
  ...['--no-cache-dir', '--progress-bar', 'off'],
  ...['--python-version', wheelPython.version, '--implementation', 'cp', '--abi', wheelPython.abi],
  ...['manylinux_2_27', 'manylinux_2_17', 'manylinux2014'].flatMap((tag) => [
    '--platform',
    `${tag}_${arch}`,
  ]),
];

/** Headers and static libraries of CUDA stay in its wheels: nothing is compiled against them. */
const unpacker = `
import os, shutil, sys, zipfile
wheel, target, *rules = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for entry in archive.infolist():
        name = entry.filename
        for source, place in (rule.split('=') for rule in rules):
            if not name.startswith(source) or entry.is_dir() or '..' in name.split('/'):
                continue
            if source == 'nvidia/' and ('/include/' in name or name.endswith('.a')):
                continue
            path = os.path.join(target, place + name[len(source):])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(entry) as content, open(path, 'wb') as file:
                shutil.copyfileobj(content, file, 1 << 20)
            mode = entry.external_attr >> 16 & 0o777
            if mode:
                os.chmod(path, mode | 0o600)
`;

function advice(said: string): string {
  if (/DO NOT MATCH THE HASHES/i.test(said)) {
    return '\n  The download is not the published file: it is damaged, or the index serves another one';
  }
  const unreachable =
    /new connection|name resolution|ProxyError|Max retries|timed out|Connection (refused|reset|broken)|SSLError|HTTPSConnectionPool|\b40[37]\b/i;
  if (unreachable.test(said)) {
    return '\n  The package index cannot be reached. Behind a proxy set HTTPS_PROXY; for a mirror set PIP_INDEX_URL';
  }
  return /No matching distribution/i.test(said)
    ? '\n  The package index does not have it. For another one set PIP_INDEX_URL'
    : '';
}
