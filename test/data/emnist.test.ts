import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LoadOptions } from '../../src/core/dataset.js';
import { sha256Of } from '../../src/data/content.js';
import { checkDefinition, locateDataset, locateDefinition } from '../../src/data/inspect.js';
import { loadDefinition } from '../../src/data/load.js';
import { DataError } from '../../src/errors.js';
import { type Mirror, serve, startMirror } from './mirror-server.js';
import { filesBelow, idxFile, temporaryFolder } from './tiny-dataset.js';
import { archive, members, names, plainFiles, tinyEmnist } from './tiny-emnist.js';
import { zipArchive } from './zip-archive.js';

const definition = tinyEmnist();
let root: string;
let cleanUp: (() => Promise<void>)[];
beforeEach(async () => {
  const { path, remove } = await temporaryFolder();
  root = path;
  cleanUp = [remove];
  vi.stubEnv('FLN_DATA_DIR', '');
  await mkdir(join(root, 'data'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const each of cleanUp) await each();
});

const options = () => ({
  dataDir: join(root, 'data'),
  cacheDir: join(root, 'cache'),
  offline: true,
});
const load = (more: LoadOptions = {}, of = definition) =>
  loadDefinition(of, { name: of.name, preprocessing: 'scale' }, { ...options(), ...more });
const online = (mirror: Mirror, more: LoadOptions = {}, of = definition) =>
  load(
    {
      offline: false,
      dataDir: undefined,
      mirrors: [mirror.url],
      network: { attempts: 1 },
      ...more,
    },
    of,
  );
async function mirror(files: Record<string, Uint8Array>): Promise<Mirror> {
  const started = await startMirror(serve(files));
  cleanUp.push(started.close);
  return started;
}
async function put(files: Readonly<Record<string, Uint8Array>>, where = 'data'): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, where, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
}
async function failure(loading: Promise<unknown>): Promise<string> {
  const error = await loading.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message;
}

describe('a set of EMNIST in DIR', () => {
  const at = (where: string, files: Record<string, Uint8Array>) =>
    Object.fromEntries(Object.entries(files).map(([name, content]) => [where + name, content]));
  it.each<[string, Record<string, Uint8Array>, string[]]>([
    ['the archive', { 'emnist/gzip.zip': archive }, ['checksum']],
    ['the archive in DIR', { 'emnist.zip': archive }, ['checksum']],
    [
      'the archive, packed anew',
      { 'gzip.zip': zipArchive(plainFiles, { isStored: true }) },
      ['format'],
    ],
    ['unpacked', at('', members()), Array(4).fill('format')],
    ['unpacked, without gzip', at('emnist/', plainFiles), Array(4).fill('format')],
  ])('is read from %s: images transposed, classes from 0', async (_, files, verified) => {
    await put(files);
    const { train, test, sha256 } = await load();
    expect([...train.labels, ...test.labels]).toEqual([0, 1, 2, 2, 1, 0, 2, 0, 1]);
    expect([...train.images.subarray(9, 18)]).toEqual([9, 12, 15, 10, 13, 16, 11, 14, 17]);
    expect([...test.images.subarray(0, 9)]).toEqual([26, 23, 20, 25, 22, 19, 24, 21, 18]);
    expect(sha256).toEqual(Object.fromEntries(names.map((n) => [n, sha256Of(plainFiles[n])])));
    const checks = await checkDefinition(definition, options());
    expect(checks.map((check) => [check.state, check.verified])).toEqual(
      verified.map((how) => ['ok', how]),
    );
  });

  it('has all its files, or none', async () => {
    await put({ [names[1]]: plainFiles[names[1]] });
    expect(await failure(load())).toMatch(
      new RegExp(`only a part is there, \\S+${names[1]}: ${names[0]}, .*are missing`),
    );
    const { state, problem } = await locateDefinition(definition, options());
    expect([state, problem]).toEqual(['absent', expect.stringContaining('only a part')]);
    await put({ 'gzip.zip': archive });
    expect((await load()).train.count).toBe(6);
  });

  const labels = 'tiny-train-labels-idx1-ubyte';
  it.each<[string, Record<string, Uint8Array>, string]>([
    [
      'label 0',
      { [labels]: idxFile([6], [1, 2, 0, 3, 2, 1]) },
      'has label 0 in record 2 (from 0); labels run from 1 to 3',
    ],
    [
      'label 4',
      { [labels]: idxFile([6], [1, 2, 3, 4, 2, 1]) },
      'has label 4 in record 3 (from 0); labels run from 1 to 3',
    ],
    [
      'unequal classes',
      { [labels]: idxFile([6], [1, 1, 3, 3, 2, 1]) },
      'has 3 labels of class 0 instead of 2',
    ],
    [
      'a part of the images',
      { [names[0]]: idxFile([5, 3, 3], Array(45).fill(0)) },
      'has 5 images, expected 6',
    ],
    [
      'other images',
      { [names[0]]: idxFile([6, 2, 2], Array(24).fill(0)) },
      'has images of 2x2 pixels, expected 3x3',
    ],
  ])('with %s is refused, in files and in an archive', async (_, changed, problem) => {
    const files = { ...plainFiles, ...changed };
    await put(files);
    const [name] = Object.keys(changed);
    expect(await failure(load())).toContain(`${join(root, 'data', name)} ${problem}`);
    await rm(join(root, 'data'), { recursive: true });
    await put({ 'gzip.zip': zipArchive(members(files)) });
    expect(await failure(load())).toContain(`gzip.zip contains gzip/${name}.gz, which ${problem}`);
  });

  const cut = archive.subarray(0, archive.length - 30);
  const flipped = Buffer.from(archive);
  flipped[archive.indexOf('gzip/tiny-train-images') + 70] ^= 0xff;
  const { [`gzip/${names[3]}.gz`]: _, ...three } = members();
  it.each<[string, Uint8Array, string]>([
    ['empty', Buffer.alloc(0), 'is empty'],
    ['a web page', Buffer.from('<!doctype html><p>'), 'is a web page'],
    ['cut', cut, 'is not a ZIP archive, or a truncated one'],
    ['damaged', flipped, 'contains gzip/tiny-train-images-idx3-ubyte.gz, which is damaged'],
    ['without a file', zipArchive(three), `does not contain ${names[3]}.gz`],
    [
      'with a file that is far too long',
      zipArchive({ ...members(), [`gzip/${names[0]}.gz`]: Buffer.alloc(90_000) }),
      'has 90000 bytes, more than any copy',
    ],
    [
      'with a gzip bomb',
      zipArchive({ ...members(), [`gzip/${names[0]}.gz`]: gzipSync(Buffer.alloc(9_000_000)) }),
      'which has more than the 70 bytes of the expected file',
    ],
    ['far too long', Buffer.alloc(9_000, 1), 'is 9000 bytes long, more than any copy'],
  ])('that is an archive %s is refused', async (_, content, problem) => {
    await put({ 'gzip.zip': content });
    expect(await failure(load())).toContain(problem);
    const [check] = await checkDefinition(definition, options());
    expect([check.state, check.problem]).toEqual(['damaged', expect.stringContaining(problem)]);
  });
});

