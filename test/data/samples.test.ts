import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { crc32 as crc, deflateSync, gzipSync } from 'node:zlib';
import { encode } from 'fast-png';
import { afterAll, describe, expect, it } from 'vitest';
import type { ArraySource } from '../../src/core/dataset.js';
import { parseNpy } from '../../src/data/arrays/npy.js';
import type { ReadSamplesOptions } from '../../src/data/arrays/numeric.js';
import { parsePng } from '../../src/data/arrays/png.js';
import { readSamples } from '../../src/data/arrays/samples.js';
import { DataError } from '../../src/errors.js';
import { float32File, int64File, npyFile, npzFile, numpyFiles, uint8File } from './array-files.js';
import { idxFile } from './tiny-dataset.js';

const folder = mkdtempSync(join(tmpdir(), 'fln-samples-'));
afterAll(() => rmSync(folder, { recursive: true }));

function put(name: string, content: Uint8Array | string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

function problem(source: ArraySource, options?: ReadSamplesOptions): string {
  try {
    readSamples(source, options);
  } catch (error) {
    if (error instanceof DataError) return error.message.replaceAll(`${folder}/`, '');
    throw error;
  }
  return 'none';
}

const x22 = put('x.npy', float32File([2, 2], [1, 2, 3, 4]));
const y2 = put('y.npy', int64File([0, 1]));

describe('NumPy files', () => {
  it('reads what np.savez wrote, each split from its own arrays', () => {
    const npz = put('mnist.npz', numpyFiles.npz);
    const train = readSamples(npz);
    expect(train).toMatchObject({ count: 2, shape: [3, 4, 1] });
    expect(train.x).toEqual(Uint8Array.from({ length: 24 }, (_, i) => (i * 7) % 256));
    expect(train.y).toMatchObject({ kind: 'numbers', values: Float64Array.of(1, 0) });
    const test = readSamples(npz, { role: 'test' });
    expect([...test.x.subarray(0, 12)]).toEqual([...train.x.subarray(12)]);
    expect(Object.keys(test.sha256)).toEqual(['mnist.npz']);
    const named = readSamples({ npz, x: 'x_test', y: 'y_train' });
    expect(named.x).toEqual(test.x);
    expect(named.y).toEqual(train.y);
  });

  it('reads np.savez_compressed, float64, Fortran order, and versions 2.0 and 3.0', () => {
    const { x, shape } = readSamples(put('compressed.npz', numpyFiles.compressed));
    expect(x).toEqual(new Float32Array(1000));
    expect(shape).toEqual([1, 1, 500]);
    const fortran = readSamples(put('f.npy', numpyFiles.fortran), { labelsAreOptional: true });
    expect(fortran.x).toEqual(Float32Array.from({ length: 24 }, (_, i) => i / 2));
    expect(fortran.y).toBeUndefined();
    for (const version of ['v2', 'v3']) {
      expect([...parseNpy(numpyFiles[version]).values]).toEqual([1, 2]);
    }
    for (const dtype of ['|b1', '<i2', '<u8']) {
      expect([...parseNpy(numpyFiles[dtype]).values]).toEqual([1, 0]);
    }
  });

  it('puts channels last', () => {
    const path = put(
      'chw.npy',
      uint8File(
        [1, 3, 2, 5],
        Array.from({ length: 30 }, (_, i) => i),
      ),
    );
    const said = problem(path, { labelsAreOptional: true });
    expect(said).toBe(
      'chw.npy has the shape [1, 3, 2, 5], whose channels seem to come first: set channels: first, ' +
        'or, for images of 3x2 with 5 channels, channels: last.',
    );
    const { x, shape } = readSamples(path, { labelsAreOptional: true, channels: 'first' });
    expect(shape).toEqual([2, 5, 3]);
    expect([...x.subarray(0, 6)]).toEqual([0, 10, 20, 1, 11, 21]);
  });

  it.each([
    [
      'object',
      'holds pickled Python objects, which are never loaded; make it an array of numbers with x.astype("float32") and save it with allow_pickle=False',
    ],
    ['structured', 'is a structured array; save each field as an array of its own'],
    ['>f4', 'is big-endian (dtype ">f4"); save it as little-endian with x.astype("<f4")'],
    ['<c8', 'holds complex numbers; save the real and imaginary parts as features'],
    [
      '<U3',
      'is an array of strings; number them first, with names, y = np.unique(y, return_inverse=True)',
    ],
  ])('refuses %s', (name, message) => {
    const path = put('bad.npy', numpyFiles[name]);
    expect(problem(path, { labelsAreOptional: true })).toBe(`bad.npy ${message}.`);
  });

  it('names what is wrong with a file', () => {
    const of = (name: string, content: Uint8Array) =>
      problem({ x: put(name, content), y: y2 }).replace(`${name} `, '');
    const whole = float32File([2, 2], [1, 2, 3, 4]);
    expect(of('a.npy', whole.subarray(0, -3))).toBe(
      'is truncated: its header declares [2, 2] of float32, 16 bytes, and 13 follow.',
    );
    expect(of('b.npy', whole.subarray(0, 9))).toBe('ends inside its NumPy header.');
    expect(of('c.npy', Buffer.concat([whole, whole]))).toMatch(/^has \d+ bytes after the array/);
    expect(of('d.npy', float32File([2, 2], [1, 2, NaN, 4]))).toMatch(
      /^has NaN in row 1, column 0 \(from 0\); replace/,
    );
    expect(of('e.npy', float32File([2, 1, 2, 1], [1, 2, 3, Infinity]))).toMatch(
      /^has Infinity in row 1, element \[0, 1, 0\] \(from 0\)/,
    );
    const huge = npyFile("'<f8'", [2, 1], new Uint8Array(Float64Array.of(1, 1e300).buffer));
    expect(of('f.npy', huge)).toMatch(/^has 1e\+300, beyond the range of float32, in row 1/);
    expect(of('g.npy', float32File([2], [1, 2]))).toMatch(/for one feature use x.reshape\(-1, 1\)/);
    expect(of('h.npy', float32File([0, 3], []))).toBe('is empty: its shape is [0, 3].');
    expect(of('i.npy', npyFile("'<f4'", [2 ** 40, 2 ** 40], Buffer.alloc(8)))).toMatch(
      /^has an impossible shape/,
    );
    expect(of('j.npy', Buffer.from('\x80\x04pickle', 'latin1'))).toMatch(/^is a Python pickle/);
    expect(of('k.npy', Buffer.from('hello'))).toMatch(
      /^is neither a NumPy array \(.npy\) nor an IDX/,
    );
    expect(of('l.npy', Buffer.alloc(0))).toBe('is empty.');
    expect(of('m.npy', float32File([3, 1], [1, 2, 3]))).toBe(
      'has 3 rows and y.npy has 2: they do not belong together.',
    );
    expect(problem({ x: x22, y: put('n.npy', float32File([2], [1, NaN])) })).toBe(
      'n.npy has NaN in row 1 (from 0), which is no finite 32-bit number.',
    );
    expect(problem(x22)).toBe(
      'x.npy has no labels beside it: name their file, as in { x: x.npy, y: FILE }.',
    );
    expect(problem({ x: join(folder, 'xx.npy'), y: y2 })).toBe(
      'xx.npy: no such file or folder; did you mean "x.npy"?',
    );
    expect(problem({ x: join(folder, 'none/x.npy'), y: y2 })).toBe(
      'none/x.npy: no such file or folder (none does not exist).',
    );
    expect(problem({ x: '/dev/zero', y: y2 })).toBe(
      '/dev/zero is not a regular file but a device.',
    );
  });
});

describe('ZIP archives', () => {
  const arrays = { x: float32File([2, 2], [1, 2, 3, 4]), y: int64File([0, 1]) };

  it('are checked against their directory: size, CRC, arrays', () => {
    const of = (content: Uint8Array) => problem(put('a.npz', content)).replace('a.npz ', '');
    expect(of(npzFile(arrays))).toBe('none');
    expect(of(npzFile(arrays, { compress: true }))).toBe('none');
    expect(of(npzFile(arrays).subarray(0, -30))).toMatch(
      /^is not a ZIP archive, or a truncated one/,
    );
    expect(of(npzFile(arrays, { lies: { crc: 1 } }))).toBe(
      'has the array "x", which is damaged: its CRC-32 is wrong.',
    );
    const bomb = { x: npyFile("'|u1'", [1, 1e6], new Uint8Array(1e6)), y: int64File([0]) };
    expect(of(npzFile(bomb, { compress: true, lies: { bytes: 500 } }))).toBe(
      'has the array "x", which is longer than the 500 bytes that it declares.',
    );
    expect(of(npzFile(bomb, { compress: true, lies: { bytes: 4e9 } }))).toMatch(
      /^has the array "x", which declares 4000000000 bytes, which \d+ compressed ones cannot hold/,
    );
    const padded = { ...arrays, x: Buffer.concat([arrays.x, Buffer.alloc(9)]) };
    expect(of(npzFile(padded))).toMatch(/^has the array "x", which has 9 bytes after the array/);
    expect(of(npzFile({ a: arrays.x }))).toMatch(
      /^has none of the arrays x_train, .*; it has a. Name them/,
    );
    expect(of(npzFile({ X: arrays.x }))).toMatch(/^has no labels for "X"; it has X. Name them/);
    expect(problem({ npz: put('b.npz', npzFile(arrays)), x: 'xs', y: 'y' })).toBe(
      'b.npz has no array "xs"; it has x, y.',
    );
  });

  it('may have one array where no labels are needed', () => {
    const path = put('one.npz', npzFile({ arr_0: arrays.x }));
    expect(readSamples(path, { labelsAreOptional: true }).count).toBe(2);
  });
});

it('reads IDX files, gzipped or not', () => {
  const x = put('x-idx3-ubyte.gz', gzipSync(idxFile([2, 2, 1], [1, 2, 3, 4])));
  const samples = readSamples({ x, y: put('y-idx1-ubyte', idxFile([2], [0, 1])) });
  expect(samples).toMatchObject({ count: 2, shape: [2, 1, 1], x: Uint8Array.of(1, 2, 3, 4) });
  const cut = put('cut.gz', gzipSync(idxFile([2, 2, 1], [1, 2, 3, 4])).subarray(0, -9));
  expect(problem({ x: cut, y: y2 })).toBe('cut.gz is a truncated gzip file.');
});

describe('CSV files', () => {
  const csv = put('iris.csv', '\uFEFFspecies,a,b\nsetosa,1,2\n\n"virginica",3,4.5\n');

  it('have features, and labels of one column', () => {
    expect(readSamples({ csv, label: 'species' })).toMatchObject({
      x: Float32Array.of(1, 2, 3, 4.5),
      count: 2,
      shape: [1, 1, 2],
      columns: ['a', 'b'],
      y: { kind: 'names', values: ['setosa', 'virginica'] },
    });
    const other = put('b.csv', 'b,a\n2,1\n');
    const options = { columns: ['a', 'b'], labelsAreOptional: true };
    expect(readSamples({ csv: other, label: 'species' }, options)).toMatchObject({
      x: Float32Array.of(1, 2),
    });
  });

  it('take a target as a number', () => {
    const prices = put('prices.csv', 'a,price\n1,200\n2,300\n');
    expect(readSamples({ csv: prices, target: 'price' }).y).toEqual({
      kind: 'numbers',
      values: Float64Array.of(200, 300),
      isTarget: true,
    });
    expect(problem({ csv, target: 'species' })).toBe(
      'iris.csv has "setosa" in line 2, column "species", which is not a finite number.',
    );
  });

  it.each([
    ['a,b\n1,2\n', 'has no column "species"; its columns are a, b.'],
    ['specie,b\n1,2\n', 'has no column "species"; did you mean "specie"?'],
    ['species,a\nx,1,2\n', 'has 3 cells in line 2, and 2 in the lines before.'],
    [
      'species,a\nx,1\ny,one\n',
      'has "one" in line 3, column "a", which is not a number; encode it as numbers, or remove the column.',
    ],
    ['species,a\nx,nan\n', 'has "nan" in line 2, column "a", which is not a finite 32-bit number.'],
    ['species,a\nx,\n', 'has an empty cell in line 2, column "a"; every feature needs a number.'],
    ['species,a\n,1\n', 'has an empty cell in line 2, column "species".'],
    ['species,a\n', 'has a header, but no rows.'],
    ['species,a,a\nx,1,2\n', 'has two columns named "a" in its header.'],
    [
      '1,2\n3,4\n',
      'has no header: its first line holds numbers, and names of columns are expected.',
    ],
    ['species\nx\n', 'has no column besides "species": there are no features.'],
    ['species,a\n"x,1\n', 'has a quote that is not closed.'],
  ])('%j is refused', (text, message) => {
    expect(problem({ csv: put('t.csv', text), label: 'species' })).toBe(`t.csv ${message}`);
  });
});

describe('folders of images', () => {
  const grey = (value: number, side = 2) =>
    encode({ width: side, height: 2, data: new Uint8Array(2 * side).fill(value), channels: 1 });

  it('take the classes from the folders, in turn', () => {
    put('train/cat/1.png', grey(1));
    put('train/cat/2.png', grey(2));
    put('train/dog/1.png', grey(3));
    put('train/.hidden', '');
    const samples = readSamples(join(folder, 'train'));
    expect(samples).toMatchObject({ count: 3, shape: [2, 2, 1] });
    expect([...samples.x]).toEqual([1, 1, 1, 1, 3, 3, 3, 3, 2, 2, 2, 2]);
    expect(samples.y).toEqual({ kind: 'names', values: ['cat', 'dog', 'cat'] });
    expect(samples.rowName(1)).toBe(join('dog', '1.png'));
    const one = readSamples(join(folder, 'train/cat'), { labelsAreOptional: true });
    expect(one.y).toBeUndefined();
    expect(one.count).toBe(2);
    const before = samples.sha256.train;
    put('train/dog/1.png', grey(4));
    expect(readSamples(join(folder, 'train')).sha256.train).not.toBe(before);
  });

  it('are refused with the file at fault', () => {
    const of = (name: string) => problem({ images: join(folder, name) });
    put('flat/1.png', grey(1));
    expect(of('flat')).toMatch(/^flat has no folders of classes: expected one folder/);
    put('sizes/a/1.png', grey(1));
    put('sizes/b/1.png', grey(1, 3));
    expect(of('sizes')).toBe(
      'sizes/b/1.png is 2x3 grey, but a/1.png is 2x2 grey: all images need one size and one number of channels.',
    );
    put('kinds/a/1.jpg', 'x');
    expect(of('kinds')).toBe('kinds/a/1.jpg is not a PNG image; only .png files are read.');
    put('mixed/a/1.png', grey(1));
    put('mixed/2.png', grey(1));
    expect(of('mixed')).toBe('mixed/2.png is not in the folder of a class: move or remove it.');
    mkdirSync(join(folder, 'empty/a'), { recursive: true });
    expect(of('empty')).toBe('empty/a is a class without images.');
    expect(of('absent')).toMatch(/^absent: no such file or folder/);
  });

  it('have 8-bit grey or RGB images alone', () => {
    const of = (content: Uint8Array) => {
      put('kind/a/1.png', content);
      return problem(join(folder, 'kind')).replace('kind/a/1.png ', '');
    };
    const image = (channels: number, depth: 8 | 16 = 8) => {
      const data = depth === 8 ? new Uint8Array(4 * channels) : new Uint16Array(4 * channels);
      return Buffer.from(encode({ width: 2, height: 2, data, channels, depth }));
    };
    expect(of(image(3))).toBe('none');
    expect(of(image(4))).toMatch(/^is a PNG image with an alpha channel; convert it to 8-bit/);
    expect(of(image(2))).toMatch(/^is a PNG image with an alpha channel/);
    expect(of(image(3, 16))).toMatch(/^is a PNG image of 16 bits per channel; convert it/);
    expect(of(image(1).subarray(0, -15))).toBe('is a truncated PNG image.');
    const flipped = image(1);
    flipped[42] ^= 1;
    expect(of(flipped)).toBe('is a damaged PNG image: the CRC-32 of a chunk is wrong.');
    expect(of(Buffer.from('GIF89a'))).toBe('is not a PNG image.');
  });

  it('are not inflated beyond the size in their header', () => {
    const small = Buffer.from(grey(1));
    const bomb = deflateSync(new Uint8Array(1e7));
    const chunk = Buffer.alloc(12 + bomb.length);
    chunk.writeUInt32BE(bomb.length, 0);
    chunk.write('IDAT', 4);
    bomb.copy(chunk, 8);
    chunk.writeUInt32BE(crc(chunk.subarray(4, -4)), chunk.length - 4);
    const end = small.subarray(-12);
    expect(() => parsePng(Buffer.concat([small.subarray(0, 33), chunk, end]))).toThrow(
      'is a PNG image with more pixels than its header declares',
    );
  });
});
