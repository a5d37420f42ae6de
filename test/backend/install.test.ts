import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { clearLeftovers, install, putInPlace, remove } from '../../src/backend/install/install.js';
import {
  type InstallMethod,
  Interrupted,
  MethodError,
  type Recipe,
} from '../../src/backend/install/recipe.js';
import { spawnToEnd } from '../../src/backend/install/spawn.js';
import { EnvironmentError } from '../../src/errors.js';
import { until } from '../cli/fln.js';
import { temporaryFolder } from '../experiment/tiny.js';

let backends = '';
beforeEach(() => {
  const cache = temporaryFolder();
  vi.stubEnv('FLN_CACHE_DIR', cache);
  backends = join(cache, 'backends');
});

const way = (title: string, changes: Partial<InstallMethod> = {}): InstallMethod => ({
  title,
  bytes: 1000,
  build: async ({ folder }) => {
    writeFileSync(join(folder, 'built-by'), title);
    return { npm: [] };
  },
  check: async () => ({ text: 'works' }),
  ...changes,
});

const fails = (reason: string) => async () => {
  throw new MethodError(reason);
};

const recipe = (...methods: InstallMethod[]): Recipe => ({
  name: 'thing',
  summary: '',
  present: async () => undefined,
  methods,
});

const run = (made: Recipe, signal = new AbortController().signal) => {
  const said: string[] = [];
  return { said, done: install(made, { signal, say: (text) => said.push(text) }) };
};

const builtBy = () => readFileSync(join(backends, 'thing', 'built-by'), 'utf8');

describe('install', () => {
  it('takes the first way that leads there, and says why others did not', async () => {
    const { said, done } = run(
      recipe(
        way('one', { build: fails('no compiler') }),
        way('two', { check: fails('crashes') }),
        way('three'),
        way('four'),
      ),
    );
    expect(await done).toMatchObject({ status: 'installed', way: 'three', detail: 'works' });
    expect(builtBy()).toBe('three');
    expect(said.filter((line) => /Trying|failed:/.test(line))).toEqual([
      'Trying one',
      '  failed: no compiler; trying the next method',
      'Trying two',
      '  failed: crashes; trying the next method',
      'Trying three',
    ]);
    expect(readdirSync(backends)).toEqual(['thing']);
  });

  it('replaces an old one only by a new one that works', async () => {
    await run(recipe(way('old'))).done;
    await expect(run(recipe(way('new', { check: fails('crashes') }))).done).rejects.toThrow(
      'thing could not be installed; nothing was changed.\n- new: crashes',
    );
    expect(builtBy()).toBe('old');
    await run(recipe(way('new'))).done;
    expect(builtBy()).toBe('new');
    expect(readdirSync(backends)).toEqual(['thing']);
  });

  it('refuses before anything is done when the disk has too little room', async () => {
    const build = vi.fn();
    const { done } = run(recipe(way('big', { bytes: 1e18, build })));
    await expect(done).rejects.toThrow(
      /it takes 1000000000.0 GB of disk space, and .* FLN_CACHE_DIR/,
    );
    await expect(done).rejects.toThrow(EnvironmentError);
    expect(build).not.toHaveBeenCalled();
  });

  it('ends at a full disk, which no other way would survive', async () => {
    const full = Object.assign(new Error('write'), { code: 'ENOSPC' });
    const next = vi.fn();
    const { done } = run(
      recipe(way('one', { build: () => Promise.reject(full) }), way('two', { build: next })),
    );
    await expect(done).rejects.toThrow(/the disk of .* is full/);
    expect(next).not.toHaveBeenCalled();
    expect(readdirSync(backends)).toEqual([]);
  });

  it('lets one process at a time in', async () => {
    let second: Promise<unknown> = Promise.resolve();
    const { done } = run(
      recipe(
        way('one', {
          build: async () => {
            second = run(recipe(way('other'))).done.catch((error: unknown) => error);
            await second;
            return { npm: [] };
          },
        }),
      ),
    );
    await done;
    expect(String(await second)).toMatch(/is installing or removing .*thing\. Wait for it/);
  });

  it('stops when it is interrupted, and keeps the old one', async () => {
    await run(recipe(way('old'))).done;
    const controller = new AbortController();
    const build: InstallMethod['build'] = async () => {
      controller.abort();
      throw new Interrupted();
    };
    await expect(
      run(recipe(way('new', { build }), way('next')), controller.signal).done,
    ).rejects.toThrow(Interrupted);
    expect(builtBy()).toBe('old');
    expect(readdirSync(backends)).toEqual(['thing']);
  });
});

