import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cifarDataset } from '../../src/data/cifar-dataset.js';
import { checkDataset, checkDefinition, locateDataset } from '../../src/data/inspect.js';
import { loadDataset, loadDefinition } from '../../src/data/load.js';
import { DataError } from '../../src/errors.js';
import { serve, startMirror } from './mirror-server.js';
import { tarArchive } from './tar-archive.js';
import * as tiny10 from './tiny-cifar.js';
import { temporaryFolder } from './tiny-dataset.js';

/** Records of a coarse label, a fine label and 2x2 colour pixels. */
const records = (count: number, salt: number) =>
  Buffer.from(
    Array.from({ length: count }, (_, r) => [
      (r % 4) >> 1,
      r % 4,
      ...Array.from({ length: 12 }, (_, i) => (salt + 31 * r + 7 * i) % 256),
    ]).flat(),
  );
const plain = { 'train.bin': records(8, 1), 'test.bin': records(4, 2) };
const archive = tarArchive(
  Object.entries(plain).map(([name, content]) => ({ path: `tiny-binary/${name}`, content })),
);
const gzipped = gzipSync(archive);
const other = { what: 'Tiny-10', bytes: tiny10.plainFiles['test.bin'].length };

const set = (name: string, label: number) =>
  cifarDataset({
    name,
    title: name,
    side: 2,
    labels: [
      { name: 'coarse label', classes: 2 },
      { name: 'fine label', classes: 4 },
    ],
    label,
    recordsPerFile: { train: 8, test: 4 },
    trainFiles: ['train.bin'],
    testFiles: ['test.bin'],
    folders: ['tiny100', '.'],
    commonNames: true,
    cacheFolder: 'tiny100',
    relative: {
      what: other.what,
      files: Object.fromEntries(tiny10.names.map((name) => [name, other.bytes])),
    },
    mirrors: [],
    archive: {
      name: 'tiny100.tar',
      downloadBytes: gzipped.length,
      sha256: createHash('sha256').update(gzipped).digest('hex'),
      folder: 'tiny-binary',
    },
  });
const fine = set('tiny100', 1);
const coarse = set('tiny100-coarse', 0);

let dataDir: string;
let remove: () => Promise<void>;
beforeEach(async () => {
  ({ path: dataDir, remove } = await temporaryFolder());
  vi.stubEnv('FLN_DATA_DIR', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await remove();
});

async function put(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(dataDir, name)), { recursive: true });
    await writeFile(join(dataDir, name), content);
  }
}
const options = () => ({ dataDir, cacheDir: join(dataDir, 'cache'), offline: true });
const load = (definition = fine, more: object = {}) =>
  loadDefinition(
    definition,
    { name: definition.name, preprocessing: 'scale' },
    { ...options(), ...more },
  );
async function failure(loading: Promise<unknown>): Promise<string> {
  const error = await loading.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message;
}

describe('records with two labels', () => {
  it('are read with their fine or their coarse label, from files or an archive', async () => {
    const check = async () => {
      const { train, test, classes } = await load();
      expect([train.count, test.count, classes]).toEqual([8, 4, 4]);
      expect([...train.labels]).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
      const planes = plain['train.bin'].subarray(3 * 14 + 2, 4 * 14);
      const pixels = [0, 1, 2, 3].flatMap((p) => [planes[p], planes[4 + p], planes[8 + p]]);
      expect([...train.images.subarray(36, 48)]).toEqual(pixels);
      const joined = await load(coarse);
      expect([joined.classes, ...joined.train.labels]).toEqual([2, 0, 0, 1, 1, 0, 0, 1, 1]);
      expect(joined.train.images).toEqual(train.images);
    };
    await put({ 'tiny100.tar': archive });
    await check();
    await put({
      'tiny100/train.bin': plain['train.bin'],
      'tiny100/test.bin.gz': gzipSync(plain['test.bin']),
    });
    await check();
  });

  it('are downloaded once for both label sets', async () => {
    const mirror = await startMirror(serve({ 'tiny100.tar.gz': gzipped }));
    try {
      const online = { offline: false, dataDir: undefined, mirrors: [mirror.url] };
      expect((await load(coarse, online)).classes).toBe(2);
      expect((await load(fine, online)).classes).toBe(4);
      expect(mirror.requests).toEqual(['tiny100.tar.gz']);
    } finally {
      await mirror.close();
    }
    expect(await checkDefinition(fine, options())).toMatchObject([
      { state: 'ok', verified: 'checksum', origin: 'cache' },
    ]);
  });

  it('have their files of common names searched only in a folder of their own', async () => {
    await put({ 'test.bin': Buffer.from('of another program'), 'tiny100.tar.gz': gzipped });
    expect((await load()).train.count).toBe(8);
    await put({ 'tiny100/train.bin': plain['train.bin'], 'tiny100/test.bin': plain['test.bin'] });
    expect((await load(fine, { dataDir: join(dataDir, 'tiny100') })).train.count).toBe(8);
  });

  const changed = (at: number, value: number) => {
    const content = Buffer.from(plain['train.bin']);
    content[at] = value;
    return { ...plain, 'train.bin': content };
  };
  it.each<[string, Record<string, Buffer>, string]>([
    [
      'coarse label',
      changed(14, 2),
      'has coarse label 2 in record 1 (from 0); coarse labels run from 0 to 1',
    ],
    [
      'fine label',
      changed(15, 4),
      'has fine label 4 in record 1 (from 0); fine labels run from 0 to 3',
    ],
    ['class count', changed(1, 1), 'has 1 training images of class 0 instead of 2'],
    [
      'length',
      { ...plain, 'test.bin': plain['test.bin'].subarray(1) },
      'expected 4 records of 14 = 56 bytes',
    ],
  ])('are refused with a wrong %s', async (_, files, problem) => {
    await put(Object.fromEntries(Object.entries(files).map(([k, v]) => [`tiny100/${k}`, v])));
    expect(await failure(load())).toContain(problem);
  });
});

