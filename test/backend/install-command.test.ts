import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { listText } from '../../src/cli/commands/backend.js';
import { writeFileAtomic } from '../../src/files/atomic.js';
import { isAlive } from '../../src/files/holder.js';
import { fln, type Outcome, type RunOptions, workplace } from '../cli/fln.js';
import { fakeTools, type Tool } from './fake-tools.js';

/** A machine with these tools and nothing else. */
function machine(tools?: readonly Tool[], cwd = workplace('')) {
  const bin = fakeTools(cwd, tools);
  const backends = join(cwd, 'cache', 'backends');
  const run = (
    args: readonly string[],
    env: Record<string, string> = {},
    options: Pick<RunOptions, 'onStderr' | 'separate'> = {},
  ) =>
    fln(['backend', ...args], {
      cwd,
      env: { PATH: bin, FLN_TENSORFLOW_DIR: '', ...env },
      ...options,
    });
  return {
    backends,
    run,
    install: (env?: Record<string, string>) => run(['install', 'tensorflow'], env),
    replace: (env?: Record<string, string>, onStderr?: RunOptions['onStderr']) =>
      run(['install', 'tensorflow', '--force'], env, { onStderr }),
    /** In this process: what fails before a backend is tried in a process of its own. */
    fail: (env?: Record<string, string>) =>
      run(['install', 'tensorflow', '--force'], env, { separate: false }),
    /** Names beside the installation that should not be there any more. */
    leftovers: () =>
      existsSync(backends) ? readdirSync(backends).filter((name) => /^\.|lock$/.test(name)) : [],
  };
}

function freeBytes(): number {
  const { bavail, bsize } = statfsSync(tmpdir());
  return bavail * bsize;
}

/** Whether this machine has a library. */
function opens(library: string): boolean {
  try {
    process.dlopen({ exports: {} }, library);
    return true;
  } catch (error) {
    return (error as Error).message.includes('did not self-register');
  }
}

const content = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name), 'utf8')]),
  );

