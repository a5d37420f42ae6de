import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs, {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Checkpoints } from '../../src/experiment/checkpoint/checkpoints.js';
import type { ExperimentEvent } from '../../src/experiment/events.js';
import { runExperiment } from '../../src/experiment/run.js';
import { removeFolderAtomic, writeFileAtomic } from '../../src/files/atomic.js';
import { processBirth, runContext } from '../../src/files/holder.js';
import { LostLockError } from '../../src/files/lock.js';
import { MetricsWriter } from '../../src/runs/metrics-writer.js';
import { loadRunDirectory } from '../../src/runs/run-directory.js';
import { lockDirectory, lockName, refuseIfLocked } from '../../src/runs/run-directory-writer.js';
import { readRecord, writeRecord } from '../../src/runs/run-json.js';
import { writeState } from '../../src/sweep/state.js';
import { temporaryFolder, tinyExperiment } from './tiny.js';

const tiny = tinyExperiment('epochs=2');

const holder = (fields: object) =>
  JSON.stringify({
    host: hostname(),
    startedAt: '2026-01-01T00:00:00Z',
    token: 'other',
    ...fields,
  });

function touchedBefore(path: string, minutes: number): void {
  const time = new Date(Date.now() - minutes * 60_000 - 1000);
  utimesSync(path, time, time);
}

/** Every file below a folder. */
const contentOf = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort()
    .map((path) => [path, readFileSync(path, 'utf8')]);

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

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

  it('takes over an empty or torn lock once it is three minutes old', () => {
    for (const content of ['', '{"pid":12,"ho', '\0'.repeat(120), '[]', 'x'.repeat(20_000)]) {
      const folder = temporaryFolder();
      const path = join(folder, lockName);
      writeFileSync(path, content);
      expect(() => lockDirectory(folder)).toThrow(/^another process is writing into .* expires in/);
      touchedBefore(path, 4);
      const lock = lockDirectory(folder);
      expect(lock.isHeld()).toBe(true);
      lock.release();
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  it('says of a lock of another machine when it last gave a heartbeat and when it expires', () => {
    const folder = temporaryFolder();
    const path = join(folder, lockName);
    writeFileSync(path, holder({ pid: 12, host: 'node07' }));
    touchedBefore(path, 1);
    expect(() => refuseIfLocked(folder, true)).toThrow(
      /^process 12 on node07 \(since 2026-01-01T00:00:00Z\) is writing into .*\. Its last heartbeat was 6\d s ago; without another, the lock expires in 1[12]\d s: the same command then works\. Wait for it/,
    );
  });

  it('says nothing of heartbeats where the process can be looked at', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, lockName), holder({ pid: process.ppid }));
    expect(() => refuseIfLocked(folder, true)).toThrow(/ is writing into .*\. Wait for it/);
    expect(() => refuseIfLocked(folder, true)).not.toThrow('heartbeat');
  });

  it('leaves a holder alone that gave a heartbeat when it was about to be taken over', () => {
    const folder = temporaryFolder();
    const path = join(folder, lockName);
    const content = holder({ pid: 12, host: 'node07' });
    writeFileSync(path, content);
    touchedBefore(path, 4);
    vi.spyOn(fs, 'renameSync').mockImplementationOnce((from, to) => {
      utimesSync(path, new Date(), new Date());
      fs.renameSync(from, to);
    });
    syncBuiltinESMExports();
    onTestFinished(() => {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    });
    expect(() => lockDirectory(folder)).toThrow('process 12 on node07');
    expect(readFileSync(path, 'utf8')).toBe(content);
    expect(readdirSync(folder)).toEqual([lockName]);
  });
});

