import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';

/** Bytes that this process and its children can still take, as far as the system tells. */
export function availableMemory(): number {
  const system = /^MemAvailable:\s+(\d+) kB/m.exec(read('/proc/meminfo'))?.[1];
  const free = system === undefined ? freemem() : Number(system) * 1024;
  // A container may be allowed less than the machine has.
  const limit = Number(read('/sys/fs/cgroup/memory.max'));
  const used = Number(read('/sys/fs/cgroup/memory.current'));
  return limit > 0 && used > 0 ? Math.min(free, limit - used) : free;
}

/** The most memory a process has had so far, in bytes; 0 where the system does not tell. */
export function peakMemory(pid: number): number {
  const peak = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1];
  return Number(peak ?? 0) * 1024;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
