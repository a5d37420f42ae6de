import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { posix } from 'node:path';
import { sizeText } from './text.js';

/**
 * Bytes that this process and its children can still allocate, as far as the system reports it: at most what
 * is left of the limit of each of their control groups.
 * @param read the text of a file; empty when there is none
 */
export function availableMemory(read: (path: string) => string = readIfThere): number {
  const system = /^MemAvailable:\s+(\d+) kB/m.exec(read('/proc/meminfo'))?.[1];
  const free = system === undefined ? freemem() : Number(system) * 1024;
  const groups = memoryGroups(read('/proc/self/cgroup'));
  return Math.min(free, ...groups.map(([limit, usage]) => leftIn(read(limit), read(usage))));
}

/** Peak memory of a process so far, in bytes; 0 where the system does not report it. */
export function peakMemory(pid: number): number {
  const peak = /^VmHWM:\s+(\d+) kB/m.exec(readIfThere(`/proc/${pid}/status`))?.[1];
  return Number(peak ?? 0) * 1024;
}

/** Bytes of address space that this process may have (RLIMIT_AS); undefined where there is no limit. */
export function addressSpaceLimit(read = readIfThere): number | undefined {
  const limit = /^Max address space\s+(\d+)/m.exec(read('/proc/self/limits'))?.[1];
  return limit === undefined ? undefined : Number(limit);
}

/**
 * Advice for when memory could not be reserved because the address space is limited; undefined where it is
 * not.
 * @param read as of {@link availableMemory}
 */
export function addressSpaceAdvice(
  read: (path: string) => string = readIfThere,
): string | undefined {
  const limit = addressSpaceLimit(read);
  if (limit === undefined) return undefined;
  return (
    `the address space of this process is limited to ${sizeText(limit)} (ulimit -v). ` +
    'Lift the limit with "ulimit -v unlimited" in the shell or the job script that starts fln'
  );
}

const root = '/sys/fs/cgroup';

/**
 * The files with the limit and the usage of each control group that may limit this process, from the root of
 * each hierarchy down to its own group. In a container that root is the container's group, and the rest of
 * the path may not exist.
 * @param membership /proc/self/cgroup: lines of `ID:CONTROLLERS:PATH`, without controllers for v2
 */
function memoryGroups(membership: string): [limit: string, usage: string][] {
  const pathOf = (pattern: RegExp) => ancestors(pattern.exec(membership)?.[1] ?? '/');
  const v2 = pathOf(/^0::(.*)$/m);
  const v1 = pathOf(/^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(.*)$/m);
  return [
    // Where both versions are in use, v2 is mounted below `unified`.
    ...[root, `${root}/unified`]
      .flatMap((base) => v2.map((path) => base + path))
      .map((group): [string, string] => [`${group}/memory.max`, `${group}/memory.current`]),
    ...v1
      .map((path) => `${root}/memory${path}/memory`)
      .map((group): [string, string] => [`${group}.limit_in_bytes`, `${group}.usage_in_bytes`]),
  ];
}

/** `/a/b` -> '', '/a', '/a/b' */
function ancestors(path: string): string[] {
  // The path of a process outside its own namespace begins with `/..`.
  const names = posix.normalize(path).split('/').filter(Boolean);
  return ['', ...names.map((_, i) => `/${names.slice(0, i + 1).join('/')}`)];
}

/** Bytes left. Without a limit the file holds `max` in v2, a number near 2^63 in v1. */
function leftIn(limit: string, usage: string): number {
  const most = Number.parseInt(limit, 10);
  if (Number.isNaN(most)) return Number.POSITIVE_INFINITY;
  return Math.max(0, most - (Number.parseInt(usage, 10) || 0));
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