describe('whoever lost a lock', () => {
  it('writes no file any more', async () => {
    const folder = temporaryFolder();
    const path = join(folder, lockName);
    const file = (name: string) => join(folder, name);
    const lock = lockDirectory(folder);
    onTestFinished(lock.release);
    const state = () => writeState(folder, { id: 'a', status: 'RUNNING', attempts: 1 });
    const checkpoint = (batch: number) =>
      new Checkpoints(file('run')).write({ batch } as never, {} as never);
    const writer = MetricsWriter.create(file('metrics.csv'), ['a']);
    writeFileAtomic(file('run.json'), 'ours');
    state();
    await checkpoint(1);
    writer.append({ a: 1 });

    writeFileSync(path, holder({ pid: process.ppid }));
    const content = contentOf(folder);
    const message = `another process took over ${folder}, because this one gave no heartbeat`;
    const attempts: (() => unknown)[] = [
      () => writeFileAtomic(file('run.json'), 'old'),
      () => removeFolderAtomic(file('run')),
      () => writer.flush(),
      () => MetricsWriter.create(file('metrics.csv'), ['a']),
      () => MetricsWriter.resume(file('metrics.csv'), ['a'], { bytes: 2, sha256: hashOf('a\n') }),
      state,
      () => checkpoint(2),
    ];
    for (const attempt of attempts) {
      const error = await Promise.resolve()
        .then(attempt)
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(LostLockError);
      expect((error as Error).message).toContain(message);
    }
    expect(() => writer.close()).toThrow(LostLockError);
    expect(contentOf(folder)).toEqual(content);

    // Deleted is lost, too; another folder was never guarded.
    rmSync(path);
    expect(() => writeFileAtomic(file('run.json'), 'old')).toThrow(LostLockError);
    writeFileAtomic(join(temporaryFolder(), 'run.json'), 'new');
  });

  it('has no hand in the metrics.csv of the process that goes on', () => {
    const path = join(temporaryFolder(), 'metrics.csv');
    const frozen = MetricsWriter.create(path, ['a']);
    frozen.append({ a: 1 });
    const extent = frozen.sync();
    frozen.append({ a: 2 });
    frozen.flush();
    const next = MetricsWriter.resume(path, ['a'], extent);
    frozen.append({ a: 99 });
    frozen.close();
    next.append({ a: 3 });
    next.close();
    expect(readFileSync(path, 'utf8')).toBe('a\n1\n3\n');
    expect(readdirSync(dirname(path))).toEqual(['metrics.csv']);
  });

  it('ends its training with one message, and leaves every file to the other', async () => {
    const folder = temporaryFolder();
    let content: unknown;
    const listen = (event: ExperimentEvent) => {
      if (event.type !== 'batch' || event.batch !== 3) return;
      // As from another machine, while this process was frozen.
      writeFileSync(join(folder, lockName), holder({ pid: 1, host: 'node07' }));
      content = contentOf(folder);
    };
    const ended = runExperiment(tiny, { outDir: folder, checkpointEvery: 1e-9 }, listen);
    await expect(ended).rejects.toThrow(LostLockError);
    await expect(ended).rejects.toMatchObject({ exitCode: 1 });
    expect(content).toBeDefined();
    expect(contentOf(folder)).toEqual(content);
  });
});

describe('runs that are said to run', () => {
  it('do so while their lock may live, for every reader', async () => {
    const folder = temporaryFolder();
    await runExperiment(tiny, { outDir: folder });
    const record = readRecord(folder)!;
    writeRecord(folder, { ...record, runs: [{ ...record.runs[0], status: 'RUNNING' }] });
    const status = () => loadRunDirectory(folder).runs[0].status;
    expect(status()).toBe('INTERRUPTED');
    const path = join(folder, lockName);
    // A container with our name, and with our process number in a namespace of its own.
    const here = { ...runContext(), pidNamespace: 'pid:[1]', pid: process.pid };
    writeFileSync(path, holder({ ...here, birth: processBirth(process.pid) }));
    expect(status()).toBe('RUNNING');
    touchedBefore(path, 4);
    expect(status()).toBe('INTERRUPTED');
  });
});
