import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Wheel, wheelPython } from './pinned.js';
import { rewording, WayError, type Workshop } from './recipe.js';
import { findProgram, runToEnd, runTool } from './tool.js';

/**
 * A Python that has pip.
 * @returns its path, or what is missing and how to get it
 */
export async function findPython(
  work: Workshop,
): Promise<{ readonly path: string } | { readonly missing: string }> {
  const present = ['python3', 'python'].map(findProgram).filter((path) => path !== undefined);
  for (const path of present) {
    const options = { cwd: work.folder, signal: work.signal, limitSeconds: 60 };
    const { code } = await runToEnd(path, ['-m', 'pip', '--version'], options);
    if (code === 0) return { path };
  }
  return present.length > 0
    ? {
        missing: `pip (${present[0]} has none: apt install python3-pip, dnf install python3-pip, or python3 -m ensurepip --user)`,
      }
    : { missing: 'Python 3 with pip (apt install python3-pip, or dnf install python3-pip)' };
}

/**
 * Downloads a wheel, whose SHA-256 pip checks, unpacks the wanted part of it into `target`, and deletes it.
 * @throws WayError, with what pip said last
 */
export async function fetchWheel(
  python: string,
  wheel: Wheel,
  target: string,
  work: Workshop,
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
  await rewording(
    () => runTool(python, [...download, '-r', requirements, '-d', folder], options),
    (reason) => `pip could not fetch ${name} ${version}, ${reason}${advice(reason)}`,
  );
  const file = readdirSync(folder).find((entry) => entry.endsWith('.whl'));
  if (file === undefined) throw new WayError(`pip ended well and left no wheel of ${name}`);
  const rules = Object.entries(unpack).map(([from, to]) => `${from}=${to}`);
  await rewording(
    () => runTool(python, ['-c', unpacker, join(folder, file), target, ...rules], options),
    (reason) => `${file} cannot be unpacked, ${reason}`,
  );
  rmSync(folder, { recursive: true });
}

/** For the machine that runs and for a Python that need not be the one that runs. */
const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
const download = [
  ...['-m', 'pip', 'download', '--no-deps', '--require-hashes', '--only-binary=:all:'],
  // The cache would keep gigabytes in the home folder for a file that is wanted once.
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
    return '\n  What was sent is not the published file: a damaged download, or an index that serves another';
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
