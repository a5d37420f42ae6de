import { chmodSync, mkdirSync, type StatsFs, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { UsageError } from '../../src/errors.js';
import { DiskError } from '../../src/files/disk.js';
import { checkOutputDirectory } from '../../src/files/folder.js';
import { temporaryFolder } from '../experiment/tiny.js';

const disk = vi.hoisted((): { now?: Partial<StatsFs> } => ({}));

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const statfsSync = (path: string) => ({ ...fs.statfsSync(path), ...disk.now });
  return { ...fs, default: { ...fs, statfsSync }, statfsSync };
});

afterEach(() => {
  disk.now = undefined;
});

it.each([
  ['no block', { blocks: 100, bfree: 0, bavail: 0 }],
  ['no inode', { files: 100, ffree: 0 }],
])('a disk with %s left is full before anything is written', (_, left) => {
  const directory = join(temporaryFolder(), 'a', 'b');
  expect(() => checkOutputDirectory(directory, 'run directory')).not.toThrow();
  disk.now = left;
  expect(() => checkOutputDirectory(directory, 'run directory')).toThrow(DiskError);
  expect(() => checkOutputDirectory(directory, 'run directory')).toThrow(
    `cannot write ${directory}: the disk is full`,
  );
});

it('a file system that counts neither blocks nor inodes is not taken for full', () => {
  disk.now = { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };
  expect(() => checkOutputDirectory(join(temporaryFolder(), 'new'), 'run directory')).not.toThrow();
});

it.skipIf(process.getuid?.() === 0)('a folder that refuses new entries is found', () => {
  const folder = join(temporaryFolder(), 'closed');
  mkdirSync(folder);
  chmodSync(folder, 0o500);
  expect(() => checkOutputDirectory(join(folder, 'run'), 'run directory')).toThrow(
    /permission denied/,
  );
});

it('a file in the way is named', () => {
  const file = join(temporaryFolder(), 'file');
  writeFileSync(file, '');
  expect(() => checkOutputDirectory(file, 'run directory')).toThrow(UsageError);
  expect(() => checkOutputDirectory(join(file, 'run'), 'sweep directory')).toThrow(
    `${file} is a file; choose another sweep directory with --out DIR`,
  );
});
