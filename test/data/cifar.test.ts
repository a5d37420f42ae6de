import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { gatherRows } from '../../src/core/batches.js';
import type { LoadOptions } from '../../src/core/dataset.js';
import { checkDefinition, locateDefinition } from '../../src/data/inspect.js';
import { loadDefinition } from '../../src/data/load.js';
import { DataError } from '../../src/errors.js';
import { type Answer, type Mirror, serve, startMirror } from './mirror-server.js';
import { tarArchive } from './tar-archive.js';
import {
  archive,
  features,
  folder,
  gzipped,
  members,
  names,
  plainFiles,
  recordBytes,
  recordsPerFile,
  tinyCifar,
  trainFiles,
  withByte,
} from './tiny-cifar.js';
import { filesBelow, temporaryFolder } from './tiny-dataset.js';

const definition = tinyCifar();
const request = { name: 'tiny-cifar', preprocessing: 'scale' } as const;
const network = { connectMs: 300, idleMs: 300, attempts: 1 };

let root: string;
let dataDir: string;
let cacheDir: string;
let cleanUp: (() => Promise<void>)[];

beforeEach(async () => {
  const { path, remove } = await temporaryFolder();
  root = path;
  dataDir = join(root, 'data');
  cacheDir = join(root, 'cache');
  await mkdir(dataDir);
  vi.stubEnv('FLN_DATA_DIR', '');
  cleanUp = [remove];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const each of cleanUp) await each();
});

