import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { cifarDataset } from '../../src/data/cifar-dataset.js';
import type { DatasetDefinition } from '../../src/data/definition.js';
import { type TarEntry, tarArchive } from './tar-archive.js';

export const trainFiles = ['batch_1.bin', 'batch_2.bin'] as const;
export const names = [...trainFiles, 'test.bin'] as const;
export const side = 3;
export const features = 3 * side * side;
export const recordBytes = 1 + features;
export const recordsPerFile = 20;
export const folder = 'tiny-batches';

/** Pixels that are different in every file, record, channel and place. */
const pixel = (file: number, record: number, i: number) => (file * 89 + record * 31 + i * 7) % 256;

/** 40 training and 20 test images of 3x3 pixels in 10 classes. */
export const plainFiles: Readonly<Record<string, Buffer>> = Object.fromEntries(
  names.map((name, file) => {
    const records = Array.from({ length: recordsPerFile }, (_, record) => [
      (record + file) % 10,
      ...Array.from({ length: features }, (_, i) => pixel(file, record, i)),
    ]);
    return [name, Buffer.from(records.flat())];
  }),
);

/** As `plainFiles`, with one byte changed. */
export function withByte(name: string, at: number, value: number): Record<string, Buffer> {
  const content = Buffer.from(plainFiles[name]);
  content[at] = value;
  return { ...plainFiles, [name]: content };
}

/** The members of an archive like the published one. */
export const members = (files: Readonly<Record<string, Buffer>> = plainFiles): TarEntry[] => [
  { path: `${folder}/`, type: '5' },
  { path: `${folder}/readme.html`, content: Buffer.from('<html></html>') },
  ...Object.entries(files).map(([name, content]) => ({ path: `${folder}/${name}`, content })),
];

export const archive = tarArchive(members());
export const gzipped = gzipSync(archive);

/** A data set in the registry's form, small enough to damage in every way. */
export function tinyCifar(published: Buffer = gzipped): DatasetDefinition {
  return cifarDataset({
    name: 'tiny-cifar',
    title: 'Tiny CIFAR',
    side,
    labels: [{ name: 'label', classes: 10 }],
    label: 0,
    recordsPerFile: { train: recordsPerFile, test: recordsPerFile },
    trainFiles,
    testFiles: ['test.bin'],
    folders: ['tiny-cifar', folder, '.'],
    mirrors: [],
    archive: {
      name: 'tiny.tar',
      downloadBytes: published.length,
      sha256: createHash('sha256').update(published).digest('hex'),
      folder,
    },
  });
}
