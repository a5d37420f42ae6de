import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isSocketClosed, startHeartbeat } from '../../src/files/heartbeat.js';
import {
  type Holder,
  isAlive,
  judge,
  lockTimeout,
  type Probe,
  processBirth,
  runContext,
} from '../../src/files/holder.js';
import { temporaryFolder } from '../experiment/tiny.js';

const minute = 60_000;
const here = { pid: 7, host: 'node', boot: 'boot-b', pidNamespace: 'pid:[2]' };

/** A lock of process 42, which gave its heartbeat ten seconds ago. */
const lock = (fields: Partial<Holder> = {}): Holder => ({
  pid: 42,
  host: 'node',
  startedAt: 'then',
  token: 'its-token',
  birth: 'boot-b 100',
  boot: 'boot-b',
  pidNamespace: 'pid:[2]',
  ...fields,
});

/** By default: process 42 is not here, the disk is a network's, nothing is held. */
const probe = (facts: Partial<Probe> = {}): Probe => ({
  self: here,
  holdsToken: () => false,
  runs: () => false,
  birth: () => undefined,
  isLocalDisk: () => false,
  isSocketClosed: () => false,
  silentFor: () => 10_000,
  ...facts,
});

const sees42 = (birth: string): Partial<Probe> => ({
  runs: (pid) => pid === 42,
  birth: (pid) => (pid === 42 ? birth : undefined),
});

const alive = { lives: true };
const dead = { lives: false };
const byHeartbeat = { lives: true, silentFor: 10_000 };

describe('whether the holder of a lock lives', () => {
  it.each<[string, Partial<Holder>, Partial<Probe>, object]>([
    [
      'its process runs, silent or not',
      {},
      { ...sees42('boot-b 100'), silentFor: () => 9e9 },
      alive,
    ],
    ['its process is gone or a zombie', {}, {}, dead],
    ['its number is another process by now', {}, sees42('boot-b 200'), dead],
    ['its number is ours, and the lock is not', { pid: 7 }, { runs: () => true }, dead],
    ['it is ours', { pid: 7 }, { holdsToken: () => true }, alive],
  ])(
    'the table of processes tells within one boot and PID namespace: %s',
    (_, fields, facts, verdict) => {
      expect(judge(lock(fields), probe(facts))).toEqual(verdict);
    },
  );

  const elsewhere: [string, Partial<Holder>][] = [
    ['another PID namespace', { pidNamespace: 'pid:[3]' }],
    ['another PID namespace, with our own number', { pidNamespace: 'pid:[3]', pid: 7 }],
    ['another host', { host: 'other' }],
    ['another host and boot', { host: 'other', boot: 'boot-a', birth: 'boot-a 100' }],
    ['another machine of the same name', { boot: 'boot-a', birth: 'boot-a 100' }],
    ['a Linux that tells no boot id', { boot: 'unknown', birth: undefined }],
    ['a /proc of another namespace', { pidNamespace: 'unknown' }],
    ['an earlier version', { boot: undefined, pidNamespace: undefined }],
  ];
  it.each(elsewhere)('the heartbeat tells of %s', (_, fields) => {
    // A namesake here means nothing, and neither does that there is none.
    for (const facts of [{}, { runs: () => true, birth: () => 'boot-b 200' }]) {
      expect(judge(lock(fields), probe(facts))).toEqual(byHeartbeat);
      const silent = { ...facts, silentFor: () => lockTimeout + 1 };
      expect(judge(lock(fields), probe(silent))).toMatchObject(dead);
    }
  });

  it('what this process cannot tell of itself never equals what a lock does not tell', () => {
    const self = { ...here, boot: 'unknown', pidNamespace: 'unknown' };
    const unknown = lock({ boot: 'unknown', pidNamespace: 'unknown', birth: undefined });
    for (const holder of [unknown, lock()]) {
      expect(judge(holder, probe({ self, isLocalDisk: () => true }))).toEqual(byHeartbeat);
    }
  });

  it('a reboot is known on a disk that one machine alone has', () => {
    const before = lock({ boot: 'boot-a', birth: 'boot-a 100' });
    const isLocalDisk = () => true;
    expect(judge(before, probe({ isLocalDisk }))).toEqual(dead);
    const earlier = lock({ boot: undefined, pidNamespace: undefined, birth: 'boot-a 100' });
    expect(judge(earlier, probe({ isLocalDisk }))).toEqual(dead);
    // Another name, or the same boot in another container: no reboot.
    expect(judge({ ...before, host: 'other' }, probe({ isLocalDisk }))).toEqual(byHeartbeat);
    expect(judge(lock({ pidNamespace: 'pid:[3]' }), probe({ isLocalDisk }))).toEqual(byHeartbeat);
  });

  it('a container that was started again is known by its socket, on the same kernel alone', () => {
    const isSocketClosed = (token: string) => token === 'its-token';
    const before = lock({ pidNamespace: 'pid:[3]', pid: 7 });
    expect(judge(before, probe({ isSocketClosed }))).toEqual(dead);
    expect(judge(lock({ host: 'renamed' }), probe({ isSocketClosed }))).toEqual(dead);
    const other = { ...before, boot: 'boot-a', birth: 'boot-a 1' };
    expect(judge(other, probe({ isSocketClosed }))).toEqual(byHeartbeat);
  });

  it('a lock of an earlier version: a process that is seen here lives, unless it is a zombie', () => {
    const earlier = lock({ boot: undefined, pidNamespace: undefined });
    expect(judge(earlier, probe(sees42('boot-b 100')))).toEqual(alive);
    expect(judge(earlier, probe({ ...sees42('boot-b 100'), runs: () => false }))).toEqual(dead);
  });

  it('where there is no /proc, the number of the process alone tells', () => {
    const self = { pid: 7, host: 'node' };
    const holder = lock({ boot: undefined, pidNamespace: undefined, birth: undefined });
    expect(judge(holder, probe({ self }))).toEqual(dead);
    expect(judge(holder, probe({ self, runs: () => true }))).toEqual(alive);
  });

  it('a lock that cannot be read is dead three minutes after its last change', () => {
    expect(judge('unreadable', probe())).toEqual(byHeartbeat);
    const silentFor = () => 4 * minute;
    expect(judge('unreadable', probe({ silentFor }))).toEqual({
      lives: false,
      silentFor: 240_000,
    });
  });
});