describe('the download of EMNIST', () => {
  it('is one archive, kept as it is, for all sets', async () => {
    const good = await mirror({ 'gzip.zip': archive });
    expect((await online(good)).train.count).toBe(6);
    await online(good, {}, tinyEmnist('tiny-other'));
    expect(good.requests).toEqual(['gzip.zip']);
    expect(await readFile(join(root, 'cache/emnist/gzip.zip'))).toEqual(archive);
    const { files } = await locateDefinition(definition, options());
    expect(files).toMatchObject([{ name: 'gzip.zip', origin: 'cache', sha256: sha256Of(archive) }]);
  });

  it('must be the published archive byte for byte', async () => {
    const other = zipArchive({ ...members(), 'gzip/x': Buffer.alloc(1) });
    const longer = await mirror({ 'gzip.zip': other });
    expect(await failure(online(longer))).toContain('more than the file can have');
    const same = Buffer.from(archive);
    same[10] ^= 1; // the time of the first member, which nothing depends on
    const bad = await mirror({ 'gzip.zip': same });
    expect(await failure(online(bad))).toContain('the response has the wrong content: its SHA-256');
    expect(await filesBelow(join(root, 'cache'))).toEqual([]);
  });

  it('replaces a damaged archive in the cache; offline that is an error', async () => {
    await put({ 'emnist/gzip.zip': archive.subarray(1) }, 'cache');
    expect(await failure(load())).toContain('Delete this cached file');
    const warnings: string[] = [];
    const good = await mirror({ 'gzip.zip': archive });
    await online(good, { onWarning: (warning) => warnings.push(warning) });
    expect(warnings).toEqual([expect.stringContaining('downloading it again')]);
    expect((await load()).test.count).toBe(3);
  });

  it('that fails says what to put where', async () => {
    const message = await failure(online(await mirror({})));
    expect(message).toContain('gzip.zip: HTTP 404');
    expect(message).toContain(`\n  gzip.zip\n  or all of ${names.join(', ')}\n`);
    expect(message).toContain('put the files into DIR/emnist or DIR');
  });
});

it.each([
  ['balanced', 47, 131_600],
  ['letters', 26, 145_600],
  ['digits', 10, 280_000],
  ['mnist', 10, 70_000],
  ['byclass', 62, 814_255],
  ['bymerge', 47, 814_255],
])(
  "EMNIST %s has its published size, and is found in torchvision's folder",
  async (split, classes, size) => {
    for (const part of [
      'train-images-idx3',
      'train-labels-idx1',
      'test-images-idx3',
      'test-labels-idx1',
    ])
      await put({ [`EMNIST/raw/emnist-${split}-${part}-ubyte`]: Buffer.alloc(1) });
    const found = await locateDataset(`emnist-${split}`, options());
    expect([found.state, found.classes, found.trainSize + found.testSize]).toEqual([
      'present',
      classes,
      size,
    ]);
  },
);
