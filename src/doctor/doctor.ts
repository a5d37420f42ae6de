import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type ListedBackend, listBackends } from '../backend/install/list.js';
import { type DatasetLocation, listDatasets } from '../data/inspect.js';
import { proxyFor } from '../data/proxy.js';
import { DataError } from '../errors.js';
import { defaultCacheDir, noCacheDir } from '../files/cache.js';
import { causeOf, freeBytes, isSystemError } from '../files/disk.js';
import { isFolder, nearestExisting } from '../files/folder.js';
import { availableMemory } from '../shared/memory.js';
import { collectProvenance, type Provenance } from '../shared/provenance.js';
import { printable, sizeText } from '../shared/text.js';

/** The result of one check. */
export interface Finding {
  /** e.g. `Node`, `backend wasm` */
  readonly topic: string;
  /** `problem`: training cannot start; `warning`: it can, with a limitation; `absent`: optional and missing. */
  readonly state: 'ok' | 'absent' | 'warning' | 'problem';
  /** What was found, on one line. */
  readonly text: string;
  /** How to fix it. */
  readonly wayOut?: string;
}

/**
 * Checks everything that training depends on. Downloads, installs and writes nothing; programs that do
 * not answer are stopped after a timeout.
 * @throws Interrupted
 */
export async function examine(signal: AbortSignal): Promise<Finding[]> {
  const [provenance, backends, datasets, slurm] = await Promise.all([
    collectProvenance(),
    listBackends(signal),
    dataFindings(),
    slurmFinding(),
  ]);
  const hasCuda = backends.some(({ trial }) => trial.works && trial.report.device === 'cuda');
  return [
    ...programFindings(provenance),
    ...(await gpuFindings(hasCuda)),
    ...backendFindings(backends),
    ...datasets,
    cacheFinding(),
    folderFinding('results folder', 'results'),
    slurm,
    ...variableFindings(process.env),
  ];
}

/** The oldest Node that is tested, as in package.json. */
export const oldestNode = [20, 19] as const;

export function programFindings({
  program,
  git,
  node,
  platform,
  cpu,
  threads,
}: Provenance): Finding[] {
  const checkout = git
    ? `, commit ${git.commit.slice(0, 12)}${git.dirty ? ' with changes' : ''}`
    : '';
  const [major, minor] = node.slice(1).split('.').map(Number);
  const isSupported = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]);
  return [
    { topic: 'program', state: 'ok', text: `${program.name} ${program.version}${checkout}` },
    isSupported
      ? { topic: 'Node', state: 'ok', text: node }
      : {
          topic: 'Node',
          state: 'problem',
          text: `${node} is older than ${oldestNode.join('.')}`,
          wayOut: 'install Node 22 from nodejs.org, or with your version manager',
        },
    { topic: 'machine', state: 'ok', text: `${platform}, ${cpu}, ${threads} threads` },
    memoryFinding(availableMemory(), totalmem()),
  ];
}

/** Less free memory or disk space than this, in bytes, is a warning. */
const enoughSpace = 1e9;

export function memoryFinding(available: number, total: number): Finding {
  const text = `${sizeText(available)} of ${sizeText(total)} available`;
  if (available >= enoughSpace) return { topic: 'memory', state: 'ok', text };
  const wayOut = 'close other programs, or use a smaller dataset.limit and batchSize';
  return { topic: 'memory', state: 'warning', text, wayOut };
}

/** The NVIDIA GPUs that nvidia-smi lists. */
async function gpuFindings(hasCuda: boolean): Promise<Finding[]> {
  const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'];
  const output = await outputOf('nvidia-smi', query);
  if (output === undefined)
    return [{ topic: 'GPU', state: 'absent', text: 'no NVIDIA driver (nvidia-smi)' }];
  if ('failure' in output) {
    const wayOut = 'reinstall the driver, or restart the machine after a driver update';
    return [
      { topic: 'GPU', state: 'warning', text: `nvidia-smi fails: ${output.failure}`, wayOut },
    ];
  }
  return output.text.split('\n').map((line, i): Finding => {
    const [name, memory, driver] = line.split(',').map((part) => part.trim());
    const finding = { topic: `GPU ${i}`, text: `${name}, ${memory}, driver ${driver}` };
    if (hasCuda) return { ...finding, state: 'ok' };
    const wayOut = 'fln backend install tensorflow --cuda';
    return { ...finding, state: 'warning', text: `${finding.text}; no backend uses it`, wayOut };
  });
}

/** @param backends in the order in which `auto` tries them */
export function backendFindings(backends: readonly ListedBackend[]): Finding[] {
  const findings = backends.map(({ name, trial }): Finding => {
    const topic = `backend ${name}`;
    if (!trial.works) return { topic, state: 'absent', text: trial.reason };
    return { topic, state: 'ok', text: `${trial.report.version} (${trial.report.detail})` };
  });
  const working = backends.filter(({ trial }) => trial.works).map(({ name }) => name);
  if (working.length === 0) {
    const wayOut = 'reinstall the program: npm ci';
    return [...findings, { topic: 'backends', state: 'problem', text: 'none starts', wayOut }];
  }
  if (working.every((name) => name === 'cpu')) {
    const text = 'only plain JavaScript starts, which is slow';
    const wayOut = 'see above why wasm does not start, or run fln backend install tensorflow';
    return [...findings, { topic: 'backends', state: 'warning', text, wayOut }];
  }
  return findings;
}

