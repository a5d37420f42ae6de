import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { idxDataset } from '../../src/data/idx.js';
import { checkDefinition, locateDataset, locateDefinition } from '../../src/data/inspect.js';
import { loadDefinition } from '../../src/data/load.js';
import { DataError } from '../../src/errors.js';
import { serve, startMirror } from './mirror-server.js';
import { filesBelow, idxFile, temporaryFolder } from './tiny-dataset.js';

const plain = {
  'train-images': idxFile([4, 2, 2], [...Array(16).keys()]),
  'train-labels': idxFile([4], [0, 1, 1, 0]),
  'test-images': idxFile([2, 2, 2], [...Array(8).keys()]),
  'test-labels': idxFile([2], [1, 0]),
};
type Name = keyof typeof plain;
const names = Object.keys(plain) as Name[];
const published = Object.fromEntries(names.map((name) => [`${name}.gz`, gzipSync(plain[name])]));
const repacked = (name: Name) => gzipSync(plain[name], { level: 0 });
const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex');

/** Labels of another set with the same file names. */
const otherLabels = idxFile([4], [1, 0, 0, 1]);

const facts = (name: Name) => ({
  name,
  bytes: plain[name].length,
  downloadBytes: published[`${name}.gz`].length,
  downloadSha256: sha256(published[`${name}.gz`]),
});
const files = {
  trainImages: facts('train-images'),
  trainLabels: facts('train-labels'),
  testImages: facts('test-images'),
  testLabels: facts('test-labels'),
};
const other = { ...facts('train-labels'), sha256: sha256(otherLabels) };
const definition = idxDataset({
  name: 'tiny',
  title: 'Tiny',
  height: 2,
  width: 2,
  classes: 2,
  trainSize: 4,
  testSize: 2,
  equalClasses: true,
  folders: ['tiny'],
  mirrors: [],
  files,
  namesakes: { Other: { ...files, trainLabels: other } },
});

let root: string;
let remove: () => Promise<void>;
const dataDir = () => join(root, 'data');
const cacheDir = () => join(root, 'cache');

beforeEach(async () => {
  ({ path: root, remove } = await temporaryFolder());
  vi.stubEnv('FLN_DATA_DIR', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await remove();
});

async function put(where: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  await mkdir(join(where, 'tiny'), { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(where, 'tiny', name), content);
  }
}

const options = () => ({ cacheDir: cacheDir(), network: { attempts: 1 } });
const load = (more: object = {}) =>
  loadDefinition(
    definition,
    { name: 'tiny', preprocessing: 'scale' },
    { ...options(), offline: true, ...more },
  );

/** The message of the DataError that a load must end with. */
async function failure(loading: Promise<unknown>): Promise<string> {
  const error = await loading.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message;
}

describe('where only the SHA-256 of the gzip file is published', () => {
  it('a download must be that file byte for byte, then and later', async () => {
    const good = await startMirror(serve(published));
    const bad = await startMirror(
      serve({ ...published, 'test-labels.gz': repacked('test-labels') }),
    );
    try {
      const message = await failure(load({ offline: false, mirrors: [bad.url] }));
      expect(message).toContain(`${bad.url}test-labels.gz: the response has the wrong content`);
      expect(await filesBelow(cacheDir())).not.toContain('test-labels.gz');
      const { train, sha256: recorded } = await load({ offline: false, mirrors: [good.url] });
      expect([...train.labels]).toEqual([0, 1, 1, 0]);
      expect(recorded).toEqual(Object.fromEntries(names.map((n) => [n, sha256(plain[n])])));
    } finally {
      await good.close();
      await bad.close();
    }
    const checks = await checkDefinition(definition, options());
    expect(checks.map(({ verified }) => verified)).toEqual(Array(4).fill('checksum'));
    await put(cacheDir(), { 'train-images.gz': repacked('train-images') });
    expect(await failure(load())).toContain(
      `has the wrong content: its SHA-256 is ${sha256(repacked('train-images'))}, expected ${files.trainImages.downloadSha256}`,
    );
  });

  it('other copies in DIR are accepted by their format, and check says so', async () => {
    await put(dataDir(), {
      'train-images.gz': published['train-images.gz'],
      'train-labels.gz': repacked('train-labels'),
      'test-images': plain['test-images'],
      'test-labels': plain['test-labels'],
    });
    const at = { ...options(), dataDir: dataDir() };
    expect((await load(at)).test.count).toBe(2);
    const checks = await checkDefinition(definition, at);
    expect(checks.map(({ verified }) => verified)).toEqual([
      'checksum',
      'format',
      'format',
      'format',
    ]);
    const [file] = (await locateDefinition(definition, at)).files;
    expect([file.sha256, file.downloadSha256]).toEqual([
      undefined,
      files.trainImages.downloadSha256,
    ]);
  });

  it.each<[string, Record<string, Uint8Array>, string]>([
    [
      'of another set',
      { 'train-labels': otherLabels },
      'is the file that Other has under this name',
    ],
    [
      'with unequal classes',
      { 'train-labels': idxFile([4], [0, 0, 0, 1]) },
      'has 3 labels of class 0 instead of 2: it does not belong to tiny',
    ],
    ['cut', { 'test-labels': idxFile([1], [0]) }, 'test-labels has 1 labels, expected 2'],
    ['cut', { 'test-images': idxFile([1, 2, 2], [0, 1, 2, 3]) }, 'has 1 images, expected 2'],
  ])('a file %s is refused', async (_, files, problem) => {
    await put(dataDir(), { ...plain, ...files });
    expect(await failure(load({ dataDir: dataDir() }))).toContain(problem);
  });
});

describe('KMNIST', () => {
  it("is found in its own folder and in torchvision's, not in MNIST's places", async () => {
    const idx = ['train-images', 'train-labels', 't10k-images', 't10k-labels'];
    const names = idx.map((name) => `${name}-idx${name.endsWith('images') ? 3 : 1}-ubyte`);
    const state = async (name: string) =>
      (await locateDataset(name, { ...options(), dataDir: dataDir() })).state;
    await mkdir(join(dataDir(), 'KMNIST/raw'), { recursive: true });
    for (const name of names) await writeFile(join(dataDir(), name), '');
    expect([await state('mnist'), await state('kmnist')]).toEqual(['present', 'absent']);
    for (const name of names) await writeFile(join(dataDir(), 'KMNIST/raw', name), '');
    expect([await state('kmnist'), await state('fashion-mnist')]).toEqual(['present', 'absent']);
  });
});
