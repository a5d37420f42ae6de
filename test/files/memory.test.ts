import { describe, expect, it } from 'vitest';
import { availableMemory } from '../../src/shared/memory.js';

const MB = 1e6;
const meminfo = 'MemTotal:  16000000 kB\nMemAvailable:    8000000 kB\n';
const free = 8_000_000 * 1024;

/** What a machine with these files has left; folders of control groups are below /sys/fs/cgroup. */
function left(membership: string, groups: Readonly<Record<string, string | number>>): number {
  const files: Record<string, string> = {
    '/proc/meminfo': meminfo,
    '/proc/self/cgroup': membership,
  };
  for (const [path, text] of Object.entries(groups)) files[`/sys/fs/cgroup/${path}`] = `${text}\n`;
  return availableMemory((path) => files[path] ?? '');
}

const none = '9223372036854771712';

describe('memory that is left', () => {
  it('is what the system has, where no group limits it', () => {
    expect(left('', {})).toBe(free);
    expect(left('0::/user\n', { 'user/memory.max': 'max', 'user/memory.current': 5 })).toBe(free);
    const v1 = { 'memory/memory.limit_in_bytes': none, 'memory/memory.usage_in_bytes': 5 };
    expect(left('4:memory:/\n', v1)).toBe(free);
  });

  it('is bounded by a container, of either version', () => {
    const v2 = { 'memory.max': 1500 * MB, 'memory.current': 500 * MB };
    expect(left('0::/\n', v2)).toBe(1000 * MB);
    expect(left('', v2)).toBe(1000 * MB);
    const v1 = {
      'memory/memory.limit_in_bytes': 1500 * MB,
      'memory/memory.usage_in_bytes': 500 * MB,
    };
    // The path is the host's, and is not there in the container.
    expect(left('9:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n', v1)).toBe(1000 * MB);
  });

  it('is bounded by a group above its own, with what that group uses', () => {
    const job = 'system.slice/slurmstepd.scope/job_7';
    const task = `${job}/step_batch/user/task_0`;
    const v2 = {
      [`${job}/memory.max`]: 1500 * MB,
      [`${job}/memory.current`]: 500 * MB,
      [`${task}/memory.max`]: 'max',
      [`${task}/memory.current`]: 100 * MB,
    };
    expect(left(`0::/${task}\n`, v2)).toBe(1000 * MB);
    expect(left('0::/system.slice/other\n', v2)).toBe(free);
    const v1 = {
      'memory/slurm/memory.limit_in_bytes': none,
      'memory/slurm/job_7/memory.limit_in_bytes': 1500 * MB,
      'memory/slurm/job_7/memory.usage_in_bytes': 500 * MB,
      'memory/slurm/job_7/task/memory.limit_in_bytes': 4000 * MB,
      'memory/slurm/job_7/task/memory.usage_in_bytes': 100 * MB,
    };
    expect(left('8:cpuset,memory:/slurm/job_7/task\n0::/\n', v1)).toBe(1000 * MB);
  });

  it('is bounded where both versions are in use, and never below nothing', () => {
    const hybrid = {
      'memory/memory.limit_in_bytes': none,
      'unified/job/memory.max': 700 * MB,
      'unified/job/memory.current': 200 * MB,
    };
    expect(left('4:memory:/\n0::/job/task\n', hybrid)).toBe(500 * MB);
    expect(left('0::/../a\n', { 'a/memory.max': 10, 'a/memory.current': 20 })).toBe(0);
  });
});
