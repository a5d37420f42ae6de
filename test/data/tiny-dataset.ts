import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { DatasetDefinition } from '../../src/data/definition.js';
import { idxDataset } from '../../src/data/idx.js';

export const names = ['train-images', 'train-labels', 'test-images', 'test-labels'] as const;

/** An IDX file of 8-bit values. */
export function idxFile(dimensions: readonly number[], values: ArrayLike<number>): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.writeUInt32BE(0x0800 | dimensions.length, 0);
  for (const [i, size] of dimensions.entries()) header.writeUInt32BE(size, 4 + 4 * i);
  return Buffer.concat([header, Uint8Array.from(Array.from(values))]);
}

const ramp = (length: number, modulus: number) =>
  Array.from({ length }, (_, i) => (i * 7) % modulus);

/** Decompressed files of 12 training and 6 test images of 5x4 pixels in 10 classes. */
export const plainFiles: Readonly<Record<(typeof names)[number], Buffer>> = {
  'train-images': idxFile([12, 5, 4], ramp(12 * 20, 256)),
  'train-labels': idxFile([12], ramp(12, 10)),
  'test-images': idxFile([6, 5, 4], ramp(6 * 20, 251)),
  'test-labels': idxFile([6], ramp(6, 9)),
};

/** What a good mirror serves: NAME.gz. */
export const mirrorFiles: Readonly<Record<string, Buffer>> = Object.fromEntries(
  names.map((name) => [`${name}.gz`, gzipSync(plainFiles[name])]),
);

/** A data set in the registry's form, small enough to damage in every way. */
export function tinyDataset(
  files: Readonly<Record<(typeof names)[number], Buffer>> = plainFiles,
  mirrorsVariable?: string,
): DatasetDefinition {
  const facts = (name: (typeof names)[number]) => ({
    name,
    bytes: files[name].length,
    downloadBytes: 100,
    sha256: createHash('sha256').update(files[name]).digest('hex'),
  });
  return idxDataset({
    name: 'tiny',
    title: 'Tiny',
    height: 5,
    width: 4,
    classes: 10,
    trainSize: 12,
    testSize: 6,
    folders: ['tiny', '.'],
    mirrors: [],
    mirrorsVariable,
    files: {
      trainImages: facts('train-images'),
      trainLabels: facts('train-labels'),
      testImages: facts('test-images'),
      testLabels: facts('test-labels'),
    },
  });
}

/** A new empty folder, and its removal. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'fln-data-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Every file below a folder, relative to it, sorted. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();
}
