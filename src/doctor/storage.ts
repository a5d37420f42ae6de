import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { DatasetLocation } from '../data/inspect.js';
import { proxyFor } from '../data/proxy.js';
import { noCacheDir } from '../files/cache.js';
import { causeOf, freeBytes, isSystemError } from '../files/disk.js';
import { isFolder, nearestExisting } from '../files/folder.js';
import { sizeText } from '../shared/size.js';
import type { Finding } from './finding.js';

const enoughSpace = 1e9;

/** A folder that the program writes into: whether it can, and how much room there is. */
export function folderFinding(topic: string, folder?: string, variable?: string): Finding {
  if (folder === undefined) {
    const wayOut = 'needed for downloads and installations alone';
    return { topic, state: 'warning', text: noCacheDir, wayOut };
  }
  const path = resolve(folder);
  const elsewhere =
    variable === undefined ? 'choose another with --out DIR' : `name another with ${variable}`;
  const nearest = nearestExisting(path);
  try {
    if (!isFolder(nearest)) throw new Error(`${nearest} is a file`);
    accessSync(nearest, constants.W_OK);
    const free = freeBytes(nearest);
    const text = `${path}, ${sizeText(free)} free`;
    if (free >= enoughSpace) return { topic, state: 'ok', text };
    return { topic, state: 'warning', text, wayOut: `free some space, or ${elsewhere}` };
  } catch (error) {
    const text = `${path} cannot be written to (${isSystemError(error) ? causeOf(error) : (error as Error).message})`;
    return { topic, state: 'problem', text, wayOut: elsewhere };
  }
}

export function datasetFindings(locations: readonly DatasetLocation[]): Finding[] {
  return locations.map(({ name, state, files, problem }): Finding => {
    const topic = `data ${name}`;
    if (problem !== undefined) {
      return { topic, state: 'warning', text: problem, wayOut: `fln data check ${name}` };
    }
    if (state === 'generated') return { topic, state: 'ok', text: 'generated, needs no files' };
    const path = files.find((file) => file.path !== undefined)?.path;
    if (state === 'present') return { topic, state: 'ok', text: path ? dirname(path) : 'present' };
    return {
      topic,
      state: 'absent',
      text: 'not on this machine',
      wayOut: `fln data fetch ${name}`,
    };
  });
}

/** The proxies that downloads from mirrors would go through, and the hosts of each. */
export function proxyFindings(mirrors: readonly string[]): Finding[] {
  const topic = 'proxy';
  const hosts = new Map<string, Set<string>>();
  try {
    for (const mirror of mirrors) {
      const way = proxyFor(mirror)?.description ?? 'none';
      hosts.set(way, (hosts.get(way) ?? new Set()).add(new URL(mirror).host));
    }
  } catch (error) {
    const wayOut = 'correct or unset the variable';
    return [{ topic, state: 'warning', text: (error as Error).message, wayOut }];
  }
  if (hosts.size === 1 && hosts.has('none')) return [];
  return [...hosts].map(([way, names]) => ({
    topic,
    state: 'ok',
    text: `${way}, for downloads from ${[...names].join(', ')}`,
  }));
}

/** Environment variables that change what the program does. */
export function variableFindings(env: NodeJS.ProcessEnv): Finding[] {
  const folders = ['FLN_DATA_DIR', 'FLN_CACHE_DIR', 'FLN_TENSORFLOW_DIR'];
  const others = Object.keys(env).filter(
    (name) =>
      (/^FLN_[A-Z0-9_]+_MIRRORS$/.test(name) || name === 'CUDA_VISIBLE_DEVICES') && env[name],
  );
  return [...folders, ...others].flatMap((name): Finding[] => {
    const value = env[name];
    if (!value) return [];
    // The cache is made when it is needed; the others have to be there.
    if (name.endsWith('_DIR') && name !== 'FLN_CACHE_DIR' && !existsSync(value)) {
      const text = `${value}: there is no such folder`;
      return [{ topic: name, state: 'problem', text, wayOut: `unset ${name}, or correct it` }];
    }
    return [{ topic: name, state: 'ok', text: value }];
  });
}