/** Writes files below the data folder. */
async function put(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(dataDir, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
}

async function mirror(answer: Answer): Promise<Mirror> {
  const started = await startMirror(answer);
  cleanUp.push(started.close);
  return started;
}

const load = (options: LoadOptions = {}) =>
  loadDefinition(definition, request, { dataDir, cacheDir, offline: true, ...options });

const download = (source: Mirror, options: LoadOptions = {}) =>
  load({ dataDir: undefined, offline: false, mirrors: [source.url], network, ...options });

/** The message of the DataError that a load must end with. */
async function failure(loading: Promise<unknown>): Promise<string> {
  const error = await loading.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message;
}

const at = (where: string, files: Readonly<Record<string, Uint8Array>>, suffix = '') =>
  Object.fromEntries(
    Object.entries(files).map(([name, content]) => [`${where}${name}${suffix}`, content]),
  );
const gz = (files: Readonly<Record<string, Uint8Array>>) =>
  Object.fromEntries(Object.entries(files).map(([name, content]) => [name, gzipSync(content)]));

const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex');
const digests = Object.fromEntries(names.map((name) => [name, sha256(plainFiles[name])]));

describe('a set that the user keeps', () => {
  it.each<[string, Record<string, Uint8Array>]>([
    ['DIR/tiny-cifar/*.bin', at('tiny-cifar/', plainFiles)],
    ['DIR/tiny-batches/*.bin.gz', at(`${folder}/`, gz(plainFiles), '.gz')],
    ['DIR/*.bin', plainFiles],
    ['DIR/*.bin and *.bin.gz', { ...plainFiles, ...at('', gz(plainFiles), '.gz') }],
    ['DIR/tiny-cifar/tiny.tar.gz', { 'tiny-cifar/tiny.tar.gz': gzipped }],
    ['DIR/tiny.tar', { 'tiny.tar': archive }],
    [
      'DIR/tiny.tar.gz, packed anew',
      { 'tiny.tar.gz': gzipSync(tarArchive(members()), { level: 1 }) },
    ],
    [
      'an archive of the files alone, in another order',
      {
        'tiny.tar': tarArchive(
          [...names].reverse().map((path) => ({ path, content: plainFiles[path] })),
        ),
      },
    ],
  ])('may lie as %s', async (_, files) => {
    await put(files);
    const { train, test, shape, sha256 } = await load();
    expect([train.count, test.count, shape]).toEqual([40, 20, [3, 3, 3]]);
    expect(sha256).toEqual(digests);
    const labels = (name: string) =>
      Array.from({ length: recordsPerFile }, (_, r) => plainFiles[name][r * recordBytes]);
    expect([...train.labels]).toEqual(trainFiles.flatMap(labels));
    expect([...test.labels]).toEqual(labels('test.bin'));
    const { state, files: located } = await locateDefinition(definition, { dataDir, cacheDir });
    expect(state).toBe('present');
    expect(located.map(({ origin }) => origin)).toEqual(located.map(() => 'data-dir'));
  });

  it('has its planes turned into pixels, channels last, in the order of the files', async () => {
    await put(plainFiles);
    const { train, levels } = await load();
    const record = plainFiles['batch_2.bin'].subarray(5 * recordBytes + 1, 6 * recordBytes);
    const plane = features / 3;
    const pixels = Array.from({ length: plane }, (_, p) =>
      [0, 1, 2].map((c) => record[c * plane + p]),
    );
    const row = recordsPerFile + 5;
    expect([...train.images.subarray(row * features, (row + 1) * features)]).toEqual(pixels.flat());
    const values = gatherRows(train, [row], levels);
    expect([...values]).toEqual(pixels.flat().map((p) => Math.fround(p / 255)));
  });

  it('wins over the cache, and is whole before it is used', async () => {
    await mkdir(join(cacheDir, 'tiny-cifar'), { recursive: true });
    await writeFile(join(cacheDir, 'tiny-cifar', 'tiny.tar.gz'), gzipped);
    const own = withByte('test.bin', 1, 7);
    await put(own);
    expect((await load()).sha256['test.bin']).toBe(sha256(own['test.bin']));
    await rm(join(dataDir, 'batch_2.bin'));
    expect(await failure(load())).toContain(
      `${dataDir} contains only a part of the set: batch_2.bin (plain or .gz) are missing`,
    );
    const { state, problem, files } = await locateDefinition(definition, { dataDir, cacheDir });
    expect([state, files.length]).toEqual(['absent', 3]);
    expect(problem).toContain('batch_2.bin (plain or .gz)');
    const checks = await checkDefinition(definition, { dataDir, cacheDir });
    expect(checks.map(({ state }) => state)).toEqual(['ok', 'absent', 'ok']);
    await rm(join(dataDir, 'batch_1.bin'));
    await rm(join(dataDir, 'test.bin'));
    expect((await load()).sha256).toEqual(digests);
  });

  it('is never put together from two folders', async () => {
    await put({ 'tiny-cifar/batch_1.bin': plainFiles['batch_1.bin'], ...plainFiles });
    await rm(join(dataDir, 'batch_1.bin'));
    expect(await failure(load())).toContain(
      `${join(dataDir, 'tiny-cifar')} contains only a part of the set`,
    );
  });
});

const swapped = withByte('batch_1.bin', recordBytes, 5);

describe("the user's files are refused when", () => {
  it.each<[string, Record<string, Buffer>, string]>([
    [
      'a label is out of range',
      withByte('batch_2.bin', 3 * recordBytes, 10),
      '/batch_2.bin has label 10 in record 3 (from 0); labels run from 0 to 9',
    ],
    [
      'one is cut short',
      { ...plainFiles, 'test.bin': plainFiles['test.bin'].subarray(0, 500) },
      '/test.bin is 500 bytes long, expected 20 records of 28 = 560 bytes',
    ],
    [
      'one is too long',
      { ...plainFiles, 'test.bin': Buffer.concat([plainFiles['test.bin'], Buffer.alloc(28)]) },
      '/test.bin has more than the 560 bytes of the expected file',
    ],
    [
      'classes are not equally many',
      swapped,
      ' has 3 training images of class 1 instead of 4: its files do not form one complete set',
    ],
    [
      'one is there twice',
      { ...plainFiles, 'batch_2.bin': plainFiles['batch_1.bin'] },
      ' has the same content in batch_1.bin and batch_2.bin',
    ],
    ['one is empty', { ...plainFiles, 'test.bin': Buffer.alloc(0) }, '/test.bin is empty'],
  ])('%s, packed or not', async (_, files, problem) => {
    await put(at('tiny-cifar/', files));
    const where = join(dataDir, 'tiny-cifar');
    const message = await failure(load({ offline: false, mirrors: [] }));
    expect(message).toContain(`${where}${problem}. Replace it with an intact copy`);
    await rm(where, { recursive: true });
    await put({ 'tiny.tar': tarArchive(members(files)) });
    expect(await failure(load())).toMatch(
      new RegExp(`^${join(dataDir, 'tiny.tar')} (has|contains) `),
    );
  });

  it('one is a gzip bomb, a damaged gzip file or a folder', async () => {
    await put({ ...plainFiles, 'test.bin': gzipSync(Buffer.alloc(50_000_000)) });
    expect(await failure(load())).toContain('test.bin has more than the 560 bytes');
    await put({ 'test.bin': gzipSync(plainFiles['test.bin']).subarray(0, 60) });
    expect(await failure(load())).toContain('test.bin is a truncated gzip file');
    await rm(join(dataDir, 'test.bin'));
    await mkdir(join(dataDir, 'test.bin'));
    expect(await failure(load())).toContain('test.bin is not a regular file but a folder');
  });
});

describe("the user's archive is refused when it", () => {
  const [batch1, batch2, test] = members().slice(2);
  const damaged = Buffer.from(gzipped).fill(0x55, gzipped.length / 2, gzipped.length / 2 + 9);
  it.each<[string, Uint8Array, string]>([
    ['is empty', Buffer.alloc(0), 'is empty'],
    ['is a web page', Buffer.from('<!DOCTYPE html><html>'), 'is a web page'],
    ['is truncated', gzipped.subarray(0, gzipped.length - 20), 'is a truncated gzip file'],
    ['is damaged', damaged, 'is a damaged gzip file'],
    ['contains a truncated tar', gzipSync(archive.subarray(0, 3000)), 'is a truncated tar archive'],
    ['is no tar', gzipSync(Buffer.alloc(3000, 'x')), 'is not a tar archive'],
    ['is a gzip bomb', gzipSync(Buffer.alloc(40_000_000)), 'unpacks to more than 16778896 bytes'],
    ['is far too long', Buffer.alloc(20_000_000, 1), 'is 20000000 bytes long'],
    ['lacks a file', tarArchive([batch1, test]), 'does not contain batch_2.bin'],
    [
      'has a file elsewhere',
      tarArchive([batch1, batch2, { ...test, path: 'other/test.bin' }]),
      'does not contain test.bin',
    ],
    [
      'has a file of another size',
      tarArchive([batch1, batch2, { ...test, content: Buffer.alloc(561) }]),
      `contains "${folder}/test.bin" with 561 bytes instead of 560`,
    ],
    ['has a file twice', tarArchive([batch1, batch1]), 'twice'],
    [
      'has a file twice in two places',
      tarArchive([batch1, batch2, test, { ...test, path: 'test.bin' }]),
      'contains test.bin twice',
    ],
    [
      'leads out',
      tarArchive([...members(), { path: '../../x', content: test.content }]),
      '"../../x"',
    ],
    [
      'has an absolute path',
      tarArchive([{ path: '/tmp/test.bin', content: test.content }]),
      '"/tmp/test.bin"',
    ],
    [
      'has a link in place of a file',
      tarArchive([batch1, batch2, { path: test.path, type: '2', target: '/etc/passwd' }]),
      'a symbolic link',
    ],
  ])('%s', async (_, content, problem) => {
    await put({ 'tiny-cifar/tiny.tar.gz': content });
    const path = join(dataDir, 'tiny-cifar', 'tiny.tar.gz');
    const message = await failure(load());
    expect(message).toContain(`${path} `);
    expect(message).toContain(problem);
    const [check] = await checkDefinition(definition, { dataDir, cacheDir });
    expect(check.state).toBe('damaged');
    expect(check.problem).toContain(problem);
    expect(await filesBelow(root)).toEqual(['tiny.tar.gz']);
  });

  it.skipIf(process.platform === 'win32')('is a device', async () => {
    await symlink('/dev/zero', join(dataDir, 'tiny.tar.gz'));
    expect(await failure(load())).toContain('is not a regular file');
  });
});

describe('check', () => {
  it('says what was verified: the published checksum, or the format', async () => {
    const check = () => checkDefinition(definition, { dataDir, cacheDir });
    await put({ 'tiny.tar.gz': gzipped });
    expect(await check()).toMatchObject([{ state: 'ok', verified: 'checksum' }]);
    await put({ 'tiny.tar.gz': gzipSync(archive, { level: 1 }) });
    expect(await check()).toMatchObject([{ state: 'ok', verified: 'format' }]);
    await put(plainFiles);
    const checks = await check();
    expect(checks.map(({ name, verified, sha256 }) => [name, verified, sha256])).toEqual(
      names.map((name) => [name, 'format', digests[name]]),
    );
  });

  it('blames every file when only all together are wrong', async () => {
    await put(swapped);
    const checks = await checkDefinition(definition, { dataDir, cacheDir });
    expect(checks.map(({ state }) => state)).toEqual(['damaged', 'damaged', 'damaged']);
    expect(new Set(checks.map(({ problem }) => problem)).size).toBe(1);
    expect(checks[0].problem).toContain(`${dataDir} has 3 training images of class 1`);
  });
});

describe('a download', () => {
  it('fetches the archive, keeps it as it is, and serves later loads', async () => {
    const good = await mirror(serve({ 'tiny.tar.gz': gzipped }));
    const { sha256, train } = await download(good);
    expect([sha256, train.count]).toEqual([digests, 40]);
    expect(await filesBelow(cacheDir)).toEqual(['tiny.tar.gz']);
    expect(await readFile(join(cacheDir, 'tiny-cifar', 'tiny.tar.gz'))).toEqual(gzipped);
    await load({ dataDir: undefined });
    expect(good.requests).toEqual(['tiny.tar.gz']);
  });

  it.each<[string, Uint8Array, string]>([
    [
      'packed anew',
      gzipSync(archive, { level: 1 }),
      'the response has the wrong content: its SHA-256 is',
    ],
    ['not gzipped', archive, 'has the wrong content'],
    ['truncated', gzipped.subarray(0, 500), 'is a truncated gzip file'],
    ['a gzip bomb', gzipSync(Buffer.alloc(40_000_000)), 'unpacks to more than'],
    ['unsafe', gzipSync(tarArchive([{ path: '../x' }])), 'a path that could point outside'],
    ['a web page', Buffer.from('<html>log in</html>'), 'is a web page'],
  ])('that is %s is refused; the cache stays clean', async (_, content, reason) => {
    const bad = await mirror(serve({ 'tiny.tar.gz': content }));
    const message = await failure(download(bad));
    expect(message).toContain(`${bad.url}tiny.tar.gz: `);
    expect(message).toContain(reason);
    expect(await filesBelow(cacheDir)).toEqual([]);
  });

  it('that fails names the files wanted, where it looked and the ways on', async () => {
    const missing = await mirror((_, response) => response.writeHead(404).end());
    const message = await failure(download(missing, { dataDir }));
    expect(message).toContain('tiny.tar.gz: HTTP 404');
    expect(message).toContain('\n  tiny.tar\n  or all of batch_1.bin, batch_2.bin, test.bin\n');
    for (const path of ['data/tiny-cifar', 'data/tiny-batches', 'cache/tiny-cifar']) {
      expect(message).toContain(`\n  ${join(root, path)}\n`);
    }
    expect(message).toContain(
      'into DIR/tiny-cifar or DIR/tiny-batches or DIR, and give --data-dir',
    );
  });

  it('replaces a damaged cached archive, with a warning; offline it is an error', async () => {
    const path = join(cacheDir, 'tiny-cifar', 'tiny.tar.gz');
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, gzipSync(archive, { level: 1 }));
    expect(await failure(load())).toContain(`${path} has the wrong content`);
    const warnings: string[] = [];
    const good = await mirror(serve({ 'tiny.tar.gz': gzipped }));
    await download(good, { onWarning: (warning) => warnings.push(warning) });
    expect(warnings).toHaveLength(1);
    expect(await readFile(path)).toEqual(gzipped);
  });

  it('stops at an abort, leaving nothing half done', async () => {
    const slow = await mirror((_, response) =>
      response.writeHead(200).write(gzipped.subarray(0, 9)),
    );
    const controller = new AbortController();
    const reason = new Error('enough');
    const loading = download(slow, {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(loading).rejects.toBe(reason);
    expect(await filesBelow(cacheDir)).toEqual([]);
  });
});
