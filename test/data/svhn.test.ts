import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sha256Of } from '../../src/data/content.js';
import type { DatasetDefinition } from '../../src/data/definition.js';
import { checkDefinition, locateDataset } from '../../src/data/inspect.js';
import { loadDefinition } from '../../src/data/load.js';
import { DataError } from '../../src/errors.js';
import { element, type MatEntry, matArray, matFile } from './mat-file.js';
import { serve, startMirror } from './mirror-server.js';
import { filesBelow, temporaryFolder } from './tiny-dataset.js';
import { arrays, plainFiles, sizes, tinySvhn } from './tiny-svhn.js';

let root: string;
let remove: () => Promise<void>;
beforeEach(async () => {
  ({ path: root, remove } = await temporaryFolder());
  vi.stubEnv('FLN_DATA_DIR', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await remove();
});

const options = () => ({ dataDir: root, cacheDir: join(root, 'cache'), offline: true });
const load = (definition: DatasetDefinition = tinySvhn(), more: object = {}) =>
  loadDefinition(
    definition,
    { name: 'tiny-svhn', preprocessing: 'scale', ...more },
    { ...options(), ...more },
  );
async function put(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(root, name), content);
}
async function failure(loading: Promise<unknown>): Promise<string> {
  const error = await loading.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message;
}

/** Row-major, channels last, of a column-major X. */
function expectedImages(x: MatEntry): number[] {
  const [height, width, , count] = x.dimensions;
  const values: number[] = [];
  for (let n = 0; n < count; n++)
    for (let h = 0; h < height; h++)
      for (let w = 0; w < width; w++)
        for (let c = 0; c < 3; c++) values.push(x.values[h + height * (w + width * (c + 3 * n))]);
  return values;
}

describe('a MATLAB file of digits', () => {
  const [x, y] = arrays('train');
  it.each<[string, MatEntry[]]>([
    ['compressed', [x, y]],
    ['uncompressed', [x, y].map((each) => ({ ...each, isCompressed: false }))],
    ['with labels first, as doubles', [{ ...y, kind: 6, as: 'double' }, x]],
    ['with double labels stored as bytes', [x, { ...y, kind: 6, as: 'uint8' }]],
    ['with labels in a row', [x, { ...y, dimensions: [1, sizes.train], as: 'uint16', kind: 11 }]],
    [
      'with other arrays',
      [{ name: 'note', dimensions: [1, 2], values: [65, 66], kind: 4, as: 'uint16' }, x, y],
    ],
  ])('%s is read: channels last, 10 is the digit 0', async (_, entries) => {
    await put({ ...plainFiles, 'train.mat': matFile(entries) });
    const { train, test } = await load();
    expect([...train.images]).toEqual(expectedImages(x));
    expect([...train.labels]).toEqual([1, 0, 2, 3, 0, 9]);
    expect([test.count, ...test.labels]).toEqual([3, 0, 5, 1]);
    const part = await load(tinySvhn(), { limit: 2 });
    expect([...part.train.images]).toEqual(expectedImages(x).slice(0, 24));
  });

  const bytes = matFile([x, y]);
  const [bigEndian, noMat] = ['MI', 'xx'].map((mark) => {
    const copy = Buffer.from(bytes);
    copy.write(mark, 126);
    return copy;
  });
  const version73 = Buffer.concat([
    Buffer.from('MATLAB 7.3 MAT-file'.padEnd(512)),
    Buffer.from('\x89HDF', 'latin1'),
  ]);
  const withY = (values: number[], more: Partial<MatEntry> = {}) =>
    matFile([x, { ...y, values, ...more }]);
  it.each<[string, Uint8Array, string]>([
    ['of version 7.3', version73, 'is a MATLAB 7.3 file (HDF5), expected one of MATLAB 5'],
    ['HDF5', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), 'is a MATLAB 7.3 file (HDF5)'],
    ['big-endian', bigEndian, 'is a big-endian MATLAB file, expected little-endian'],
    ['another kind', noMat, 'is not a MATLAB 5 file'],
    ['short', bytes.subarray(0, 60), 'is 60 bytes long, too short for a MATLAB file'],
    [
      'cut',
      bytes.subarray(0, bytes.length - 9),
      'is a truncated MATLAB file (ends inside its end)',
    ],
    ['without arrays', bytes.subarray(0, 128), 'does not contain the array X, y'],
    ['without labels', matFile([x]), 'does not contain the array y'],
    ['with labels twice', matFile([x, y, y]), 'contains y twice'],
    [
      'with label 11',
      withY([1, 10, 2, 11, 10, 9]),
      'has label 11 in record 3 (from 0); labels run from 1 to 10',
    ],
    [
      'with label 0',
      withY([0, 10, 2, 3, 10, 9]),
      'has label 0 in record 0 (from 0); labels run from 1',
    ],
    ['with label 1.5', withY([1.5, 10, 2, 3, 10, 9], { as: 'single', kind: 7 }), 'has label 1.5'],
    ['with label NaN', withY([1, NaN, 2, 3, 10, 9], { as: 'double', kind: 6 }), 'has label NaN'],
    [
      'with 64-bit labels',
      withY([1, 10, 2, 3, 10, 9], { as: 'int64', kind: 12 }),
      'contains y with values of the unsupported type 12',
    ],
    [
      'with sparse labels',
      withY([1, 10, 2, 3, 10, 9], { kind: 5 }),
      'contains y as a sparse array, expected real',
    ],
    [
      'with complex labels',
      withY([1, 10, 2, 3, 10, 9], { isComplex: true }),
      'contains y as a complex array',
    ],
    ['of fewer labels', withY([1, 10], { dimensions: [2, 1] }), 'has 6 images and 2 labels'],
    ['with a wrong size', withY([1, 10]), 'contains y of size 6x1 with 2 values'],
    [
      'of the test split',
      plainFiles['test.mat'],
      'has images X of 2x2x3x3, expected 2x2x3x6 (height, width',
    ],
    [
      'in another order',
      matFile([{ ...x, dimensions: [6, 2, 2, 3] }, y]),
      'has images X of 6x2x2x3, expected',
    ],
    [
      'of floats',
      matFile([{ ...x, as: 'single', kind: 7 }, y]),
      'has images X of 2x2x3x6 that are not 8-bit',
    ],
    [
      'with a damaged stream',
      Buffer.concat([bytes.subarray(0, 150), Buffer.alloc(9, 0xff), bytes.subarray(159)]),
      'is a damaged MATLAB file (compressed array: ',
    ],
    [
      'with a bomb',
      Buffer.concat([bytes.subarray(0, 128), element(15, deflateSync(Buffer.alloc(20_000_000)))]),
      'unpacks to more than the 65656 bytes of the expected arrays',
    ],
    [
      'with many bombs',
      Buffer.concat([
        bytes.subarray(0, 128),
        ...Array(9).fill(
          matArray({ name: 'z', dimensions: [1, 9_000], values: Array(9_000).fill(0) }),
        ),
      ]),
      'unpacks to more than',
    ],
    ['which is a web page', Buffer.from('<html>'), 'is a web page'],
  ])('%s is refused', async (_, content, problem) => {
    await put({ ...plainFiles, 'train.mat': content });
    const message = await failure(load());
    expect(message).toContain(`${join(root, 'train.mat')} ${problem}`);
    expect(message).toContain('Replace it with an intact copy');
    const [check] = await checkDefinition(tinySvhn(), options());
    expect([check.state, check.problem]).toEqual(['damaged', expect.stringContaining(problem)]);
  });
});

