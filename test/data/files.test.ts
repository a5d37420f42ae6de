import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { checkDefinition, locateDefinition } from '../../src/data/inspect.js';
import { loadDefinition } from '../../src/data/load.js';
import { candidates, mirrorsOf } from '../../src/data/locations.js';
import { DataError } from '../../src/errors.js';
import { defaultCacheDir } from '../../src/files/cache.js';
import { mirrorFiles, names, plainFiles, temporaryFolder, tinyDataset } from './tiny-dataset.js';

const request = { name: 'tiny', preprocessing: 'scale' } as const;
const definition = tinyDataset();

let root: string;
let dataDir: string;
let cacheDir: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ path: root, remove } = await temporaryFolder());
  dataDir = join(root, 'data');
  cacheDir = join(root, 'cache');
  await mkdir(join(dataDir, 'tiny'), { recursive: true });
  vi.stubEnv('FLN_DATA_DIR', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await remove();
});

const offline = () => ({ dataDir, cacheDir, offline: true });

async function writeAll(folder: string, gzipped: boolean): Promise<void> {
  for (const name of names) {
    const content = gzipped ? mirrorFiles[`${name}.gz`] : plainFiles[name];
    await writeFile(join(folder, gzipped ? `${name}.gz` : name), content);
  }
}

describe("the user's data folder", () => {
  it.each([
    ['DIR/NAME', '', false],
    ['DIR/NAME.gz', '', true],
    ['DIR/tiny/NAME', 'tiny', false],
    ['DIR/tiny/NAME.gz', 'tiny', true],
  ])('may hold files as %s', async (_, folder, gzipped) => {
    await writeAll(join(dataDir, folder), gzipped);
    const dataset = await loadDefinition(definition, request, offline());
    expect([...dataset.test.images]).toEqual([...plainFiles['test-images'].subarray(16)]);
    const { state, files } = await locateDefinition(definition, offline());
    expect(state).toBe('present');
    expect(files.map(({ origin }) => origin)).toEqual(Array(4).fill('data-dir'));
  });

  it('comes from FLN_DATA_DIR when no option names one', async () => {
    await writeAll(dataDir, true);
    vi.stubEnv('FLN_DATA_DIR', dataDir);
    const dataset = await loadDefinition(definition, request, { cacheDir, offline: true });
    expect(dataset.train.count).toBe(12);
  });

  it.each([
    ['damaged', gzipSync(plainFiles['train-images'].subarray(0, 200)), 'is truncated'],
    ['truncated', mirrorFiles['train-labels.gz'].subarray(0, 20), 'is a truncated gzip file'],
    ['empty', Buffer.alloc(0), 'is empty'],
    ['a Git LFS pointer', Buffer.from('version https://git-lfs.github.com/spec/v1'), 'Git LFS'],
    ['far too long', Buffer.alloc(70_000), 'is 70000 bytes long'],
  ])('with a file that is %s is an error, not a download', async (_, content, problem) => {
    await writeAll(dataDir, true);
    const path = join(dataDir, 'train-images.gz');
    await writeFile(path, content);
    const error = await loadDefinition(definition, request, { dataDir, cacheDir }).catch((e) => e);
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toContain(`${path} `);
    expect(error.message).toContain(problem);
    expect(error.message).toContain('Replace it with an intact copy');
    const checks = await checkDefinition(definition, offline());
    expect(checks.map(({ state }) => state)).toEqual(['damaged', 'ok', 'ok', 'ok']);
    expect(checks[0].problem).toContain(problem);
  });

  it('with a folder where a file should be is an error', async () => {
    await writeAll(dataDir, true);
    await rm(join(dataDir, 'train-images.gz'));
    await mkdir(join(dataDir, 'tiny', 'train-images'));
    const error = await loadDefinition(definition, request, offline()).catch((e) => e);
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toContain('is not a regular file but a folder');
  });

  it.skipIf(process.platform === 'win32')(
    'with a device or a pipe where a file should be is an error, and never waits',
    async () => {
      await writeAll(dataDir, true);
      await symlink('/dev/zero', join(dataDir, 'train-images'));
      const error = await loadDefinition(definition, request, offline()).catch((e) => e);
      expect(error).toBeInstanceOf(DataError);
      expect(error.message).toContain('is not a regular file');
    },
  );

  it('may lack files that the cache has', async () => {
    await writeAll(dataDir, true);
    await mkdir(join(cacheDir, 'tiny'), { recursive: true });
    await writeAll(join(cacheDir, 'tiny'), true);
    await rm(join(dataDir, 'test-labels.gz'));
    const { state, files } = await locateDefinition(definition, offline());
    expect(state).toBe('present');
    expect(files.at(-1)).toMatchObject({ origin: 'cache', name: 'test-labels' });
  });

  it('must exist', async () => {
    const missing = join(root, 'nowhere');
    const load = loadDefinition(definition, request, { cacheDir, dataDir: missing });
    await expect(load).rejects.toThrow(`The data folder ${missing} (from --data-dir)`);
  });
});

describe('offline', () => {
  it('lists what is absent and where it looked, and touches no network', async () => {
    await writeAll(dataDir, true);
    await rm(join(dataDir, 'train-labels.gz'));
    const error = await loadDefinition(definition, request, offline()).catch((e) => e);
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toContain('downloads are disabled');
    expect(error.message).toContain('train-labels');
    expect(error.message).not.toContain('train-images');
    expect(error.message).toContain(dataDir);
    expect(error.message).toContain(cacheDir);
  });
});

describe('locations', () => {
  it('looks in the data folder first, in the cache last', () => {
    const paths = candidates(definition, { name: 'f' }, { dataDir: 'd', cacheDir: 'c' });
    expect(paths.map(({ path }) => path)).toEqual(
      ['d/tiny/f', 'd/tiny/f.gz', 'd/f', 'd/f.gz', 'c/tiny/f', 'c/tiny/f.gz'].map((path) =>
        join(...path.split('/')),
      ),
    );
  });

  it('puts the cache where the environment or the system wants it', () => {
    const env = { FLN_CACHE_DIR: 'x', XDG_CACHE_HOME: 'y', LOCALAPPDATA: 'z' };
    expect(defaultCacheDir(env, 'linux')).toBe('x');
    expect(defaultCacheDir({ ...env, FLN_CACHE_DIR: '' }, 'linux')).toBe(join('y', 'fln'));
    expect(defaultCacheDir({ LOCALAPPDATA: 'z' }, 'win32')).toBe(join('z', 'fln', 'cache'));
    expect(defaultCacheDir({}, 'linux')).toMatch(/\.cache.fln$/);
    expect(defaultCacheDir({}, 'darwin')).toMatch(/Library.Caches.fln$/);
  });

  it('takes mirrors from the environment, and refuses what is no URL', () => {
    const own = tinyDataset(plainFiles, 'FLN_TINY_MIRRORS');
    expect(mirrorsOf(own, {})).toEqual([]);
    vi.stubEnv('FLN_TINY_MIRRORS', 'http://a/b, https://c/');
    expect(mirrorsOf(own, {})).toEqual(['http://a/b/', 'https://c/']);
    expect(mirrorsOf(own, { mirrors: ['http://d'] })).toEqual(['http://d/']);
    vi.stubEnv('FLN_TINY_MIRRORS', 'http://a/,ftp://b/');
    expect(() => mirrorsOf(own, {})).toThrow('"ftp://b/"');
  });
});