describe('remove', () => {
  it('deletes an installation and says what it took; one that is absent is no error', async () => {
    expect(await remove('thing')).toBeUndefined();
    await run(recipe(way('one'))).done;
    expect(await remove('thing')).toBeGreaterThan(0);
    expect(readdirSync(backends)).toEqual([]);
    expect(await remove('thing')).toBeUndefined();
  });
});

describe('what a killed installer leaves', () => {
  const target = () => join(backends, 'thing');
  const leave = (name: string) => mkdirSync(join(backends, name), { recursive: true });

  it('is cleared away, but for other installations', () => {
    leave('thing');
    leave('.thing-12-0a1b2c3d.partial');
    leave('.thing-12-0a1b2c3d.old');
    leave('.thing-12-0a1b2c3d.removed');
    leave('.thing-cuda-12-0a1b2c3d.partial');
    clearLeftovers(target());
    expect(readdirSync(backends).toSorted()).toEqual(['.thing-cuda-12-0a1b2c3d.partial', 'thing']);
  });

  it('is brought back when it was killed between the two renames', () => {
    leave('.thing-12-0a1b2c3d.old');
    clearLeftovers(target());
    expect(readdirSync(backends)).toEqual(['thing']);
  });

  it('does not keep the next one from its place', async () => {
    leave('.thing-12-0a1b2c3d.partial');
    await run(recipe(way('one'))).done;
    expect(readdirSync(backends)).toEqual(['thing']);
  });

  it('the old one returns to its place when the new one cannot take it', async () => {
    await run(recipe(way('old'))).done;
    expect(() => putInPlace(join(backends, 'absent'), target())).toThrow('ENOENT');
    expect(builtBy()).toBe('old');
    expect(existsSync(dirname(target()))).toBe(true);
    expect(readdirSync(backends)).toEqual(['thing']);
  });
});

describe('a tool', () => {
  const options = () => ({ cwd: backends, signal: new AbortController().signal });
  const node = (script: string, more: object) => {
    mkdirSync(backends, { recursive: true });
    return spawnToEnd(process.execPath, ['-e', script], { ...options(), ...more });
  };
  const silent = 'setInterval(() => {}, 1000)';

  it('is ended, with all that it started, when it outruns its limit', async () => {
    // What is started holds the output open: the call returns once that has ended too, and not before.
    const child = `require('node:child_process').spawn(process.execPath, ['-e', '${silent}'], { stdio: 'inherit' })
      require('node:fs').writeFileSync('started', '')`;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const ended = node(child, { limitSeconds: 100 });
    await until(() => existsSync(join(backends, 'started')));
    vi.advanceTimersByTime(100_000);
    vi.useRealTimers();
    await expect(ended).rejects.toThrow('it did not end within 100 seconds');
  });

  it('is ended when nothing comes any more, as from a network that swallows everything', async () => {
    const stall = { seconds: 1, folder: backends };
    await expect(node(silent, { stall })).rejects.toThrow('no progress for 1 seconds');
  });

  it('is left alone while something comes, however long it takes', async () => {
    const grown = join(backends, 'grown');
    const size = () => (existsSync(grown) ? statSync(grown).size : 0);
    const busy = `const fs = require('node:fs');
      setInterval(() => {
        fs.appendFileSync('grown', 'x'.repeat(65536));
        if (fs.existsSync('end')) process.exit();
      }, 10)`;
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    const ended = node(busy, { stall: { seconds: 100, folder: backends } });
    for (let round = 0; round < 8; round++) {
      const before = size();
      await until(() => size() > before);
      await vi.advanceTimersByTimeAsync(50_000);
    }
    vi.useRealTimers();
    writeFileSync(join(backends, 'end'), '');
    expect((await ended).code).toBe(0);
  });
});