async function dataFindings(): Promise<Finding[]> {
  try {
    const locations = await listDatasets({ offline: true });
    return [
      ...locations.map(datasetFinding),
      ...proxyFindings(locations.flatMap(({ mirrors }) => mirrors)),
    ];
  } catch (error) {
    // FLN_DATA_DIR names a folder that does not exist, which variableFindings reports too.
    if (error instanceof DataError)
      return [{ topic: 'data', state: 'problem', text: error.message }];
    throw error;
  }
}

function datasetFinding({ name, state, files, problem }: DatasetLocation): Finding {
  const topic = `data ${name}`;
  if (problem !== undefined) {
    return { topic, state: 'warning', text: problem, wayOut: `fln data check ${name}` };
  }
  if (state === 'generated') return { topic, state: 'ok', text: 'generated, needs no files' };
  const path = files.find((file) => file.path !== undefined)?.path;
  if (state === 'present') return { topic, state: 'ok', text: path ? dirname(path) : 'present' };
  return { topic, state: 'absent', text: 'not on this machine', wayOut: `fln data fetch ${name}` };
}

/** The proxies that downloads from these mirrors would use, each with its hosts; none without a proxy. */
export function proxyFindings(mirrors: readonly string[]): Finding[] {
  const topic = 'proxy';
  const hosts = new Map<string, Set<string>>();
  try {
    for (const mirror of mirrors) {
      const proxy = proxyFor(mirror)?.description ?? 'none';
      hosts.set(proxy, (hosts.get(proxy) ?? new Set()).add(new URL(mirror).host));
    }
  } catch (error) {
    const wayOut = 'correct or unset the variable';
    return [{ topic, state: 'warning', text: (error as Error).message, wayOut }];
  }
  if (hosts.size === 1 && hosts.has('none')) return [];
  return [...hosts].map(([proxy, names]) => ({
    topic,
    state: 'ok',
    text: `${proxy}, for downloads from ${[...names].join(', ')}`,
  }));
}

/** Training works without a cache: only a folder that was set explicitly is a problem. */
function cacheFinding(): Finding {
  const finding = folderFinding('cache folder', defaultCacheDir(), 'FLN_CACHE_DIR');
  const isSet = Boolean(process.env.FLN_CACHE_DIR || process.env.XDG_CACHE_HOME);
  return finding.state === 'problem' && !isSet ? { ...finding, state: 'warning' } : finding;
}

/** Whether the program can write into a folder, and the free disk space. */
export function folderFinding(topic: string, folder?: string, variable?: string): Finding {
  if (folder === undefined) {
    const wayOut = 'needed only for downloads and installations';
    return { topic, state: 'warning', text: noCacheDir, wayOut };
  }
  const path = resolve(folder);
  const another =
    variable === undefined ? 'choose another with --out DIR' : `set another with ${variable}`;
  const nearest = nearestExisting(path);
  try {
    if (!isFolder(nearest)) throw new Error(`${nearest} is a file`);
    accessSync(nearest, constants.W_OK);
    const free = freeBytes(nearest);
    const text = `${path}, ${sizeText(free)} free`;
    if (free >= enoughSpace) return { topic, state: 'ok', text };
    return { topic, state: 'warning', text, wayOut: `free some space, or ${another}` };
  } catch (error) {
    const cause = isSystemError(error) ? causeOf(error) : (error as Error).message;
    return { topic, state: 'problem', text: `${path} is not writable (${cause})`, wayOut: another };
  }
}

async function slurmFinding(): Promise<Finding> {
  const output = await outputOf('sbatch', ['--version']);
  const local = 'sweeps run with --launcher local';
  if (output === undefined) return { topic: 'Slurm', state: 'absent', text: `no sbatch; ${local}` };
  if ('text' in output) return { topic: 'Slurm', state: 'ok', text: output.text };
  const wayOut = `ask the cluster's administrators; ${local}`;
  return { topic: 'Slurm', state: 'warning', text: `sbatch fails: ${output.failure}`, wayOut };
}

/** Environment variables that change what the program does. */
function variableFindings(env: NodeJS.ProcessEnv): Finding[] {
  const folders = ['FLN_DATA_DIR', 'FLN_CACHE_DIR', 'FLN_TENSORFLOW_DIR'];
  const others = Object.keys(env).filter(
    (name) => /^FLN_[A-Z0-9_]+_MIRRORS$/.test(name) || name === 'CUDA_VISIBLE_DEVICES',
  );
  return [...folders, ...others].flatMap((name): Finding[] => {
    const value = env[name];
    if (!value) return [];
    // The cache folder is created on demand; the others must exist.
    if (name.endsWith('_DIR') && name !== 'FLN_CACHE_DIR' && !existsSync(value)) {
      const text = `${value} does not exist`;
      return [{ topic: name, state: 'problem', text, wayOut: `unset or correct ${name}` }];
    }
    return [{ topic: name, state: 'ok', text: value }];
  });
}

const run = promisify(execFile);

/** In ms. */
const timeout = 10_000;

/** What a program prints, or why it fails; undefined where it is not installed. */
async function outputOf(
  program: string,
  args: readonly string[],
): Promise<{ readonly text: string } | { readonly failure: string } | undefined> {
  try {
    const { stdout } = await run(program, args, { timeout, windowsHide: true });
    return { text: stdout.trim() };
  } catch (error) {
    const { code, killed, stderr, message } = error as {
      code?: unknown;
      killed?: boolean;
      stderr?: string;
      message: string;
    };
    if (code === 'ENOENT') return undefined;
    if (killed) return { failure: `no answer within ${timeout / 1000} s` };
    const [line] = (stderr || message).trim().split('\n').slice(-1);
    return { failure: printable(line) };
  }
}