const onLinux = it.skipIf(process.platform !== 'linux');

describe('a process', () => {
  onLinux('that was killed and not reaped is dead, though it has a number', async () => {
    // The shell becomes a sleep, which reaps no child.
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    onTestFinished(() => void parent.kill('SIGKILL'));
    const pid = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)));
    while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) await sleep(20);
    expect(isAlive(pid)).toBe(false);
    expect(isAlive(parent.pid!)).toBe(true);
  });

  onLinux('notes its boot and PID namespace', () => {
    const { boot, pidNamespace } = runContext();
    expect(boot).toMatch(/^[0-9a-f-]{36}$/);
    expect(pidNamespace).toMatch(/^pid:\[\d+\]$/);
    expect(processBirth(process.pid)).toMatch(new RegExp(`^${boot} \\d+$`));
  });
});

describe('signs of life', () => {
  it('are given by another thread while this one is busy, for the own lock alone', async () => {
    const path = join(temporaryFolder(), 'lock');
    const token = 'aaaaaaaa-1';
    const content = JSON.stringify({ token });
    writeFileSync(path, content);
    const old = new Date(Date.now() - 10 * minute);
    const beats = () => statSync(path).mtimeMs > old.getTime() + minute;
    utimesSync(path, old, old);
    const stop = startHeartbeat(path, token, () => {}, 20);
    onTestFinished(stop);
    const busy = new Int32Array(new SharedArrayBuffer(4));
    // This thread does not return to its event loop.
    while (!beats()) Atomics.wait(busy, 0, 0, 20);
    expect(readFileSync(path, 'utf8')).toBe(content);

    writeFileSync(path, JSON.stringify({ token: 'bbbbbbbb-1' }));
    utimesSync(path, old, old);
    Atomics.wait(busy, 0, 0, 200);
    expect(beats()).toBe(false);
  });

  onLinux(
    'are a socket that the kernel closes with the process, however long its path is',
    async () => {
      const folder = join(temporaryFolder(), 'x'.repeat(120));
      const code = `
      const { mkdirSync, openSync, renameSync } = require('node:fs');
      const [folder] = process.argv.slice(1);
      mkdirSync(folder);
      const at = '/proc/self/fd/' + openSync(folder, 'r');
      require('node:net').createServer().listen(at + '/lock.cccccccc.alive', () => console.log('listens'));
    `;
      const child = spawn(process.execPath, ['-e', code, folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      onTestFinished(() => void child.kill('SIGKILL'));
      await new Promise((resolve) => child.stdout.once('data', resolve));
      const path = join(folder, 'lock');
      expect(isSocketClosed(path, 'cccccccc-1')).toBe(false);
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('exit', resolve));
      expect(isSocketClosed(path, 'cccccccc-1')).toBe(true);
      expect(isSocketClosed(path, 'dddddddd-1')).toBe(false);

      // And our own, at the same length.
      const stop = startHeartbeat(path, 'dddddddd-1', () => {});
      expect(existsSync(`${path}.dddddddd.alive`)).toBe(true);
      expect(isSocketClosed(path, 'dddddddd-1')).toBe(false);
      stop();
      expect(existsSync(`${path}.dddddddd.alive`)).toBe(false);
    },
  );
});
