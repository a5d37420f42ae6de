import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { lockDirectory, lockName } from '../../src/experiment/lock.js';
import { processBirth } from '../../src/files/holder.js';
import { temporaryFolder } from './tiny.js';

const holder = (fields: object) =>
  JSON.stringify({
    host: hostname(),
    startedAt: '2026-01-01T00:00:00Z',
    token: 'other',
    ...fields,
  });

describe('lockDirectory', () => {
  it('refuses a second holder until the first releases', () => {
    const folder = temporaryFolder();
    const lock = lockDirectory(folder);
    expect(() => lockDirectory(folder)).toThrow(`process ${process.pid} on ${hostname()} (since `);
    expect(() => lockDirectory(folder)).toThrow('--out DIR');
    lock.release();
    expect(existsSync(join(folder, lockName))).toBe(false);
    lockDirectory(folder).release();
  });

  it('takes over the lock of a process that died on this machine', () => {
    const folder = temporaryFolder();
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    writeFileSync(join(folder, lockName), holder({ pid }));
    const lock = lockDirectory(folder);
    expect(JSON.parse(readFileSync(join(folder, lockName), 'utf8')).pid).toBe(process.pid);
    lock.release();
  });

  it('takes over a lock with its own process number that it does not hold', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, lockName), holder({ pid: process.pid }));
    lockDirectory(folder).release();
  });

  it('takes over the lock of a process whose number another one has now', () => {
    const folder = temporaryFolder();
    const birth = 'another boot 1';
    writeFileSync(join(folder, lockName), holder({ pid: process.ppid, birth }));
    // Without /proc nobody can tell.
    if (processBirth(process.ppid) === undefined) expect(() => lockDirectory(folder)).toThrow();
    else lockDirectory(folder).release();
  });

  it('takes over the lock of another machine that gave no sign of life for minutes', () => {
    const folder = temporaryFolder();
    const path = join(folder, lockName);
    writeFileSync(path, holder({ pid: 1, host: `not-${hostname()}` }));
    expect(() => lockDirectory(folder)).toThrow('is writing into');
    const old = new Date(Date.now() - 10 * 60_000);
    utimesSync(path, old, old);
    lockDirectory(folder).release();
  });

  it('is touched while it is held, and not when it is lost', () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const folder = temporaryFolder();
    const path = join(folder, lockName);
    const lock = lockDirectory(folder);
    const content = readFileSync(path, 'utf8');
    const old = new Date(Date.now() - 10 * 60_000);
    utimesSync(path, old, old);
    vi.advanceTimersByTime(20_000);
    expect(statSync(path).mtimeMs).toBeGreaterThan(old.getTime() + 60_000);
    expect(readFileSync(path, 'utf8')).toBe(content);
    expect(lock.isHeld()).toBe(true);

    writeFileSync(path, holder({ pid: process.ppid }));
    utimesSync(path, old, old);
    vi.advanceTimersByTime(20_000);
    expect(statSync(path).mtimeMs).toBeCloseTo(old.getTime(), -1);
    expect(lock.isHeld()).toBe(false);
    lock.release();
  });

  it('respects a living process, another machine and an unreadable lock', () => {
    for (const content of [
      holder({ pid: process.ppid }),
      holder({ pid: 1, host: `not-${hostname()}` }),
      '',
      'null',
    ]) {
      const folder = temporaryFolder();
      writeFileSync(join(folder, lockName), content);
      expect(() => lockDirectory(folder)).toThrow(/is writing into .* delete .*lock$/);
      expect(readFileSync(join(folder, lockName), 'utf8')).toBe(content);
    }
  });

  it('does not remove a lock that somebody else took over meanwhile', () => {
    const folder = temporaryFolder();
    const lock = lockDirectory(folder);
    writeFileSync(join(folder, lockName), holder({ pid: process.ppid }));
    lock.release();
    expect(existsSync(join(folder, lockName))).toBe(true);
  });
});