describe('files of the other CIFAR set are refused, and named', () => {
  const wrong = tiny10.plainFiles['test.bin'];
  it.each<[string, Uint8Array]>([
    ['test.bin', wrong],
    ['test.bin.gz', gzipSync(wrong)],
    ['test.bin.gz', gzipSync(Buffer.alloc(other.bytes))],
  ])('as %s', async (name, content) => {
    await put({ 'tiny100/train.bin': plain['train.bin'], [`tiny100/${name}`]: content });
    expect(await failure(load())).toContain(`${name} is a file of Tiny-10 (560 bytes). Replace it`);
  });

  it('as an archive, in DIR and from a mirror', async () => {
    await put({ 'tiny100.tar.gz': tiny10.gzipped });
    expect(await failure(load())).toContain('tiny100.tar.gz is an archive of Tiny-10. Replace it');
    const mirror = await startMirror(serve({ 'tiny100.tar.gz': tiny10.gzipped }));
    try {
      const online = { offline: false, dataDir: undefined, mirrors: [mirror.url] };
      expect(await failure(load(fine, online))).toContain('the response is an archive of Tiny-10');
    } finally {
      await mirror.close();
    }
  });

  it.each([
    ['cifar10', 'cifar-10-batches-bin', 'data_batch_1.bin', 10_000 * 3074, 'CIFAR-100'],
    ['cifar100', 'cifar-100-binary', 'test.bin', 10_000 * 3073, 'CIFAR-10'],
    ['cifar100-coarse', 'cifar-100-binary', 'train.bin', 10_000 * 3073, 'CIFAR-10'],
  ])('in %s: %s/%s of the other size', async (name, folder, file, bytes, what) => {
    const all =
      name === 'cifar10' ? [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`) : ['train.bin'];
    const last = name === 'cifar10' ? 'test_batch.bin' : 'test.bin';
    for (const each of [...all, last]) await put({ [`${folder}/${each}`]: Buffer.alloc(1) });
    await put({ [`${folder}/${file}`]: Buffer.alloc(bytes) });
    const checks = await checkNamed(name);
    const other = what.toLowerCase().replace('-', '');
    expect(checks.join('\n')).toContain(
      `${file} is a file of ${what}, which is the data set ${other} (${bytes} bytes)`,
    );
  });
});

/** The problems of each file of a set in the data folder. */
async function checkNamed(name: string): Promise<string[]> {
  return (await checkDataset(name, options())).map(({ problem = '' }) => problem);
}

describe('CIFAR-100', () => {
  it("has torchvision's Python version named", async () => {
    await put({ 'cifar-100-python/train': Buffer.from('x') });
    await expect(
      loadDataset({ name: 'cifar100', preprocessing: 'scale' }, options()),
    ).rejects.toThrow('is the Python version of the set');
  });

  it('is found in cifar-100-binary, with either label', async () => {
    await put({
      'cifar-100-binary/train.bin': Buffer.alloc(1),
      'cifar-100-binary/test.bin': Buffer.alloc(1),
    });
    for (const [name, classes] of [
      ['cifar100', 100],
      ['cifar100-coarse', 20],
    ] as const) {
      const found = await locateDataset(name, options());
      expect([found.state, found.classes, found.trainSize]).toEqual(['present', classes, 50_000]);
    }
  });
});