describe('the published files', () => {
  const train = sha256Of(plainFiles['train.mat']);
  const definition = tinySvhn({ train, test: sha256Of(plainFiles['test.mat']) });

  it('are downloaded under their own names, and kept as they are', async () => {
    const mirror = await startMirror(serve(plainFiles));
    try {
      const online = { offline: false, dataDir: undefined, mirrors: [mirror.url] };
      const { sha256 } = await load(definition, online);
      expect(sha256['train.mat']).toBe(train);
      await load(definition, online);
      expect(mirror.requests).toEqual(['train.mat', 'test.mat']);
    } finally {
      await mirror.close();
    }
    expect(await filesBelow(join(root, 'cache'))).toEqual(['test.mat', 'train.mat']);
    const cached = join(root, 'cache/tiny-svhn/train.mat');
    expect(await readFile(cached)).toEqual(plainFiles['train.mat']);
    const checks = await checkDefinition(definition, options());
    expect(checks.map(({ verified }) => verified)).toEqual(['checksum', 'checksum']);
  });

  it('are the only ones accepted, gzipped or not', async () => {
    await put({
      'train.mat.gz': gzipSync(plainFiles['train.mat']),
      'test.mat': plainFiles['test.mat'],
    });
    expect((await load(definition)).train.count).toBe(6);
    const other = Buffer.from(plainFiles['train.mat']);
    other[30] ^= 1;
    await put({ 'train.mat': other });
    expect(await failure(load(definition))).toContain(
      'train.mat has the wrong content: its SHA-256',
    );
  });
});

it('SVHN is found where torchvision keeps it', async () => {
  await mkdir(join(root, 'SVHN'));
  await put({ 'train_32x32.mat': Buffer.alloc(1), 'SVHN/test_32x32.mat': Buffer.alloc(1) });
  const { state, trainSize, testSize, shape, classes } = await locateDataset('svhn', options());
  expect({ state, trainSize, testSize, shape, classes }).toEqual({
    state: 'present',
    trainSize: 73_257,
    testSize: 26_032,
    shape: [32, 32, 3],
    classes: 10,
  });
});
