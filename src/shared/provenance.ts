import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** What produced the numbers, as far as this machine can tell. */
export interface Provenance {
  readonly program: { readonly name: string; readonly version: string };
  /** State of the program's own checkout; null when it is not run from one. */
  readonly git: { readonly commit: string; readonly dirty: boolean } | null;
  /** SHA-256 of the program's package-lock.json; null when it came without one. */
  readonly lockfileSha256: string | null;
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  /** Hardware threads this process may use. */
  readonly threads: number;
}

/** Root folder of the program's package: the nearest above with a package.json, of sources and builds alike. */
export const packageRoot: string = rootAbove(dirname(fileURLToPath(import.meta.url)));

function rootAbove(folder: string): string {
  const above = dirname(folder);
  return existsSync(join(folder, 'package.json')) || above === folder ? folder : rootAbove(above);
}

export function programInfo(): { name: string; version: string } {
  const { name, version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  return { name, version };
}

export async function collectProvenance(): Promise<Provenance> {
  return {
    program: programInfo(),
    git: await gitState(packageRoot),
    lockfileSha256: fileHash(join(packageRoot, 'package-lock.json')),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() || 'unknown',
    threads: availableParallelism(),
  };
}

/** Whether the processor multiplies bfloat16 itself; undefined where that is not known. */
export function hasBfloat16(): boolean | undefined {
  try {
    return /\b(avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'latin1'));
  } catch {
    return undefined;
  }
}

const execute = promisify(execFile);

async function gitState(root: string): Promise<Provenance['git']> {
  const git = async (...args: string[]) =>
    (await execute('git', ['-C', root, ...args], { timeout: 5000 })).stdout.trim();
  try {
    // A package installed inside somebody else's repository must not report that repository's commit.
    const top = await git('rev-parse', '--show-toplevel');
    if (realpathSync(top) !== realpathSync(root)) return null;
    const commit = await git('rev-parse', 'HEAD');
    return { commit, dirty: (await git('status', '--porcelain')) !== '' };
  } catch {
    return null;
  }
}

function fileHash(path: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return null;
  }
}