describe.skipIf(process.platform === 'win32')('fln backend install tensorflow', () => {
  describe('on a machine that has what it takes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'fln-install-'));
    const { backends, install, replace, run, leftovers } = machine(undefined, folder);
    const installed = join(backends, 'tensorflow');
    let first: Outcome;
    beforeAll(async () => {
      first = await install();
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    it('says what it tries, goes on to the wheel, checks and puts it in place', () => {
      expect(first.stderr).toContain('Trying the installer of @tensorflow/tfjs-node itself');
      expect(first.stderr).toContain('403 Forbidden: storage.googleapis.com');
      expect(first.stderr).toMatch(
        /Trying a build of the binding .*\n {2}npm: .*\n {2}pip: tensorflow/,
      );
      expect(first.stdout).toContain('Installed tensorflow: TensorFlow 2.21.0');
      expect(first.code).toBe(0);
      expect(leftovers()).toEqual([]);
    });

    it('records what it was made of', () => {
      const record = JSON.parse(readFileSync(join(installed, 'installation.json'), 'utf8'));
      expect(record).toMatchObject({
        name: 'tensorflow',
        npm: ['@tensorflow/tfjs-node@4.22.0'],
        wheels: [{ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }],
        node: process.version,
      });
    });

    it('finds it the next time, and has nothing to do', async () => {
      const { code, stdout, stderr } = await install();
      expect(stdout).toContain('tensorflow is already available: TensorFlow 2.21.0');
      expect(stderr).not.toContain('Trying');
      expect(code).toBe(0);
    });

    it('is listed with its version, its place and its size', async () => {
      const { stdout, stderr, code } = await run(['list', '--json']);
      const { backends: listed, installations } = JSON.parse(stdout);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(listed[0]).toMatchObject({
        name: 'tensorflow',
        trial: { works: true, report: { version: '2.21.0', device: 'cpu' } },
      });
      expect(listed[1]).toMatchObject({
        name: 'tensorflow-gpu',
        trial: { works: false, reason: expect.stringContaining('a build for CPUs alone') },
      });
      expect(installations).toMatchObject([{ name: 'tensorflow', bytes: expect.any(Number) }]);

      const text = listText(listed, installations);
      expect(text).toMatch(/^tensorflow: .*\n {2}works: 2\.21\.0 \(.*\n {2}from /m);
      expect(text).toMatch(/^tensorflow-gpu: .*\n {2}not available: /m);
      expect(text).toMatch(/^wasm: .*\n {2}works: \d+\.\d+\.\d+ \(WebAssembly/m);
      expect(text).toContain(`\nprivate installation tensorflow: `);
    });

    it.each([
      ['throws when it is loaded', 'throws', 'GLIBCXX_3.4.32 not found'],
      ['computes something else', 'wrong', 'it computes a wrong Cholesky factor'],
      ['crashes', 'crash', 'instructions that this processor does not have'],
    ])('keeps the old one when the new one %s', async (_, behaviour, reason) => {
      const before = content(installed);
      const { code, stderr } = await replace({ FAKE_BINDING: behaviour });
      expect(stderr).toContain(reason);
      expect(stderr).toContain('tensorflow could not be installed; nothing was changed.');
      expect(code).toBe(4);
      expect(content(installed)).toEqual(before);
      expect(leftovers()).toEqual([]);
    });

    it.each(['SIGINT', 'SIGTERM'] as const)(
      'keeps the old one when %s arrives half-way, and nothing else',
      async (name) => {
        const before = content(installed);
        const pidFile = join(folder, `${name}.pid`);
        const { code, stderr } = await replace(
          { FAKE_PIP: 'hang', FAKE_PID_FILE: pidFile },
          (text, signal) => {
            if (!/pip: tensorflow\S* [\d.]+\n$/.test(text)) return;
            const wait = setInterval(() => {
              if (!existsSync(pidFile)) return;
              clearInterval(wait);
              signal(name);
            }, 20);
          },
        );
        // It was killed; on a busy machine that may take a moment.
        const pid = Number(readFileSync(pidFile, 'utf8'));
        await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 10_000 });
        expect(stderr).toContain('Interrupted; nothing was changed.');
        expect(code).toBe(130);
        expect(content(installed)).toEqual(before);
        expect(leftovers()).toEqual([]);
      },
    );

    it('is refused while another process installs', async () => {
      const lock = join(backends, 'tensorflow.lock');
      const holder = { pid: process.pid, host: hostname(), startedAt: 'now', token: 'x' };
      writeFileAtomic(lock, JSON.stringify(holder));
      const { code, stderr } = await replace();
      expect(stderr).toContain(`process ${process.pid} on ${hostname()} (since now) is installing`);
      expect(code).toBe(4);
      writeFileAtomic(lock, JSON.stringify({ ...holder, pid: 2 ** 22 + 1 }));
    });

    it('is removed, once', async () => {
      const remove = () => run(['remove', 'tensorflow'], {}, { separate: false });
      expect((await remove()).stdout).toMatch(/^Removed tensorflow: .* freed/);
      expect(readdirSync(backends)).toEqual([]);
      const again = await remove();
      expect(again).toEqual({
        code: 0,
        stdout: 'There is no private installation of tensorflow.\n',
        stderr: '',
      });
    });
  });

  it.each<[string, { tools?: Tool[]; env?: Record<string, string> }, string[]]>([
    ['no npm', { tools: [] }, ['npm is not on the PATH']],
    [
      'no Python',
      { tools: ['npm'] },
      ['missing on this machine: Python 3 with pip', 'g++', 'make'],
    ],
    ['no pip', { env: { FAKE_PIP: 'absent' } }, ['missing on this machine: pip (', 'has none']],
    ['no compiler', { tools: ['npm', 'python3', 'make'] }, ['the C++ compiler g++ (apt install']],
    ['no way to npm', { env: { FAKE_NPM: 'network' } }, ['The registry cannot be reached']],
    ['no way to pip', { env: { FAKE_PIP: 'network' } }, ['The package index cannot be reached']],
    ['another file', { env: { FAKE_PIP: 'hash' } }, ['The download is not the published file']],
    [
      'a failing compiler',
      { env: { FAKE_COMPILER: 'fail' } },
      ['fatal error: tensorflow/c/c_api.h'],
    ],
    ['a full disk, npm', { env: { FAKE_NPM: 'enospc' } }, ['the disk of', 'FLN_CACHE_DIR']],
    ['a full disk, pip', { env: { FAKE_PIP: 'enospc' } }, ['the disk of', 'FLN_CACHE_DIR']],
  ])('ends in a plain message and leaves nothing behind: %s', async (_, { tools, env }, words) => {
    const { backends, fail, leftovers } = machine(tools);
    const { code, stderr, stdout } = await fail(env);
    for (const word of words) expect(stderr).toContain(word);
    expect(stderr).toMatch(/nothing was changed/i);
    expect(stderr).not.toContain('This is a bug');
    expect(stdout).toBe('');
    expect(code).toBe(4);
    expect(leftovers()).toEqual([]);
    expect(readdirSync(backends)).toEqual([]);
  });

  it('is content with what the own installer brings', async () => {
    const { install } = machine(['npm']);
    const { code, stdout } = await install({ FAKE_OWN: 'ok' });
    expect(stdout).toContain('Installed tensorflow');
    expect(code).toBe(0);
  });

  it.skipIf(opens('libcudart.so.12') || freeBytes() < 8e9)(
    '--cuda wants CUDA libraries that open',
    async () => {
      const { run, backends } = machine();
      const args = ['install', 'tensorflow', '--cuda', '--force'];
      const { code, stderr } = await run(args, { FAKE_OWN: 'ok' });
      expect(stderr.match(/needs libcudart\.so\.12, which cannot be opened/g)).toHaveLength(4);
      expect(stderr).toContain('pip: nvidia-cudnn-cu12');
      expect(code).toBe(4);
      expect(readdirSync(backends)).toEqual([]);
    },
  );

  it('says where it cannot write', async () => {
    const { fail } = machine();
    const { code, stderr } = await fail({ FLN_CACHE_DIR: '/dev/null/cache' });
    expect(stderr).toContain('cannot write into /dev/null/cache/backends');
    expect(code).toBe(4);
  });
});
